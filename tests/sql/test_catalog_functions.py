"""What we recorded of PostgreSQL's own functions is what a server says of them."""

from collections.abc import Iterator

import pytest

from shardproxy.demo.postgres import Install, Run, Server
from shardproxy.sql.analysis import catalog_functions as catalog
from tests.sql import harmless

_NAMES = "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND "
_QUERIES = {
    "VOLATILE": _NAMES + "provolatile = 'v' AND prokind IN ('f', 'p')",
    "AGGREGATES": _NAMES + "prokind = 'a'",
}


@pytest.fixture(scope="module")
def server(install: Install) -> Iterator[Server]:
    with Run(install) as run:
        yield Server.create(run, "functions").start()


@pytest.mark.parametrize("kind", _QUERIES)
def test_every_function_of_the_kind_is_recorded(server: Server, kind: str) -> None:
    found = set(server.query(_QUERIES[kind]).split())
    assert found - getattr(catalog, kind) == set()
    assert len(found) > 40


def test_the_functions_named_for_their_behaviour_exist(server: Server) -> None:
    if server.install.version[0] < 18:
        pytest.skip("recorded from PostgreSQL 18")
    names = set(server.query(_NAMES + "true").split())
    for group in (
        "LIKE_VOLATILE",
        "SESSION_LOCKS",
        "SEQUENCE_STATE",
        "SEQUENCE_CHANGES",
        "RUNS_TEXT",
        "SERVER_FILES",
        "SIGNALS",
        "CONNECTION_FUNCTIONS",
        "REVEALING_FUNCTIONS",
        "SESSION_STATE",
        "CLOCKS",
    ):
        assert getattr(catalog, group) <= names, group


def test_every_stable_function_binds_a_block_or_was_looked_at(server: Server) -> None:
    stable = set(server.query(_NAMES + "provolatile = 's'").split())
    binding = {name for name in stable if name.startswith(catalog.BINDING_PREFIX)} | catalog.BINDING
    assert stable - binding - catalog.RUNS_TEXT == stable & harmless.FUNCTIONS
    assert not harmless.FUNCTIONS & binding


def test_every_system_view_binds_a_block_or_was_looked_at(server: Server) -> None:
    sql = "SELECT relname FROM pg_class WHERE relkind = 'v' AND relnamespace = 'pg_catalog'::regnamespace"
    views = set(server.query(sql).split())
    binding = {name for name in views if name.startswith(catalog.BINDING_VIEW_PREFIXES)}
    assert views - binding - catalog.BINDING_VIEWS == views & harmless.VIEWS
    assert not harmless.VIEWS & (binding | catalog.BINDING_VIEWS)


def test_the_catalogs_named_for_what_they_show_exist(server: Server) -> None:
    names = set(
        server.query(
            "SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v')"
        ).split()
    )
    assert names >= catalog.CONNECTION_CATALOGS | catalog.REVEALING_CATALOGS

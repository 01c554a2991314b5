"""Conversations that hide a table, a key or a name: answered as one PostgreSQL answers them, or refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shardproxy.demo.postgres import Install, Run
from tests.parity import session_attacks
from tests.parity.attacks import ANSWERED, REFUSED, TABLES
from tests.parity.pair import Pair
from tests.support import cluster as clusters
from tests.support import sample
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

SCHEMA = Path(__file__).with_name("attack_schema.sql")


@pytest.fixture(scope="module")
def cluster(install: Install) -> Iterator[Cluster]:
    """Servers of the attacks' own: their tables must not be seen by the proxy that other tests share."""
    with Run(install) as run:
        yield clusters.start(run)


@pytest.fixture(scope="module")
def attacked(cluster: Cluster) -> Iterator[Proxy]:
    """A proxy that has read the schema of the attacks."""
    servers = [*(cluster.dsn(i, superuser=True) for i in range(3)), cluster.oracle_dsn(superuser=True)]
    script = SCHEMA.read_text()
    for number, dsn in enumerate(servers):
        with psycopg.connect(dsn) as connection:
            connection.execute(script.encode())
            _fill(connection, number)
    with Proxy(cluster.config(tables={**sample.TABLES, **TABLES})) as proxy:
        yield proxy
    for dsn in servers:
        with psycopg.connect(dsn) as connection:
            connection.execute("DROP SCHEMA attack, app, locked CASCADE")


def _fill(connection: psycopg.Connection, number: int) -> None:
    """Rows for one shard, or all of them for the oracle, which is number 3."""
    tenants = [(tenant, 1) for tenant in sample.tenants() if number in (3, sample.owner("tenants", tenant))]
    devices = [device for device in sample.DEVICES if number in (3, sample.owner("devices", device))]
    rows: dict[str, list[tuple[Any, ...]]] = {
        "base (tenant_id, a)": tenants,
        "child (tenant_id, a)": tenants,
        "mixed_child (tenant_id, a)": tenants,
        "watched (tenant_id, a)": tenants,
        "own (tenant_id, a)": tenants,
        "watched_reference (k)": [(tenant,) for tenant in sample.tenants()],
        "measures (device_id, at)": [(device, f"2025-0{n}-01") for device in devices for n in (1, 2)],
    }
    connection.execute("RESET ROLE")
    for target, values in rows.items():
        places = ", ".join(["%s"] * len(values[0]))
        connection.cursor().executemany(f"INSERT INTO attack.{target} VALUES ({places})".encode(), values)


@pytest.fixture(params=["simple", "text", "binary"])
def pair(request: pytest.FixtureRequest, attacked: Proxy, cluster: Cluster) -> Iterator[Pair]:
    pair = Pair(request.param, attacked.dsn(), cluster.oracle_dsn())
    yield pair
    pair.close()


def sendable(pair: Pair, conversation: tuple[str, ...]) -> bool:
    """Only the simple protocol has several statements in one text."""
    return pair.mode == "simple" or not any("; " in sql or "COPY" in sql for sql in conversation)


@pytest.mark.parametrize("conversation", ANSWERED + session_attacks.ANSWERED, ids="; ".join)
def test_answered_as_one_postgresql_answers(pair: Pair, conversation: tuple[str, ...]) -> None:
    for sql in conversation if sendable(pair, conversation) else ():
        assert pair.proxy(sql.replace("%", "%%"), {}) == pair.oracle(sql.replace("%", "%%"), {}), sql


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("search_path", "attack, public"),
        ("TimeZone", "'Asia/Tokyo'"),
        ("DateStyle", "'German'"),
        ("IntervalStyle", "'sql_standard'"),
        ("bytea_output", "'escape'"),
        ("extra_float_digits", "'-4'"),
        ("default_transaction_isolation", "'serializable'"),
    ],
)
def test_defaults_of_one_shard_are_those_of_all(
    attacked: Proxy, cluster: Cluster, setting: str, value: str
) -> None:
    """The designated shard has none of its own here, and nor has the oracle."""
    servers = [cluster.dsn(i, superuser=True) for i in (1, 2)]
    queries = [
        f"SELECT count(*), min(placed_at)::text, max(placed_at) - min(placed_at), current_setting('{setting}')"
        f" FROM orders WHERE tenant_id = '{cluster.tenants_of(shard)[0]}'"
        for shard in range(3)
    ]
    queries += ["SELECT tenant_id, (order_id / 3.0)::float8::text, tenant_id::bytea::text FROM orders"]
    try:
        for dsn in servers:
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(f"ALTER ROLE app SET {setting} = {value}".encode())
        with Proxy(attacked.config) as proxy:
            for before in ("SELECT 1", f"SHOW {setting}", f"RESET {setting}", "RESET ALL", "DISCARD ALL"):
                pair = Pair("simple", proxy.dsn(), cluster.oracle_dsn())
                for sql in (before, *queries, f"SHOW {setting}"):
                    assert pair.proxy(sql, {}) == pair.oracle(sql, {}), sql
                pair.close()
    finally:
        for dsn in servers:
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(f"ALTER ROLE app RESET {setting}".encode())


def test_a_new_table_is_nobodys_before_the_schema_was_read_again(attacked: Proxy, cluster: Cluster) -> None:
    """A session that is bound to one shard for whatever reason has no table that it did not make."""
    servers = [cluster.dsn(i) for i in range(3)]
    with psycopg.connect(attacked.dsn(), autocommit=True) as session:
        session.execute("CREATE TEMP TABLE mine (a int)")
        for dsn in servers:
            with psycopg.connect(dsn) as connection:
                connection.execute("CREATE TABLE attack.brand_new (a int)")
        try:
            for sql in ("SELECT * FROM attack.brand_new", "DROP TABLE IF EXISTS attack.brand_new"):
                with pytest.raises(psycopg.Error) as error:
                    session.execute(sql.encode())
                assert error.value.sqlstate in ("42P01", "0A000")
            assert session.execute("SELECT count(*) FROM mine").fetchone() == (0,)
        finally:
            for dsn in servers:
                with psycopg.connect(dsn) as connection:
                    connection.execute("DROP TABLE attack.brand_new")


@pytest.mark.parametrize(
    ("setting", "value", "query"),
    [
        (
            "standard_conforming_strings",
            "off",
            "SELECT name FROM tenants WHERE tenant_id = 'acme' AND length('a\\\\b') = 4",
        ),
        (
            "array_nulls",
            "off",
            "SELECT name FROM tenants WHERE tenant_id = 'acme' AND cardinality(array_remove('{NULL}'::text[], NULL)) = 0",
        ),
        (
            "transform_null_equals",
            "on",
            "SELECT count(*) FROM orders WHERE tenant_id = 'acme' AND note = NULL",
        ),
    ],
)
def test_servers_read_statements_as_the_proxy_does_whatever_their_configuration(
    attacked: Proxy, cluster: Cluster, setting: str, value: str, query: str
) -> None:
    servers = [cluster.dsn(i, superuser=True) for i in range(3)]
    try:
        for dsn in servers:
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(f"ALTER ROLE app SET {setting} = {value}".encode())
        with Proxy(attacked.config) as proxy:
            for before in ("SELECT 1", f"RESET {setting}", "RESET ALL", "DISCARD ALL"):
                pair = Pair("simple", proxy.dsn(), cluster.oracle_dsn())
                for sql in (before, query):
                    assert pair.proxy(sql, {}) == pair.oracle(sql, {})
                pair.close()
    finally:
        for dsn in servers:
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(f"ALTER ROLE app RESET {setting}".encode())


def test_one_text_under_two_search_paths_on_one_server_connection(attacked: Proxy, cluster: Cluster) -> None:
    """Each has its own columns; a server connection knows both by names of ours."""
    with Proxy(attacked.config | {"pool": {"size": 1}}) as narrow:
        for dsn in (narrow.dsn(), cluster.oracle_dsn()):
            with (
                psycopg.connect(dsn, autocommit=True, prepare_threshold=0) as one,
                psycopg.connect(dsn, autocommit=True, prepare_threshold=0) as other,
            ):
                other.execute("SET search_path = attack")
                for _ in range(3):
                    assert len(one.execute("SELECT * FROM currencies").description or ()) == 3
                    assert len(other.execute("SELECT * FROM currencies").description or ()) == 1


@pytest.mark.parametrize("conversation", REFUSED + session_attacks.REFUSED, ids="; ".join)
def test_refused_before_the_answer_could_differ(pair: Pair, conversation: tuple[str, ...]) -> None:
    for sql in conversation if sendable(pair, conversation) else ():
        through = pair.proxy(sql.replace("%", "%%"), {})
        if through.refused:
            return
        assert through == pair.oracle(sql.replace("%", "%%"), {}), sql
    assert not sendable(pair, conversation), f"answered: {conversation}"

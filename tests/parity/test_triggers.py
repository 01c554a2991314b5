"""What servers do unasked: through the proxy it comes to what one PostgreSQL does, or the write is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shardproxy.demo.postgres import Install, Run
from tests.parity.pair import Pair
from tests.support import cluster as clusters
from tests.support import sample
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

SCHEMA = Path(__file__).with_name("trigger_schema.sql")

HARMLESS = ("history", "stamped", "guarded", "recorded", "numbered", "parents", "children", "declared")
CHANGES_KEY = (
    *("assigned", "selected", "whole", "merged", "populated", "returned", "aliased", "qualified", "shadowed"),
    *("executed", "looped", "diagnosed", "called", "foreign", "split", "nested"),
)
REACHES_OTHERS = (
    *("counted", "calling", "dynamic", "spreading", "copying", "notifying", "whole_statement", "defaulted"),
    *("checked", "domained", "conditional", "operated", "policed"),
)
OTHERS = ("updated", "split_1", "unset", "unset_children", "cascading", "cascading_children")
TABLES = {
    f"fired.{name}": {"key": "tenant_id"} for name in (*HARMLESS, *CHANGES_KEY, *REACHES_OTHERS, *OTHERS)
}


@pytest.fixture(scope="module")
def cluster(install: Install) -> Iterator[Cluster]:
    """Servers of this module's own, with its schema."""
    with Run(install) as run:
        cluster = clusters.start(run)
        for server in cluster.servers:
            server.query(SCHEMA.read_text(), dbname=clusters.DATABASE)
        yield cluster


@pytest.fixture(scope="module")
def fired(cluster: Cluster) -> Iterator[Proxy]:
    """A proxy that has read the schema."""
    with Proxy(
        cluster.config(tables={**sample.TABLES, **TABLES}, trusted_functions=["fired.declared"])
    ) as proxy:
        yield proxy


@pytest.fixture(params=["simple", "binary"])
def pair(request: pytest.FixtureRequest, fired: Proxy, cluster: Cluster) -> Iterator[Pair]:
    pair = Pair(request.param, fired.dsn(), cluster.oracle_dsn())
    yield pair
    pair.close()
    script = "SET session_replication_role = replica;" + ";".join(f"DELETE FROM {table}" for table in TABLES)
    for dsn in (*(cluster.dsn(i, superuser=True) for i in range(3)), cluster.oracle_dsn(superuser=True)):
        with psycopg.connect(dsn) as connection:
            connection.execute(script.replace("fired.foreign", 'fired."foreign"').encode())


def rows(dsn: str, table: str) -> list[Any]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(f'SELECT * FROM fired."{table}" ORDER BY 1, 2'.encode()).fetchall()


def assert_same_rows(cluster: Cluster, *tables: str) -> None:
    """The shards together have the oracle's rows, each where its tenant lives."""
    for table in tables:
        found = [
            (shard, row) for shard in range(3) for row in rows(cluster.dsn(shard, superuser=True), table)
        ]
        assert all(cluster.owner(row[0]) == shard for shard, row in found), (table, found)
        assert sorted(row for _, row in found) == rows(cluster.oracle_dsn(superuser=True), table), table


HARMLESS_WRITES = (
    (
        "INSERT INTO fired.stamped VALUES ('acme', 1, 'a')",
        "UPDATE fired.stamped SET note = 'b' WHERE tenant_id = 'acme'",
    ),
    (
        "INSERT INTO fired.guarded VALUES ('acme', 1, 'a')",
        "INSERT INTO fired.guarded VALUES ('acme', 2, 'skip')",
        "INSERT INTO fired.guarded VALUES ('acme', 3, 'bad')",
        "INSERT INTO fired.guarded VALUES ('acme', 1, 'x') ON CONFLICT (tenant_id, id) DO UPDATE SET note = 'skip'",
    ),
    (
        "INSERT INTO fired.recorded VALUES ('acme', 1, 'a')",
        "INSERT INTO fired.recorded VALUES ('globex', 1, 'b')",
        "UPDATE fired.recorded SET note = 'c' WHERE tenant_id = 'globex'",
        "DELETE FROM fired.recorded WHERE tenant_id = 'acme' AND id = 1",
        "WITH d AS (DELETE FROM fired.recorded WHERE tenant_id = 'globex' RETURNING *) SELECT count(*) FROM d",
    ),
    (
        "INSERT INTO fired.numbered VALUES ('acme', 0, 'a')",
        "INSERT INTO fired.numbered VALUES ('initech', 0, 'a')",
        "INSERT INTO fired.numbered VALUES ('acme', 0, 'b') RETURNING id",
    ),
    (
        "INSERT INTO fired.parents VALUES ('acme', 1)",
        "INSERT INTO fired.parents VALUES ('initech', 1)",
        "INSERT INTO fired.children VALUES ('acme', 1, 1)",
        "INSERT INTO fired.children VALUES ('initech', 1, 1)",
        "UPDATE fired.parents SET id = 2 WHERE tenant_id = 'acme' AND id = 1",
        "DELETE FROM fired.parents WHERE tenant_id = 'acme'",
    ),
    (
        "INSERT INTO fired.history VALUES ('acme', 1, 'a')",
        "INSERT INTO fired.history VALUES ('globex', 1, 'b')",
        "INSERT INTO fired.declared VALUES ('acme', 1, 'a')",
    ),
)


@pytest.mark.parametrize("writes", HARMLESS_WRITES, ids="; ".join)
def test_what_is_proven_or_declared_comes_to_the_same(
    pair: Pair, cluster: Cluster, writes: tuple[str, ...]
) -> None:
    for sql in writes:
        through = pair.proxy(sql, {})
        assert not through.refused, through.message
        assert through == pair.oracle(sql, {}), sql
    assert_same_rows(cluster, *HARMLESS)


def insert(table: str) -> str:
    return f"INSERT INTO fired.\"{table}\" (tenant_id, id) VALUES ('acme', 5)"


@pytest.mark.parametrize("table", CHANGES_KEY)
def test_a_row_whose_key_its_trigger_may_change_is_not_written(
    pair: Pair, cluster: Cluster, table: str
) -> None:
    """On one PostgreSQL the row becomes another tenant's: sent by its written key, it would be on the wrong shard."""
    through = pair.proxy(insert(table), {})
    assert through.sqlstate == "0A000"
    assert 'the sharding key "tenant_id"' in through.message
    assert "trusted_functions" in through.message
    assert pair.oracle(insert(table), {}).tag == "INSERT 0 1"
    assert all(rows(cluster.dsn(shard, superuser=True), table) == [] for shard in range(3))


def test_the_triggers_above_do_change_the_key(pair: Pair, cluster: Cluster) -> None:
    """Each is a real way to do it: what is written for acme is not acme's. (autoinc could, and does not here.)"""
    for table in CHANGES_KEY:
        assert pair.oracle(insert(table).replace("5", str(len(table))), {}).tag == "INSERT 0 1"
        changed = "assigned" if table == "nested" else table
        tenants = {row[0] for row in rows(cluster.oracle_dsn(superuser=True), changed)}
        assert tenants == {"acme"} if table == "foreign" else "acme" not in tenants, table


def test_a_trigger_for_update_leaves_insert_alone(pair: Pair, cluster: Cluster) -> None:
    assert pair.proxy(insert("updated"), {}) == pair.oracle(insert("updated"), {})
    assert_same_rows(cluster, "updated")
    for sql in (
        "UPDATE fired.updated SET note = 'x' WHERE tenant_id = 'acme'",
        f"{insert('updated')} ON CONFLICT (tenant_id, id) DO UPDATE SET note = 'x'",
        "MERGE INTO fired.updated u USING (VALUES (5)) v (i) ON u.tenant_id = 'acme' AND u.id = v.i"
        " WHEN MATCHED THEN UPDATE SET note = 'x'",
        "WITH u AS (UPDATE fired.updated SET note = 'x' WHERE tenant_id = 'acme' RETURNING 1) SELECT count(*) FROM u",
        "EXPLAIN ANALYZE UPDATE fired.updated SET note = 'x' WHERE tenant_id = 'acme'",
    ):
        assert 'may change the sharding key "tenant_id"' in pair.proxy(sql, {}).message, sql
    assert_same_rows(cluster, "updated")


def test_a_partition_has_triggers_of_its_own(pair: Pair) -> None:
    for table in ("split", "split_1"):
        assert 'the trigger "fire" of "split_1" may change' in pair.proxy(insert(table), {}).message


def test_a_foreign_key_that_would_unset_the_key_stops_the_delete(pair: Pair, cluster: Cluster) -> None:
    for sql in (
        "INSERT INTO fired.unset VALUES ('acme', 1)",
        "INSERT INTO fired.unset_children VALUES ('acme', 1, 1)",
    ):
        assert pair.proxy(sql, {}) == pair.oracle(sql, {})
    through = pair.proxy("DELETE FROM fired.unset WHERE tenant_id = 'acme'", {})
    assert "its ON DELETE SET NULL changes the column" in through.message
    assert_same_rows(cluster, "unset", "unset_children")


@pytest.mark.parametrize("table", REACHES_OTHERS)
def test_a_write_that_may_touch_rows_of_other_tenants_is_refused(
    pair: Pair, cluster: Cluster, table: str
) -> None:
    through = pair.proxy(insert(table), {})
    assert through.refused
    assert "which may read sharded tables" in through.message
    assert "trusted_functions" in through.message
    assert pair.oracle(insert(table), {}).tag == "INSERT 0 1"
    assert all(rows(cluster.dsn(shard, superuser=True), table) == [] for shard in range(3))


def test_a_cascade_that_fires_such_a_trigger_is_refused(pair: Pair) -> None:
    message = pair.proxy("DELETE FROM fired.cascading WHERE tenant_id = 'acme'", {}).message
    assert 'fired.dynamic behind the trigger "fire" of "cascading_children"' in message


def test_policies_and_types_are_refused_in_reads_too(pair: Pair) -> None:
    for sql in (
        "SELECT * FROM fired.policed WHERE tenant_id = 'acme'",
        "SELECT 'x'::fired.many",
        "SELECT note::fired.many FROM fired.history WHERE tenant_id = 'acme'",
        "SELECT CAST(ARRAY['x'] AS fired.many[])",
    ):
        assert pair.proxy(sql, {}).refused, sql
        assert pair.oracle(sql, {}).rows is not None, sql
    assert not pair.proxy("SELECT note FROM fired.domained WHERE tenant_id = 'acme'", {}).refused


def test_a_parameter_whose_type_is_checked_by_reading_is_refused(fired: Proxy, cluster: Cluster) -> None:
    """The text does not show it: the client says in Parse that the parameter is of the domain."""
    with psycopg.connect(cluster.dsn(0)) as connection:
        found = connection.execute("SELECT 'fired.many'::regtype::oid::int8").fetchone()
    assert found is not None
    with psycopg.connect(fired.dsn(), autocommit=True) as connection:
        result = connection.pgconn.exec_params(b"SELECT $1", [b"x"], [found[0]])
        assert b"a parameter that may be of the type" in result.error_message
        assert connection.pgconn.exec_params(b"SELECT $1", [b"x"], [25]).get_value(0, 0) == b"x"


# --- sessions with a tenant -------------------------------------------------------------------------------------------


@pytest.fixture
def acme(fired: Proxy) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(
        f"{fired.dsn()}?options=-c%20shardproxy.tenant%3Dacme", autocommit=True
    ) as connection:
        yield connection


@pytest.mark.parametrize("table", ["assigned", "counted", "dynamic", "defaulted"])
def test_a_tenants_session_is_no_way_around(
    pair: Pair, acme: psycopg.Connection[Any], cluster: Cluster, table: str
) -> None:
    with pytest.raises(psycopg.Error, match="does not run this statement"):
        acme.execute(insert(table).encode())
    with (
        pytest.raises(psycopg.Error, match="does not run this statement"),
        acme.cursor().copy(f"COPY fired.{table} FROM STDIN".encode()) as copy,
    ):
        copy.write("acme\t5\t\\N\n")
    assert all(rows(cluster.dsn(shard, superuser=True), table) == [] for shard in range(3))


def test_a_tenants_session_writes_where_triggers_stay_with_the_tenant(
    pair: Pair, acme: psycopg.Connection[Any], cluster: Cluster
) -> None:
    acme.execute("INSERT INTO fired.recorded VALUES ('acme', 1, 'a')")
    acme.execute("UPDATE fired.recorded SET note = 'b'")
    with acme.cursor().copy("COPY fired.recorded FROM STDIN") as copy:
        copy.write("acme\t2\tc\n")
    history = rows(cluster.dsn(cluster.owner("acme"), superuser=True), "history")
    assert history == [("acme", 101, "b!", "insert"), ("acme", 102, "c", "insert")]

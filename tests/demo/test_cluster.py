"""The test cluster itself: what other tests rely on when they call it an oracle."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from shardproxy.topology.shard_map import ShardSpec, build
from shardproxy.topology.tables import Sharded
from tests.support import aio, sample
from tests.support.cluster import DATABASE, Cluster


def count(cluster: Cluster, table: str) -> list[int]:
    return [
        int(shard.primary.query(f"SELECT count(*) FROM {table}", dbname=DATABASE)) for shard in cluster.shards
    ]


def test_the_shards_together_hold_what_the_oracle_holds(cluster: Cluster) -> None:
    for table in sample.TABLES:
        counts = count(cluster, table)
        whole = int(cluster.oracle.query(f"SELECT count(*) FROM {table}", dbname=DATABASE))
        assert whole == len(sample.rows()[table]) > 0
        if isinstance(sample.rule(table), Sharded):
            assert sum(counts) == whole
            assert len([each for each in counts if each]) >= 2, f"{table} is not spread"


@pytest.mark.parametrize("table", ["tenants", "coupons", "devices", "device_notes", "docs", "audit"])
def test_no_shard_admits_a_row_of_another(cluster: Cluster, table: str) -> None:
    columns = sample.COLUMNS[table]
    places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"

    async def admits(shard: int, row: tuple[Any, ...]) -> bool:
        connection = await asyncpg.connect(cluster.dsn(shard, superuser=True))
        try:
            # Without foreign keys, and without the row that may be there already.
            await connection.execute("BEGIN; SET LOCAL session_replication_role = replica")
            await connection.execute(f"DELETE FROM {table} WHERE {columns[0]} = $1", row[0])
            await connection.execute(insert, *row)
        except asyncpg.CheckViolationError as error:
            return error.constraint_name != "only_own_rows"
        finally:
            await connection.close()
        return True

    for row in sample.rows()[table][::3]:
        for index in range(len(cluster.shards)):
            assert aio.run(admits(index, row)) == sample.belongs(table, row, index)


def test_a_placed_tenant_is_not_where_the_ring_says(cluster: Cluster) -> None:
    ring = build([ShardSpec(name) for name in sample.SHARDS], cluster.map.tables)
    for tenant, shard in sample.PLACEMENTS.items():
        assert cluster.map.index[shard] == cluster.owner(tenant)
        assert ring.owner("tenant", sample.FAMILIES["tenant"], tenant.encode()) != cluster.owner(tenant)


def test_reset_undoes_every_write(cluster: Cluster) -> None:
    before = count(cluster, "orders")
    shard = cluster.shards[0].primary
    shard.query("SET session_replication_role = replica; DELETE FROM orders", dbname=DATABASE)
    assert count(cluster, "orders") != before
    cluster.reset()
    assert count(cluster, "orders") == before


def test_the_application_role_logs_in_with_its_password_only(cluster: Cluster) -> None:
    async def log_in(dsn: str) -> str:
        connection = await asyncpg.connect(dsn)
        with suppress(asyncpg.PostgresError):
            return str(await connection.fetchval("SELECT current_user || ' ' || count(*) FROM currencies"))
        return ""

    assert aio.run(log_in(cluster.dsn("shard-b"))) == "app 6"
    with pytest.raises(asyncpg.InvalidPasswordError):
        aio.run(log_in(cluster.dsn("shard-b").replace("app:app@", "app:wrong@")))


def test_replicas_hold_what_their_primaries_hold(replicated_cluster: Cluster) -> None:
    for shard in replicated_cluster.shards:
        (replica,) = shard.replicas
        assert replica.query("SELECT pg_is_in_recovery()") == "t"
        sql = "SELECT count(*), sum(total) FROM orders"
        assert replica.query(sql, dbname=DATABASE) == shard.primary.query(sql, dbname=DATABASE)


def test_psql_is_there(psql: Path) -> None:
    assert psql.is_file()

"""What the sample schema itself guards, on a real server; every test is rolled back."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from shardproxy.monitor.schema_reader import read_schema
from shardproxy.sql.analysis.effects import Effects
from tests.support import aio, sample
from tests.support.cluster import Cluster

Work = Callable[["asyncpg.Connection[Any]"], Awaitable[Any]]
NEW = "INSERT INTO orders (tenant_id, order_id, customer_id, currency) VALUES ('acme', 9000, 1, 'EUR')"


def in_transaction(cluster: Cluster, work: Work) -> Any:
    async def go() -> Any:
        connection = await asyncpg.connect(cluster.oracle_dsn())
        transaction = connection.transaction()
        await transaction.start()
        try:
            return await work(connection)
        finally:
            if not connection.is_closed():
                await transaction.rollback()
                await connection.close()

    return aio.run(go())


def run_all(*statements: str) -> Work:
    async def work(connection: "asyncpg.Connection[Any]") -> Any:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])

    return work


def set_status(status: str) -> str:
    return f"UPDATE orders SET status = '{status}' WHERE tenant_id = 'acme' AND order_id = 9000"


@pytest.mark.parametrize(
    "life", [["paid", "shipped", "delivered"], ["cancelled"], ["paid", "cancelled"], ["paid", "paid"]]
)
def test_an_order_can_live_every_life_and_its_version_counts_the_changes(
    cluster: Cluster, life: list[str]
) -> None:
    statements = [NEW, *map(set_status, life), "SELECT version FROM orders WHERE order_id = 9000"]
    assert in_transaction(cluster, run_all(*statements)) == len(life) + 1


@pytest.mark.parametrize(
    "life",
    [["shipped"], ["delivered"], ["paid", "new"], ["cancelled", "paid"], ["paid", "shipped", "cancelled"]],
)
def test_an_order_cannot_leave_the_state_machine(cluster: Cluster, life: list[str]) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="cannot go from"):
        in_transaction(cluster, run_all(NEW, *map(set_status, life)))


def test_an_order_begins_as_new_with_version_1(cluster: Cluster) -> None:
    columns = (
        "INSERT INTO orders (tenant_id, customer_id, currency, status, version) VALUES ('acme', 1, 'EUR'"
    )
    for rest in ("'paid', 1)", "'new', 2)"):
        with pytest.raises(asyncpg.CheckViolationError, match="begins as new"):
            in_transaction(cluster, run_all(f"{columns}, {rest}"))


def test_a_writer_that_names_the_wrong_version_has_lost_the_race(cluster: Cluster) -> None:
    good = "UPDATE orders SET note = 'a', version = 2 WHERE order_id = 9000 RETURNING version"
    assert in_transaction(cluster, run_all(NEW, good)) == 2
    with pytest.raises(asyncpg.SerializationError, match="has version 1, not 2"):
        in_transaction(cluster, run_all(NEW, good.replace("version = 2", "version = 3")))


@pytest.mark.parametrize(
    "change", ["UPDATE order_events SET status = 'new'", "DELETE FROM order_events", "TRUNCATE order_events"]
)
def test_history_is_append_only(cluster: Cluster, change: str) -> None:
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        in_transaction(cluster, run_all(change))


def test_rows_do_not_refer_across_tenants(cluster: Cluster) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        in_transaction(cluster, run_all(NEW.replace("9000, 1,", "9000, 99999,")))


def test_the_sample_rows_satisfy_every_constraint(cluster: Cluster) -> None:
    """They were loaded without the checks of triggers; here the foreign keys are checked as for new data."""

    async def work(connection: "asyncpg.Connection[Any]") -> int:
        keys = await connection.fetch(
            "SELECT conrelid::regclass AS relation, conname, pg_get_constraintdef(oid) AS definition "
            "FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
        )
        for relation, name, definition in keys:
            await connection.execute(f'ALTER TABLE {relation} DROP CONSTRAINT "{name}"')
            await connection.execute(f'ALTER TABLE {relation} ADD CONSTRAINT "{name}" {definition}')
        return len(keys)

    assert in_transaction(cluster, work) >= 9


def test_every_tenants_table_leads_its_primary_key_with_the_sharding_key(cluster: Cluster) -> None:
    async def work(connection: "asyncpg.Connection[Any]") -> dict[str, str]:
        rows = await connection.fetch(
            "SELECT conrelid::regclass::text, attname FROM pg_constraint JOIN pg_attribute "
            "ON attrelid = conrelid AND attnum = conkey[1] WHERE contype = 'p'"
        )
        return dict(rows)

    leading = in_transaction(cluster, work)
    for table, spread in sample.TABLES.items():
        if isinstance(spread, dict) and "key" in spread:
            assert leading[table] == spread["key"]


def test_its_triggers_are_proven_to_leave_the_key_alone_and_to_stay_with_the_tenant(cluster: Cluster) -> None:
    async def known() -> Any:
        connection = await asyncpg.connect(cluster.oracle_dsn())
        try:
            return await read_schema(connection)
        finally:
            await connection.close()

    effects = Effects(aio.run(known()), sample.shard_map().tables)
    for table in sample.TABLES:
        for event in ("INSERT", "UPDATE", "DELETE"):
            assert effects.findings((("public", table), event)) == ()

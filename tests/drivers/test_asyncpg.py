"""asyncpg: binary parameters, its statement cache, cursors, COPY, its pool and its reset query."""

import asyncio
import io
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from tests.drivers.conftest import Tenant
from tests.support import sample
from tests.support.cluster import Cluster

COUNT = "SELECT count(*) FROM orders WHERE tenant_id = $1"
INSERT = "INSERT INTO coupons (tenant_id, code, percent) VALUES ($1, $2, $3)"
Body = Callable[["asyncpg.Connection"], Awaitable[None]]


def connected(dsn: str, body: Body, **options: object) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(dsn, timeout=10, **options)
        try:
            await body(connection)
        finally:
            await connection.close()

    asyncio.run(main())


@pytest.mark.parametrize("size", [0, 100])
def test_statements_with_and_without_the_cache(dsn: str, tenants: tuple[Tenant, ...], size: int) -> None:
    async def body(connection: asyncpg.Connection) -> None:
        for _ in range(3):
            for tenant in tenants:
                assert await connection.fetchval(COUNT, tenant.name) == tenant.orders
                assert await connection.fetchval(COUNT.replace("$1", f"'{tenant.name}'")) == tenant.orders

    connected(dsn, body, statement_cache_size=size)


def test_keys_of_every_type(dsn: str) -> None:
    async def body(connection: asyncpg.Connection) -> None:
        for device in sample.DEVICES:
            assert (
                await connection.fetchval("SELECT device_id FROM devices WHERE device_id = $1", device)
                == device
            )
        for doc in sample.DOCS:
            assert await connection.fetchval("SELECT doc_id FROM docs WHERE doc_id = $1", doc) == doc
        devices = await connection.fetch(
            "SELECT device_id FROM devices WHERE device_id = ANY($1)", list(sample.DEVICES)
        )
        assert {row["device_id"] for row in devices} == set(sample.DEVICES)

    connected(dsn, body)


def test_transactions_savepoints_and_levels(dsn: str, tenants: tuple[Tenant, ...]) -> None:
    async def body(connection: asyncpg.Connection) -> None:
        for tenant in tenants:
            outer = connection.transaction(isolation="serializable")
            await outer.start()
            await connection.execute(INSERT, tenant.name, "A1", 1)
            with pytest.raises(asyncpg.UniqueViolationError):
                async with connection.transaction():
                    await connection.execute(INSERT, tenant.name, "A1", 2)
            show = "SELECT current_setting('transaction_isolation') FROM coupons WHERE tenant_id = $1 AND code = 'A1'"
            assert await connection.fetchval(show, tenant.name) == "serializable"
            await outer.rollback()
            assert await connection.fetchval(show, tenant.name) is None

    connected(dsn, body)


def test_a_prepared_statement_serves_every_shard(dsn: str, tenants: tuple[Tenant, ...]) -> None:
    async def body(connection: asyncpg.Connection) -> None:
        statement = await connection.prepare(
            "SELECT tenant_id, total, placed_at FROM orders WHERE tenant_id = $1"
        )
        assert [attribute.name for attribute in statement.get_attributes()] == [
            "tenant_id",
            "total",
            "placed_at",
        ]
        for tenant in tenants * 2:
            rows = await statement.fetch(tenant.name)
            assert len(rows) == tenant.orders
            assert {row["tenant_id"] for row in rows} == {tenant.name}
        tags = await statement.fetchmany([(tenant.name,) for tenant in tenants[:1] * 3])
        assert len(tags) == 3 * tenants[0].orders

    connected(dsn, body)


def test_a_cursor_reads_in_batches(dsn: str, tenants: tuple[Tenant, ...]) -> None:
    async def body(connection: asyncpg.Connection) -> None:
        for tenant in tenants:
            async with connection.transaction():
                query = "SELECT order_id FROM orders WHERE tenant_id = $1"
                seen = [row async for row in connection.cursor(query, tenant.name, prefetch=3)]
                assert len(seen) == tenant.orders
                cursor = await connection.cursor(query, tenant.name)
                assert await cursor.forward(2) == 2
                assert len(await cursor.fetch(1000)) == tenant.orders - 2

    connected(dsn, body)


def test_executemany_and_copy_for_one_tenant(dsn: str, tenants: tuple[Tenant, ...]) -> None:
    async def body(connection: asyncpg.Connection) -> None:
        for tenant in tenants:
            outer = connection.transaction()
            await outer.start()
            await connection.execute(f"SET LOCAL shardproxy.tenant = '{tenant.name}'")
            await connection.executemany(INSERT, [(tenant.name, f"many{i}", 1) for i in range(50)])
            columns = ["tenant_id", "code", "percent"]
            records = [(tenant.name, f"copied{i}", 1) for i in range(50)]
            assert (
                await connection.copy_records_to_table("coupons", records=records, columns=columns)
                == "COPY 50"
            )
            output = io.BytesIO()
            await connection.copy_from_query(
                "SELECT code FROM coupons WHERE tenant_id = $1", tenant.name, output=output
            )
            assert len(output.getvalue().split()) == 102
            await outer.rollback()

    connected(dsn, body)


def test_codecs_of_a_type_are_looked_up_inside_a_transaction(dsn: str, tenants: tuple[Tenant, ...]) -> None:
    async def body(connection: asyncpg.Connection) -> None:
        await connection.execute(f"SET shardproxy.tenant = '{tenants[1].name}'")
        async with connection.transaction():
            row = await connection.fetchrow(
                "SELECT o, ROW(1, 'a') FROM orders o WHERE tenant_id = $1", tenants[1].name
            )
            assert row["o"]["tenant_id"] == tenants[1].name

    connected(dsn, body)


def test_a_transaction_may_begin_with_what_names_no_tenant(
    dsn: str, tenants: tuple[Tenant, ...], written: Cluster, mood: str
) -> None:
    async def body(connection: asyncpg.Connection) -> None:
        for tenant in tenants:
            async with connection.transaction():
                assert await connection.fetchval("SELECT 1") == 1
                async with connection.transaction():
                    assert await connection.fetchval("SELECT name FROM currencies WHERE currency = 'EUR'")
                    assert await connection.fetchval(COUNT, tenant.name) == tenant.orders
                    await connection.execute(INSERT, tenant.name, "IN", 1)
                with pytest.raises(asyncpg.UniqueViolationError):
                    async with connection.transaction():
                        await connection.execute(INSERT, tenant.name, "OUT", 1)
                        await connection.execute(INSERT, tenant.name, "IN", 2)
            codes = await connection.fetch(
                "SELECT code FROM coupons WHERE tenant_id = $1 AND percent = 1", tenant.name
            )
            assert [row["code"] for row in codes] == ["IN"]

    connected(dsn, body)


def test_a_new_type_is_looked_up_as_the_first_of_a_transaction(
    dsn: str, tenants: tuple[Tenant, ...], mood: str
) -> None:
    for tenant in tenants:

        async def body(connection: asyncpg.Connection, tenant: Tenant = tenant) -> None:
            sql = f"SELECT $2::{mood}, ARRAY[$2::{mood}], count(*) FROM orders WHERE tenant_id = $1"
            async with connection.transaction():
                row = await connection.fetchrow(sql, tenant.name, "better")
                assert tuple(row) == ("better", ["better"], tenant.orders)
            assert await connection.fetchval("SHOW jit") == "on"

        connected(dsn, body)


def test_a_timeout_cancels_and_the_connection_goes_on(dsn: str) -> None:
    async def body(connection: asyncpg.Connection) -> None:
        with pytest.raises(TimeoutError):
            await connection.execute("SELECT pg_sleep(20)", timeout=0.2)
        assert await connection.fetchval("SELECT 1") == 1

    connected(dsn, body)


def test_a_pool_resets_what_a_borrower_left_behind(dsn: str, tenants: tuple[Tenant, ...]) -> None:
    async def main() -> None:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
            async with pool.acquire() as connection:
                await connection.execute(f"SET shardproxy.tenant = '{tenants[0].name}'")
                await connection.execute("SET work_mem = '5MB'")
            async with pool.acquire() as connection:
                assert await connection.fetchval("SHOW shardproxy.tenant") == ""
                assert await connection.fetchval("SHOW work_mem") == "4MB"
                for tenant in tenants:
                    assert await connection.fetchval(COUNT, tenant.name) == tenant.orders

    asyncio.run(main())


def test_notifications_reach_a_listener(dsn: str) -> None:
    async def body(connection: asyncpg.Connection) -> None:
        heard: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        await connection.add_listener("news", lambda *call: heard.set_result(call[3]))
        await connection.execute("NOTIFY news, 'é'")
        assert await asyncio.wait_for(heard, 5) == "é"
        await connection.reset()

    connected(dsn, body)


def test_rows_of_every_shard(dsn: str) -> None:
    async def body(connection: asyncpg.Connection) -> None:
        rows = await connection.fetch("SELECT tenant_id FROM orders WHERE total >= $1", 0)
        assert len(rows) == len(sample.rows()["orders"])

    connected(dsn, body)


def test_introspection_of_a_table(dsn: str) -> None:
    async def body(connection: asyncpg.Connection) -> None:
        assert connection.get_server_version().major >= 15
        query = "SELECT column_name FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position"
        columns = await connection.fetch(query, "coupons")
        assert [row["column_name"] for row in columns] == ["tenant_id", "code", "percent"]

    connected(dsn, body)

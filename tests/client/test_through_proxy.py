"""The client and the proxy together: tenants, refusals, explanations, transactions, cursors and COPY."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import asyncpg
import pytest

from shardproxy.client import Database, Refused, Unavailable, WrongTenant, connect, current_tenant
from tests.support import sample
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

ORDERS = "SELECT count(*) FROM orders"


@pytest.fixture
def run(proxy: Proxy) -> Callable[..., None]:
    """Runs a body with a database behind the shared proxy."""

    def run(body: Callable[[Database], Awaitable[None]], max_size: int = 2) -> None:
        async def main() -> None:
            async with connect(proxy.dsn(), max_size=max_size, command_timeout=20) as db:
                await body(db)

        asyncio.run(main())

    return run


@pytest.fixture
def written(cluster: Cluster) -> Iterator[Cluster]:
    """For tests that write: every row is put back afterwards."""
    yield cluster
    cluster.reset()


def orders_of(tenant: str) -> int:
    return sum(row[0] == tenant for row in sample.rows()["orders"])


def a_tenant_of_each_shard(cluster: Cluster) -> list[str]:
    return [cluster.tenants_of(shard)[0] for shard in range(len(cluster.shards))]


def test_each_tenant_sees_its_own_rows_over_one_connection(
    cluster: Cluster, run: Callable[..., None]
) -> None:
    async def body(db: Database) -> None:
        for tenant in [*sample.tenants(), *reversed(sample.tenants())]:
            assert await db.tenant(tenant).fetchval(ORDERS) == orders_of(tenant)

    run(body, max_size=1)


def test_tenants_at_the_same_time_do_not_see_each_other(cluster: Cluster, run: Callable[..., None]) -> None:
    async def one(db: Database, tenant: str) -> None:
        for _ in range(10):
            rows = await db.tenant(tenant).fetch("SELECT tenant_id FROM orders WHERE total >= $1", 0)
            assert {row["tenant_id"] for row in rows} <= {tenant}
            assert len(rows) == orders_of(tenant)

    async def body(db: Database) -> None:
        await asyncio.gather(*(one(db, tenant) for tenant in sample.tenants()))

    run(body, max_size=4)


def test_without_a_tenant_the_statements_own_key_decides(cluster: Cluster, run: Callable[..., None]) -> None:
    async def body(db: Database) -> None:
        for tenant in a_tenant_of_each_shard(cluster):
            assert await db.fetchval(f"{ORDERS} WHERE tenant_id = $1", tenant) == orders_of(tenant)

    run(body)


def test_a_refusal_names_the_construct_and_a_way_out(run: Callable[..., None]) -> None:
    async def body(db: Database) -> None:
        with pytest.raises(Refused) as caught:
            await db.execute("UPDATE orders SET note = ''")
        assert caught.value.sqlstate == "0A000"
        assert caught.value.construct
        assert caught.value.hint
        assert await db.fetchval("SELECT 1") == 1

    run(body)


def test_another_tenants_key_is_refused(cluster: Cluster, run: Callable[..., None]) -> None:
    async def body(db: Database) -> None:
        mine, other, _ = a_tenant_of_each_shard(cluster)
        with pytest.raises(WrongTenant):
            await db.tenant(mine).fetch("SELECT * FROM orders WHERE tenant_id = $1", other)

    run(body)


def test_route_explains_what_would_happen_and_does_nothing(
    cluster: Cluster, run: Callable[..., None]
) -> None:
    async def body(db: Database) -> None:
        for shard, tenant in enumerate(a_tenant_of_each_shard(cluster)):
            decision = await db.route("DELETE FROM order_items WHERE tenant_id = $1", tenant)
            assert decision.shards == (cluster.map.shards[shard],)
            assert decision.role == "primary"
            assert [key.split(" ")[0] for key in decision.keys] == [f"tenant={tenant}"]
            same = await db.tenant(tenant).route("DELETE FROM order_items")
            assert same.shards == decision.shards
            assert await db.tenant(tenant).fetchval("SELECT count(*) FROM order_items") > 0

    run(body)


def test_route_explains_a_refusal(run: Callable[..., None]) -> None:
    async def body(db: Database) -> None:
        decision = await db.route("DELETE FROM orders")
        assert decision.refused
        assert decision.reason

    run(body)


def test_route_of_a_transaction_statement_begins_nothing(run: Callable[..., None]) -> None:
    async def body(db: Database) -> None:
        for sql in ("BEGIN", "SET work_mem = '5MB'"):
            decision = await db.route(sql)
            assert (decision.role, decision.shards, decision.refused) == ("session", (), False)
        async with db.acquire() as connection:
            assert not connection.is_in_transaction()
            assert await connection.fetchval("SHOW work_mem") == "4MB"

    run(body, max_size=1)


def test_each_task_speaks_for_its_own_current_tenant(cluster: Cluster, run: Callable[..., None]) -> None:
    async def request(db: Database, tenant: str | None) -> None:
        token = current_tenant.set(tenant)
        try:
            for _ in range(5):
                if tenant is None:
                    with pytest.raises(Refused):
                        await db.fetchval(ORDERS)
                else:
                    assert await asyncio.create_task(db.fetchval(ORDERS)) == orders_of(tenant)
        finally:
            current_tenant.reset(token)

    async def body(db: Database) -> None:
        tenants = [*a_tenant_of_each_shard(cluster), None]
        await asyncio.gather(*(request(db, tenant) for tenant in tenants * 3))

    run(body, max_size=3)


@pytest.mark.parametrize("end", ["normal", "refused", "failed", "cancelled", "in a transaction", "pinned"])
def test_the_next_borrower_of_a_connection_has_no_tenant(
    cluster: Cluster, run: Callable[..., None], end: str
) -> None:
    async def first(db: Database) -> None:
        tenant = db.tenant(cluster.tenants_of(1)[0])
        if end == "normal":
            await tenant.fetchval(ORDERS)
        elif end == "refused":
            await tenant.execute("DELETE FROM currencies")
        elif end == "failed":
            await tenant.execute("SELECT 1 / 0")
        elif end == "cancelled":
            async with asyncio.timeout(0.1):
                await tenant.execute("SELECT pg_sleep(20)")
        elif end == "in a transaction":
            async with tenant.transaction() as transaction:
                await transaction.fetchval(ORDERS)
                raise LookupError
        else:
            async with tenant.acquire() as connection:
                await connection.execute("CREATE TEMP TABLE left_behind (a int)")
                await connection.execute("BEGIN")

    async def body(db: Database) -> None:
        with suppress(Refused, asyncpg.DivisionByZeroError, TimeoutError, LookupError):
            await first(db)
        async with db.acquire() as connection:
            assert await connection.fetchval("SHOW shardproxy.tenant") == ""
        with pytest.raises(Refused):
            await db.fetchval(ORDERS)
        for tenant in a_tenant_of_each_shard(cluster):
            assert await db.tenant(tenant).fetchval(ORDERS) == orders_of(tenant)

    run(body, max_size=1)


def test_executemany_is_all_or_nothing_for_one_tenant(written: Cluster, run: Callable[..., None]) -> None:
    insert = "INSERT INTO coupons (tenant_id, code, percent) VALUES ($1, $2, 1)"
    count = "SELECT count(*) FROM coupons WHERE code LIKE 'many%'"

    async def body(db: Database) -> None:
        mine, other, _ = a_tenant_of_each_shard(written)
        tenant = db.tenant(mine)
        with pytest.raises(asyncpg.UniqueViolationError):
            await tenant.executemany(insert, [(mine, "many1"), (mine, "many2"), (mine, "many1")])
        with pytest.raises(WrongTenant):
            await tenant.executemany(insert, [(mine, "many1"), (other, "many2")])
        assert await tenant.fetchval(count) == 0
        await tenant.executemany(insert, [(mine, f"many{i}") for i in range(200)])
        assert await tenant.fetchval(count) == 200

    run(body)


def test_a_transaction_is_one_tenants_and_savepoints_work(written: Cluster, run: Callable[..., None]) -> None:
    async def body(db: Database) -> None:
        tenant = db.tenant(a_tenant_of_each_shard(written)[1])
        async with tenant.transaction() as tx:
            await tx.execute(
                "INSERT INTO coupons (tenant_id, code, percent) VALUES ($1, 'A', 1)", tenant.name
            )
            with pytest.raises(asyncpg.UniqueViolationError):
                async with tx.transaction() as savepoint:
                    await savepoint.execute(
                        "INSERT INTO coupons (tenant_id, code, percent) VALUES ($1, 'A', 2)", tenant.name
                    )
        assert await tenant.fetchval("SELECT percent FROM coupons WHERE code = 'A'") == 1

    run(body)


def test_a_cursor_reads_a_tenant_in_batches(cluster: Cluster, run: Callable[..., None]) -> None:
    async def body(db: Database) -> None:
        tenant = db.tenant(cluster.tenants_of(2)[0])
        async with tenant.cursor("SELECT order_id FROM orders ORDER BY order_id", prefetch=3) as cursor:
            numbers = [row["order_id"] async for row in cursor]
        assert numbers == sorted(row[1] for row in sample.rows()["orders"] if row[0] == tenant.name)

    run(body)


def test_copy_loads_and_unloads_one_tenant(written: Cluster, run: Callable[..., None]) -> None:
    async def body(db: Database) -> None:
        tenant = db.tenant(a_tenant_of_each_shard(written)[0])
        records = [(tenant.name, f"C{i}", 1) for i in range(100)]
        columns = ["tenant_id", "code", "percent"]
        assert await tenant.copy_records_to_table("coupons", records=records, columns=columns) == "COPY 100"
        output = io.BytesIO()
        sql = "SELECT code FROM coupons WHERE tenant_id = $1 AND code LIKE 'C%' AND percent = 1"
        await tenant.copy_from_query(sql, tenant.name, output=output)
        assert {f"C{i}" for i in range(100)} <= set(output.getvalue().decode().split())

    run(body)


def test_a_proxy_that_was_killed_is_unavailable(cluster: Cluster) -> None:
    async def main(proxy: Proxy) -> None:
        async with connect(proxy.dsn(), max_size=1) as db:
            assert await db.fetchval("SELECT 1") == 1
            await asyncio.to_thread(proxy.kill)
            with pytest.raises(Unavailable):
                await db.fetchval("SELECT 1")

    with Proxy(cluster.config()) as proxy:
        asyncio.run(main(proxy))

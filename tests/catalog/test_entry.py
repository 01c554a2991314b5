"""Pools in epochs, on servers with a fence: who is handed a connection gets one in the epoch, or waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from shardproxy.backend.entry import Behind, Entry
from shardproxy.backend.pool import PoolOptions
from shardproxy.backend.server import SocketOptions
from shardproxy.backend.shards import BackendOptions, ServerPool
from shardproxy.catalog.epochs import retire
from shardproxy.catalog.locks import CLASS_EPOCH
from shardproxy.counters import Counters
from shardproxy.errors import Unavailable
from shardproxy.routing.route import Role
from tests.backend.pools import closed, until
from tests.backend.pools import run as run_sql
from tests.catalog.fenced import APP, Fenced
from tests.support.aio import run

HELD = f"""
SELECT COALESCE(array_agg(objid::int ORDER BY objid), '{{}}') FROM pg_locks
WHERE locktype = 'advisory' AND classid = {CLASS_EPOCH} AND pid = $1
"""


@asynccontextmanager
async def pool_of(
    shop: Fenced, epoch: int | None = 1, *, replica: bool = False, here: str | None = None, **options: float
) -> AsyncIterator[ServerPool]:
    """A pool to shard-a, as a sidecar has it."""
    limits = PoolOptions(**{"size": 5, **options})  # type: ignore[arg-type]
    role = Role.REPLICA if replica else Role.PRIMARY
    server = shop.server(shop.replica if replica else shop.primaries[0], APP)
    pool = ServerPool(
        "shard-a", role, server, BackendOptions(limits, limits, SocketOptions()), Counters(), None
    )
    if epoch is not None:
        pool.set_epoch(epoch, here or await place(shop))
    try:
        yield pool
    finally:
        await pool.close()
        pool.abort()


async def place(shop: Fenced) -> str:
    async with shop.operator() as operator:
        found: str = await operator.fetchval("SELECT installation || '/' || name FROM shardproxy.shard")
        return found


def entry_of(pool: ServerPool) -> Entry:
    assert pool.entry is not None
    return pool.entry


async def held(operator: asyncpg.Connection, pid: int) -> list[int]:
    """The epochs that a backend is in, as the server sees it."""
    found: list[int] = await operator.fetchval(HELD, pid)
    return found


def test_a_connection_is_in_the_epoch_when_it_is_handed_out(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator() as operator, pool_of(fenced) as pool:
            connection = await pool.acquire()
            assert connection.epoch == 1
            assert await held(operator, connection.pid) == [1]
            pool.release(connection)
            assert pool.try_acquire() is connection
            assert pool.counters.entries["entered"] == 1

    run(main())


def test_without_a_catalog_nothing_is_entered(bare: Fenced) -> None:
    async def main() -> None:
        async with pool_of(bare, None) as pool:
            connection = await pool.acquire()
            assert connection.epoch is None
            assert pool.counters.entries.total == 0

    run(main())


def test_idle_connections_are_brought_along_at_once(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator() as operator, pool_of(fenced) as pool:
            both = [await pool.acquire(), await pool.acquire()]
            for connection in both:
                pool.release(connection)
            epoch = await fenced.publish(0)
            pool.set_epoch(epoch, entry_of(pool).here)
            assert pool.try_acquire() is None
            await until(lambda: len(pool.idle) == 2)
            assert [await held(operator, connection.pid) for connection in both] == [[epoch]] * 2
            assert pool.counters.connects == 2

    run(main())


def test_who_waits_while_idle_ones_are_brought_along_gets_one_of_them(fenced: Fenced) -> None:
    async def main() -> None:
        async with pool_of(fenced) as pool:
            connection = await pool.acquire()
            pool.release(connection)
            pool.set_epoch(await fenced.publish(0), entry_of(pool).here)
            assert await pool.acquire() is connection
            assert connection.epoch == entry_of(pool).epoch
            assert pool.counters.connects == 1

    run(main())


def test_an_active_connection_is_brought_along_before_anybody_else_has_it(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator() as operator, pool_of(fenced, size=1) as pool:
            connection = await pool.acquire()
            await run_sql(connection, "BEGIN")
            waiter = asyncio.create_task(pool.acquire())
            epoch = await fenced.publish(0)
            pool.set_epoch(epoch, entry_of(pool).here)
            await run_sql(connection, "INSERT INTO orders VALUES ('acme', 1)")
            assert await held(operator, connection.pid) == [1]
            assert not waiter.done()
            await run_sql(connection, "COMMIT")
            pool.release(connection)
            assert await waiter is connection
            assert await held(operator, connection.pid) == [epoch]

    run(main())


def test_a_connection_that_is_being_opened_goes_into_the_epoch_of_its_end(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator() as operator, pool_of(fenced) as pool:
            epoch = await fenced.publish(0)
            waiter = asyncio.create_task(pool.acquire())
            await asyncio.sleep(0)  # its first step asks for a connection
            assert pool.coming == 1
            pool.set_epoch(epoch, entry_of(pool).here)
            connection = await waiter
            assert connection.epoch == epoch
            assert await held(operator, connection.pid) == [epoch]

    run(main())


def test_a_retirement_needs_nobody_but_the_pool(fenced: Fenced) -> None:
    async def main() -> None:
        async with pool_of(fenced) as pool:
            connections = [await pool.acquire() for _ in range(5)]
            for connection in connections[:3]:
                pool.release(connection)
            epoch = await fenced.publish(0)
            retiring = asyncio.create_task(retire(fenced.specs[0], epoch))
            pool.set_epoch(epoch, entry_of(pool).here)
            for connection in connections[3:]:
                pool.release(connection)
            await retiring
            assert pool.size == 5
            assert pool.counters.connects == 5

    run(main())


def test_who_comes_with_a_retired_epoch_waits_for_the_map_and_gets_the_new_one(fenced: Fenced) -> None:
    async def main() -> None:
        epoch = await fenced.publish(0)
        await retire(fenced.specs[0], epoch)
        async with pool_of(fenced) as pool:
            told = asyncio.Event()
            pool.on_retired = told.set
            waiter = asyncio.create_task(pool.acquire())
            await told.wait()
            assert not waiter.done()
            pool.set_epoch(epoch, entry_of(pool).here)
            connection = await waiter
            assert connection.epoch == epoch
            assert pool.counters.closes.total == pool.counters.entries["retired"] >= 1

    run(main())


def test_without_a_newer_map_the_wait_ends_and_says_why(fenced: Fenced) -> None:
    async def main() -> None:
        epoch = await fenced.publish(0)
        await retire(fenced.specs[0], epoch)
        async with pool_of(fenced, wait_timeout=0.3) as pool:
            with pytest.raises(Unavailable, match="the map of epoch 1 is old for shard") as raised:
                await pool.acquire()
            assert raised.value.sqlstate == "57P03"

    run(main())


def test_an_idle_connection_that_comes_too_late_is_closed_and_replaced(fenced: Fenced) -> None:
    """Its sidecar heard of the second map only when the third was in force and the second retired."""

    async def main() -> None:
        async with pool_of(fenced) as pool:
            connection = await pool.acquire()
            pool.release(connection)
            second, third = await fenced.publish(0), await fenced.publish(0)
            retiring = asyncio.create_task(retire(fenced.specs[0], third, grace=30))
            async with fenced.operator() as operator:
                oldest = "SELECT oldest_epoch FROM shardproxy.shard"
                while await operator.fetchval(oldest) != third:  # noqa: ASYNC110 - nothing announces it
                    await asyncio.sleep(0)
            gone, told = closed(connection), asyncio.Event()
            pool.on_retired = told.set
            pool.set_epoch(second, entry_of(pool).here)
            await gone
            await told.wait()
            await retiring
            pool.set_epoch(third, entry_of(pool).here)
            assert (await pool.acquire()).epoch == third

    run(main())


def test_a_replica_that_has_not_replayed_the_epoch_serves_nobody_until_it_has(fenced: Fenced) -> None:
    async def main() -> None:
        async with (
            fenced.operator(replica=True) as replica,
            pool_of(fenced, replica=True) as pool,
        ):
            first, second = await pool.acquire(), await pool.acquire()
            pool.release(first)
            pool.release(second)
            await replica.execute("SELECT pg_wal_replay_pause()")
            try:
                epoch = await fenced.publish(0)
                pool.set_epoch(epoch, entry_of(pool).here)
                with pytest.raises(Behind):
                    await pool.acquire()
                assert pool.behind
                assert pool.idle == []
                await until(lambda: pool.size == 1)  # the one that keeps trying
            finally:
                await replica.execute("SELECT pg_wal_replay_resume()")
            await until(lambda: not pool.behind)
            connection = await pool.acquire()
            assert connection.epoch == epoch
            assert await held(replica, connection.pid) == [epoch]

    run(main())


def test_a_replica_that_died_while_it_was_behind_is_tried_again(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator(replica=True) as replica, pool_of(fenced, replica=True) as pool:
            await replica.execute("SELECT pg_wal_replay_pause()")
            epoch = await fenced.publish(0)
            pool.set_epoch(epoch, entry_of(pool).here)
            with pytest.raises(Behind):
                await pool.acquire()
            await asyncio.to_thread(fenced.replica.restart)
            await until(lambda: pool.size == 0)
            await asyncio.to_thread(fenced.replica.wait_for_replay, fenced.primaries[0])
            assert pool.behind
            pool.sweep()
            await until(lambda: not pool.behind)
            assert (await pool.acquire()).epoch == epoch

    run(main())


def test_another_shard_behind_the_address_serves_nobody(fenced: Fenced) -> None:
    async def main() -> None:
        here = (await place(fenced)).replace("shard-a", "shard-b")
        async with pool_of(fenced, here=here) as pool:
            for _ in range(2):
                with pytest.raises(Unavailable, match='this server is shard "shard-a" of installation'):
                    await pool.acquire()
            assert pool.counters.entries["failed"] >= 1

    run(main())


def test_a_server_without_a_fence_serves_nobody(bare: Fenced) -> None:
    async def main() -> None:
        async with pool_of(bare, here="x/shard-a") as pool:
            with pytest.raises(Unavailable, match='schema "shardproxy" does not exist'):
                await pool.acquire()

    run(main())


def test_a_held_connection_is_brought_along_by_its_holder(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator() as operator, pool_of(fenced) as pool:
            connection = await pool.acquire()
            await run_sql(connection, "LISTEN x; SET search_path = nowhere; SET statement_timeout = '10s'")
            epoch = await fenced.publish(0)
            pool.set_epoch(epoch, entry_of(pool).here)
            await entry_of(pool).bring_along(connection)
            assert await held(operator, connection.pid) == [epoch]
            later = await fenced.publish(0)
            await operator.execute(
                f"UPDATE shardproxy.shard SET (oldest_epoch, newest_epoch) = ({later + 1}, {later + 1})"
            )
            pool.set_epoch(later, entry_of(pool).here)
            with pytest.raises(Unavailable, match="is retired on this shard"):
                await entry_of(pool).bring_along(connection)
            assert connection.closed
            with pytest.raises(Unavailable, match="was lost"):
                await entry_of(pool).bring_along(connection)

    run(main())

"""The pool: order, limits, what comes back and what is closed, on real connections."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace

import pytest

from shardproxy.backend.pool import PoolOptions
from shardproxy.demo.postgres import Server
from shardproxy.errors import ShardproxyError, Unavailable
from tests.backend.pools import Holder, closed, connect, pool_of, run, until
from tests.support import aio

# --- handing out --------------------------------------------------------------------------------------------


def test_waiters_are_served_in_the_order_of_their_arrival(server: Server) -> None:
    async def main() -> None:
        async with pool_of(server, size=1) as pool:
            first = await pool.acquire()
            places = [pool.request() for _ in range(5)]
            for expected in range(5):
                pool.release(first)
                assert [place.done() for place in places] == [i <= expected for i in range(5)]
                assert await pool.claim(places[expected]) is first
            assert pool.counters.connects == 1

    aio.run(main())


def test_a_newcomer_does_not_overtake_those_who_wait(server: Server) -> None:
    async def main() -> None:
        async with pool_of(server, size=1) as pool:
            first = await pool.acquire()
            place = pool.request()
            pool.release(first)
            assert pool.try_acquire() is None
            assert await pool.claim(place) is first

    aio.run(main())


def test_the_last_released_is_the_first_reused(server: Server) -> None:
    async def main() -> None:
        async with pool_of(server, size=2) as pool:
            first, second = await pool.acquire(), await pool.acquire()
            pool.release(first)
            pool.release(second)
            assert pool.try_acquire() is second
            assert pool.try_acquire() is first
            assert pool.try_acquire() is None

    aio.run(main())


def test_no_more_connections_are_opened_than_its_size(server: Server) -> None:
    async def main() -> None:
        async with pool_of(server, size=3) as pool:

            async def use() -> None:
                connection = await pool.acquire()
                await run(connection, "SELECT 1")
                pool.release(connection)

            await asyncio.gather(*(use() for _ in range(30)))
            assert pool.counters.connects <= pool.size == 3
            assert not pool.active

    aio.run(main())


def test_waiting_ends_after_wait_timeout_with_53300(server: Server) -> None:
    async def main() -> None:
        async with pool_of(server, size=1, wait_timeout=0.05) as pool:
            first = await pool.acquire()
            with pytest.raises(Unavailable, match=r"within 0\.05 s") as caught:
                await pool.acquire()
            assert caught.value.sqlstate == "53300"
            assert pool.counters.wait_timeouts == 1
            assert pool.waiting == 0
            pool.release(first)
            assert pool.try_acquire() is first

    aio.run(main())


def test_a_shorter_wait_timeout_counts_for_the_next_who_waits(server: Server) -> None:
    async def main() -> None:
        async with pool_of(server, size=1, wait_timeout=600) as pool:
            await pool.acquire()
            pool.request().leave()
            pool.options = replace(pool.options, wait_timeout=0.05)
            async with asyncio.timeout(30):
                with pytest.raises(Unavailable, match=r"within 0\.05 s"):
                    await pool.acquire()

    aio.run(main())


def test_each_who_waits_has_a_wait_timeout_of_its_own(server: Server) -> None:
    async def main() -> None:
        async with pool_of(server, size=1, wait_timeout=0.1) as pool:
            await pool.acquire()
            first = asyncio.ensure_future(pool.acquire())
            await asyncio.wait([first], timeout=0.05)
            second = asyncio.ensure_future(pool.acquire())
            await asyncio.wait([first])
            assert not second.done()
            await asyncio.wait([second])
            assert pool.counters.wait_timeouts == 2

    aio.run(main())


def test_a_full_queue_refuses_at_once(server: Server) -> None:
    async def main() -> None:
        async with pool_of(server, size=1, wait_queue=2) as pool:
            await pool.acquire()
            places = [pool.request(), pool.request()]
            with pytest.raises(Unavailable) as caught:
                await pool.acquire()
            assert caught.value.sqlstate == "53300"
            assert not any(place.done() for place in places)
            for place in places:
                place.leave()

    aio.run(main())


def test_a_waiter_that_gives_up_leaves_its_place(server: Server) -> None:
    async def main() -> None:
        async with pool_of(server, size=1) as pool:
            first = await pool.acquire()
            gone = asyncio.ensure_future(pool.acquire())
            stays = asyncio.ensure_future(pool.acquire())
            await asyncio.sleep(0)
            assert pool.waiting == 2
            gone.cancel()
            await asyncio.wait([gone])
            pool.release(first)
            assert await stays is first
            assert pool.waiting == 0

    aio.run(main())


def test_a_waiter_cancelled_with_the_connection_in_its_hand_gives_it_to_the_next(server: Server) -> None:
    async def main() -> None:
        async with pool_of(server, size=1) as pool:
            first = await pool.acquire()
            gone = asyncio.ensure_future(pool.acquire())
            stays = asyncio.ensure_future(pool.acquire())
            await asyncio.sleep(0)
            pool.release(first)  # gone has it, and has not run yet
            gone.cancel()
            assert await stays is first
            assert gone.cancelled()
            pool.release(first)
            assert pool.idle == [first]
            assert not pool.active

    aio.run(main())


def test_a_connection_lost_on_the_way_to_its_waiter_is_an_error_and_not_a_hang(server: Server) -> None:
    async def main() -> None:
        async with pool_of(server, size=1) as pool:
            first = await pool.acquire()
            place = pool.request()
            pool.release(first)
            first.abort("pulled the plug")
            with pytest.raises(Unavailable, match="pulled the plug") as caught:
                await pool.claim(place)
            assert caught.value.sqlstate == "08006"
            assert pool.size == 0

    aio.run(main())


# --- connecting ---------------------------------------------------------------------------------------------


def test_a_failed_connect_fails_all_waiters_and_is_not_repeated_at_once(
    new_server: Callable[..., Server],
) -> None:
    server = new_server(auth="trust")

    async def main() -> None:
        async with pool_of(server, size=4, retry_delay=0.2) as pool:
            await asyncio.to_thread(server.kill)
            places = [pool.request() for _ in range(10)]
            results = await asyncio.gather(*(pool.claim(place) for place in places), return_exceptions=True)
            assert {getattr(result, "sqlstate", result) for result in results} == {"08006"}
            failures = pool.counters.connect_failures
            with pytest.raises(Unavailable, match="cannot be reached"):
                await pool.acquire()
            assert pool.counters.connect_failures == failures <= 4

            await asyncio.to_thread(server.start)
            async with asyncio.timeout(5):
                while True:
                    try:
                        connection = await pool.acquire()
                        break
                    except Unavailable:
                        await asyncio.sleep(0.05)
            await run(connection, "SELECT 1")

    aio.run(main())


def test_a_pool_that_cannot_grow_serves_the_queue_with_what_it_has(server: Server) -> None:
    server.query("CREATE ROLE few LOGIN CONNECTION LIMIT 1")

    async def main() -> None:
        async with pool_of(server, size=5, user="few", retry_delay=60) as pool:
            first = await pool.acquire()
            places = [pool.request() for _ in range(20)]
            served = asyncio.ensure_future(pool.claim(places[0]))
            await until(lambda: pool.counters.connect_failures > 0 and not pool.connecting)
            pool.request()
            assert not pool.connecting, "a server that has no room is asked again and again"
            pool.release(first)
            assert await served is first
            assert pool.counters.connect_failures <= 5

    aio.run(main())


def test_a_pool_that_could_not_grow_tries_again_for_those_who_still_wait(server: Server) -> None:
    server.query("CREATE ROLE grows LOGIN CONNECTION LIMIT 1")

    async def main() -> None:
        async with pool_of(server, size=2, user="grows", retry_delay=0.05) as pool:
            await pool.acquire()
            place = pool.request()
            await until(lambda: pool.counters.connect_failures > 0)
            await asyncio.to_thread(server.query, "ALTER ROLE grows CONNECTION LIMIT 2")
            await run(await pool.claim(place), "SELECT 1")

    aio.run(main())


# --- what comes back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param("BEGIN", id="a transaction is open"),
        pytest.param("BEGIN; SELECT 1/0", id="a transaction has failed"),
    ],
)
def test_a_connection_with_a_transaction_is_closed_and_not_reused(server: Server, leave: str) -> None:
    async def main() -> None:
        async with pool_of(server, size=1) as pool:
            first = await pool.acquire()
            await run(first, leave)
            pool.release(first)
            assert first.closed
            assert await pool.acquire() is not first

    aio.run(main())


def test_a_connection_that_still_owes_an_answer_is_closed_and_not_reused(server: Server) -> None:
    async def main() -> None:
        async with pool_of(server, size=1) as pool:
            first = await pool.acquire()
            Holder(first).send("SELECT 'somebody else''s'")
            pool.release(first)
            assert first.closed
            second = await pool.acquire()
            assert second is not first
            answer = await run(second, "SELECT 'mine'")
            assert [body[6:] for kind, body in answer if kind == ord("D")] == [b"mine"]

    aio.run(main())


def test_a_cancelled_connection_waits_until_the_cancel_can_hit_nothing(server: Server) -> None:
    async def main() -> None:
        async with pool_of(server, size=1) as pool:
            first = await pool.acquire()
            holder = Holder(first).send("SELECT 1")
            os.kill(server.pid, signal.SIGSTOP)  # the postmaster alone: it takes cancels, backends go on
            try:
                cancelled = asyncio.ensure_future(pool.cancel(first))
                await holder.answer()
                pool.release(first)
                place = pool.request()
                assert not place.done()
                assert first in pool.active, "it counts towards the size"
                assert not pool.idle
            finally:
                os.kill(server.pid, signal.SIGCONT)
            assert await pool.claim(place) is first
            assert await cancelled
            answer = await run(first, "SELECT 'not cancelled'")
            assert not [kind for kind, _ in answer if kind == ord("E")]

    aio.run(main())


def test_a_connection_whose_cancel_got_stuck_is_never_reused(server: Server) -> None:
    async def main() -> None:
        async with pool_of(server, size=1, cancel_timeout=0.1) as pool:
            first = await pool.acquire()
            holder = Holder(first).send("SELECT 1")
            os.kill(server.pid, signal.SIGSTOP)
            try:
                assert not await pool.cancel(first)
            finally:
                os.kill(server.pid, signal.SIGCONT)
            await holder.answer()
            pool.release(first)
            assert first.closed
            assert await pool.acquire() is not first

    aio.run(main())


# --- upkeep -------------------------------------------------------------------------------------------------


def test_idle_connections_are_closed_after_idle_timeout(server: Server) -> None:
    async def main() -> None:
        async with pool_of(server, size=2, idle_timeout=0.02) as pool:
            first, second = await pool.acquire(), await pool.acquire()
            pool.release(first)
            await run(second, "SELECT pg_sleep(0.03)")
            pool.release(second)
            pool.sweep()
            assert first.closed
            assert not second.closed
            assert [reason for reason, _ in pool.counters.closes] == ["idle_timeout"]

    aio.run(main())


@pytest.mark.parametrize("idle", [True, False])
def test_a_connection_older_than_max_lifetime_is_closed_when_it_is_free(server: Server, idle: bool) -> None:
    async def main() -> None:
        async with pool_of(server, size=1, max_lifetime=0.02) as pool:
            first = await pool.acquire()
            if idle:
                pool.release(first)
                assert not first.closed
                await run(await connect(server), "SELECT pg_sleep(0.03)")
                pool.sweep()
            else:
                await run(first, "SELECT pg_sleep(0.03)")
                pool.sweep()
                assert not first.closed, "somebody uses it"
                pool.release(first)
            assert first.closed
            assert [reason for reason, _ in pool.counters.closes] == ["max_lifetime"]

    aio.run(main())


def test_a_pool_made_smaller_closes_what_comes_back(server: Server) -> None:
    async def main() -> None:
        async with pool_of(server, size=3) as pool:
            connections = [await pool.acquire() for _ in range(3)]
            pool.options = PoolOptions(size=1)
            for connection in connections:
                pool.release(connection)
            assert [connection.closed for connection in connections] == [True, True, False]

    aio.run(main())


def test_a_connection_the_server_ends_leaves_the_pool(server: Server) -> None:
    async def main() -> None:
        async with pool_of(server, size=1) as pool:
            first = await pool.acquire()
            pool.release(first)
            gone = closed(first)
            await asyncio.to_thread(server.query, f"SELECT pg_terminate_backend({first.pid})")
            assert "administrator command" in await gone
            assert pool.size == 0
            assert await pool.acquire() is not first

    aio.run(main())


def test_a_closing_pool_refuses_and_closes_what_comes_back(server: Server) -> None:
    async def main() -> None:
        async with pool_of(server, size=2) as pool:
            active, idle = await pool.acquire(), await pool.acquire()
            pool.release(idle)
            pool.options = PoolOptions(size=1)
            place = pool.request()  # takes the idle one
            assert await pool.claim(place) is idle
            waits = pool.request()
            await pool.close()
            with pytest.raises(ShardproxyError, match="shutting down"):
                await pool.claim(waits)
            with pytest.raises(ShardproxyError, match="shutting down"):
                await pool.acquire()
            pool.release(active)
            pool.release(idle)
            assert active.closed
            assert idle.closed
            assert pool.size == 0

    aio.run(main())

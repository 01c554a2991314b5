"""Cancel requests reach the server and hit what was meant."""

import asyncio
import os
import signal

from shardproxy.backend.cancel import cancel
from shardproxy.backend.server import Address
from shardproxy.demo.postgres import Server
from tests.backend.pools import Holder, address, connect, run
from tests.support import aio


def test_what_runs_is_cancelled_and_the_connection_stays_good(server: Server) -> None:
    async def main() -> None:
        connection = await connect(server)
        for where in (address(server), Address(str(server.socket_dir), server.port)):
            holder = Holder(connection).send("SELECT pg_sleep(60)")
            await asyncio.to_thread(_until_it_sleeps, server, connection.pid)
            assert await cancel(where, connection, 5)
            assert await holder.failure() == "57014"
            assert connection.is_clean
        answer = await run(connection, "SELECT 1")
        assert [kind for kind, _ in answer] == list(b"TDCZ")
        connection.close("done")

    aio.run(main())


def _until_it_sleeps(server: Server, pid: int) -> None:
    """A cancel that comes before its query hits nothing."""
    while server.query(f"SELECT wait_event FROM pg_stat_activity WHERE pid = {pid}") != "PgSleep":
        pass


def test_a_cancel_of_nothing_does_nothing(server: Server) -> None:
    async def main() -> None:
        connection = await connect(server)
        for _ in range(20):
            assert await cancel(address(server), connection, 5)
            answer = await run(connection, "SELECT 1")
            assert [kind for kind, _ in answer] == list(b"TDCZ")
        connection.close("done")

    aio.run(main())


def test_nobody_may_have_the_connection_while_a_cancel_is_under_way(server: Server) -> None:
    async def main() -> None:
        connection = await connect(server)
        ended: list[bool] = []
        connection.on_cancels_ended = lambda it: ended.append(it.is_clean)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            requests = [asyncio.ensure_future(cancel(address(server), connection, 5)) for _ in range(3)]
            await asyncio.sleep(0)
            assert connection.cancels == 3
            assert not connection.is_clean
        finally:
            os.kill(server.pid, signal.SIGCONT)
        assert await asyncio.gather(*requests) == [True] * 3
        assert ended == [True]
        connection.close("done")

    aio.run(main())


def test_a_cancel_counts_before_it_has_begun(server: Server) -> None:
    """Else the connection could be somebody else's when the request goes out."""

    async def main() -> None:
        connection = await connect(server)
        request = cancel(address(server), connection, 5)
        assert not connection.is_clean
        assert await request
        assert connection.is_clean
        connection.close("done")

    aio.run(main())


def test_a_cancel_that_is_given_up_spoils_the_connection(server: Server) -> None:
    async def main() -> None:
        for give_up in ("timeout", "task"):
            connection = await connect(server)
            os.kill(server.pid, signal.SIGSTOP)
            try:
                request = asyncio.ensure_future(cancel(address(server), connection, 0.1))
                if give_up == "task":
                    await asyncio.sleep(0.01)
                    request.cancel()
                    await asyncio.wait([request])
                else:
                    assert not await request
            finally:
                os.kill(server.pid, signal.SIGCONT)
            assert connection.is_settled
            assert not connection.is_clean, "the request may still arrive"
            connection.close("done")

    aio.run(main())


def test_a_server_that_is_gone_takes_no_cancel(server: Server) -> None:
    async def main() -> None:
        connection = await connect(server)
        assert not await cancel(Address("127.0.0.1", 1), connection, 1)
        connection.close("done")

    aio.run(main())

"""A server connection: whose bytes go where, what is prepared, and what a loss leaves behind."""

import asyncio
from collections.abc import Callable

import pytest

from shardproxy.backend.connection import ServerConnection
from shardproxy.backend.request import ServerError, ask, command, learn
from shardproxy.demo.postgres import Server
from shardproxy.errors import Unavailable
from shardproxy.routing.route import Role
from shardproxy.wire import client_messages
from shardproxy.wire.frames import FrameReader
from shardproxy.wire.replies import DROP, SYNC
from tests.backend.pools import Holder, closed, connect, pool_of, run
from tests.support import aio


async def prepared_on(connection: ServerConnection) -> set[bytes]:
    """The names the server has."""
    answer = await run(connection, "SELECT name FROM pg_prepared_statements")
    return {body[6:] for kind, body in answer if kind == ord("D")}


def test_at_most_prepared_limit_statements_stay_the_least_used_goes(server: Server) -> None:
    async def main() -> None:
        connection = await connect(server)
        connection.prepared_limit = 2
        for name in (b"a", b"b", b"a", b"c"):
            messages = connection.prepare(name, b"SELECT '" + name + b"'", ())
            await ask(connection, messages + client_messages.SYNC, SYNC | DROP)
        assert list(connection.prepared) == [b"a", b"c"]
        assert await prepared_on(connection) == {b"a", b"c"}
        connection.close("done")

    aio.run(main())


def test_a_statement_the_server_refused_does_not_count_as_prepared(server: Server) -> None:
    async def main() -> None:
        connection = await connect(server)
        connection.prepared_limit = 1
        await ask(
            connection, connection.prepare(b"good", b"SELECT 1", ()) + client_messages.SYNC, SYNC | DROP
        )
        messages = connection.prepare(b"bad", b"SELECT nothing", ())
        with pytest.raises(ServerError) as caught:
            await ask(connection, messages + client_messages.SYNC, SYNC | DROP)
        assert caught.value.sqlstate == "42703"
        assert set(connection.prepared) == await prepared_on(connection)
        connection.close("done")

    aio.run(main())


def test_what_a_statement_is_can_be_learned(server: Server) -> None:
    async def main() -> None:
        connection = await connect(server)
        learned = await learn(connection, b"s", b"SELECT $1::int8 + 1 AS sum", ())
        assert learned.parameters == b"\0\x01\0\0\0\x14"
        assert learned.row is not None
        assert b"sum\0" in learned.row
        assert connection.is_clean
        with pytest.raises(ServerError, match='column "nothing" does not exist'):
            await learn(connection, b"t", b"SELECT nothing", ())
        assert b"t" not in connection.prepared
        assert connection.is_clean
        connection.close("done")

    aio.run(main())


def test_a_statement_is_described_as_it_is_now_whatever_was_prepared(server: Server) -> None:
    async def main() -> None:
        connection = await connect(server)
        await command(connection, b"CREATE TEMP TABLE t (a int)")
        text = b"SELECT * FROM t"
        before = await learn(connection, b"s", text, ())
        kept = connection.prepared[b"s"]
        await command(connection, b"ALTER TABLE t ADD b int")
        after = await learn(connection, b"s", text, ())
        assert before.row != after.row
        assert isinstance(kept, bytes)
        assert connection.prepared[b"s"] not in (kept, True, False)
        assert connection.prepare(b"s", text, ()) == b""
        assert await prepared_on(connection) == {b"s"}
        connection.close("done")

    aio.run(main())


def test_an_error_of_a_command_is_the_servers_own(server: Server) -> None:
    async def main() -> None:
        connection = await connect(server)
        with pytest.raises(ServerError, match="unrecognized configuration parameter") as caught:
            await command(connection, b"SET nothing = 1")
        assert caught.value.sqlstate == "42704"
        assert connection.is_clean
        connection.close("done")

    aio.run(main())


def test_a_request_cancelled_in_the_middle_closes_the_connection(server: Server) -> None:
    async def main() -> None:
        connection = await connect(server)
        request = asyncio.ensure_future(command(connection, b"SELECT pg_sleep(60)"))
        await asyncio.sleep(0)
        assert not connection.is_settled
        request.cancel()
        await asyncio.wait([request])
        assert connection.closed

    aio.run(main())


def test_a_request_of_ours_that_would_copy_fails(server: Server) -> None:
    async def main() -> None:
        connection = await connect(server)
        await command(connection, b"CREATE TEMP TABLE t (i int)")
        with pytest.raises(Exception, match="COPY"):
            await command(connection, b"COPY t FROM STDIN")
        assert connection.closed

    aio.run(main())


def test_who_holds_a_connection_that_is_lost_is_told_why(server: Server) -> None:
    async def main() -> None:
        connection = await connect(server)
        holder = Holder(connection).send("SELECT pg_sleep(60)")
        await asyncio.to_thread(server.query, f"SELECT pg_terminate_backend({connection.pid})")
        with pytest.raises(
            Unavailable, match="terminating connection due to administrator command"
        ) as caught:
            await holder.answer()
        assert caught.value.sqlstate == "08006"
        assert connection.closed
        assert not connection.is_settled

    aio.run(main())


def test_a_connection_that_is_lost_while_idle_knows_why(server: Server) -> None:
    async def main() -> None:
        connection = await connect(server)
        gone = closed(connection)
        await asyncio.to_thread(server.query, f"SELECT pg_terminate_backend({connection.pid})")
        assert "administrator command" in await gone

    aio.run(main())


def test_rows_wait_in_the_server_while_reading_is_paused(server: Server) -> None:
    async def main() -> None:
        connection = await connect(server)
        holder = Holder(connection).send("SELECT repeat('x', 1000000) FROM generate_series(1, 50)")
        connection.pause_reading()
        await asyncio.to_thread(
            _until,
            lambda: (
                server.query(f"SELECT wait_event FROM pg_stat_activity WHERE pid = {connection.pid}")
                == "ClientWrite"
            ),
        )
        before = len(holder.data)
        assert before < 1_000_000
        connection.resume_reading()
        answer = await holder.answer()
        assert sum(kind == ord("D") for kind, _ in answer) == 50
        connection.close("done")

    aio.run(main())


def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        pass


def test_a_promoted_replica_serves_nobody_after_the_answer_under_way(
    new_server: Callable[..., Server],
) -> None:
    primary = new_server("primary", auth="trust")
    standby = primary.basebackup("standby").start()

    async def main() -> None:
        async with pool_of(standby, Role.REPLICA, size=2) as pool:
            idle, active = await pool.acquire(), await pool.acquire()
            pool.release(idle)
            await asyncio.to_thread(standby.promote)
            answer = await run(active, "SELECT 'complete'")
            assert [kind for kind, _ in answer if kind in b"DCEZ"] == list(b"DCZ")
            pool.release(active)
            assert active.closed
            assert idle.closed
            with pytest.raises(Unavailable, match="is a primary, not a replica"):
                await pool.acquire()

    aio.run(main())


def test_who_listens_on_a_connection_is_told_during_a_request_of_ours(server: Server) -> None:
    async def main() -> None:
        connection = await connect(server)
        await run(connection, "LISTEN news")
        holder = Holder(connection)
        await command(connection, b"NOTIFY news, 'x'; DO $$BEGIN RAISE NOTICE 'ours'; END$$; SELECT 1")
        ((kind, body),) = FrameReader(1 << 20).feed(holder.data)
        assert (chr(kind), body[4:]) == ("A", b"news\0x\0")
        assert connection.sink is holder
        connection.close("done")

    aio.run(main())

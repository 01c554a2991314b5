"""Logging in to servers: what is checked before a connection may serve, and servers that misbehave."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from shardproxy.backend.login import open_connection
from shardproxy.backend.server import Address, Login, SocketOptions
from shardproxy.demo.postgres import Server
from shardproxy.errors import ShardproxyError, Unavailable
from shardproxy.routing.route import Role
from shardproxy.secret import Secret
from tests.backend.pools import address, closed, connect, run
from tests.support import aio

OK = b"R\0\0\0\x08\0\0\0\0"
UTF8 = b"S\0\0\0\x19server_encoding\0UTF8\0"
KEY = b"K\0\0\0\x0c\0\0\0\x01\0\0\0\x02"
READY = b"Z\0\0\0\x05I"


def test_a_fresh_connection_is_clean_and_knows_what_the_server_reported(server: Server) -> None:
    async def main() -> None:
        connection = await connect(server)
        assert connection.is_clean
        assert connection.parameters["in_hot_standby"] == "off"
        assert connection.pid > 0
        connection.close("done")

    aio.run(main())


def test_roles_are_checked_before_and_after_a_promotion(new_server: Callable[..., Server]) -> None:
    primary = new_server("primary", auth="trust")
    standby = primary.basebackup("standby").start()

    async def main() -> None:
        with pytest.raises(Unavailable, match="is a standby, not a primary"):
            await connect(standby, Role.PRIMARY)
        with pytest.raises(Unavailable, match="is a primary, not a replica"):
            await connect(primary, Role.REPLICA)
        (await connect(standby, Role.REPLICA)).close("done")
        await asyncio.to_thread(standby.promote)
        (await connect(standby, Role.PRIMARY)).close("done")
        with pytest.raises(Unavailable, match="is a primary, not a replica"):
            await connect(standby, Role.REPLICA)

    aio.run(main())


def test_a_server_of_another_encoding_is_refused(server: Server) -> None:
    server.query("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")

    async def main() -> None:
        with pytest.raises(Unavailable, match="UTF8 is needed"):
            await open_connection(
                address(server),
                Login("postgres", "latin"),
                Role.PRIMARY,
                SocketOptions(),
                connect_timeout=2,
                login_timeout=5,
                settings=None,
            )

    aio.run(main())


def test_a_wrong_password_is_told_with_the_servers_sqlstate(new_server: Callable[..., Server]) -> None:
    server = new_server()

    async def main() -> None:
        with pytest.raises(ShardproxyError, match="password authentication failed") as caught:
            await open_connection(
                address(server),
                Login("postgres", "postgres", Secret("wrong")),
                Role.PRIMARY,
                SocketOptions(),
                connect_timeout=2,
                login_timeout=5,
                settings=None,
            )
        assert caught.value.sqlstate == "28P01"
        assert "wrong" not in str(caught.value)

    aio.run(main())


def test_a_unix_socket_is_connected_to_by_its_directory(server: Server) -> None:
    async def main() -> None:
        connection = await connect(Address(str(server.socket_dir), server.port))
        await run(connection, "SELECT 1")
        connection.close("done")

    aio.run(main())


def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        async def main() -> None:
            with pytest.raises(Unavailable, match="refused"):
                await connect(Address("127.0.0.1", port))

        aio.run(main())


# --- servers that misbehave ---------------------------------------------------------------------------------

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def against(serve: Serve, check: Callable[[Address], Awaitable[None]]) -> None:
    """Run ``check`` against a server of one's own that does ``serve`` with each connection."""

    async def main() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await serve(reader, writer)
            finally:
                writer.close()

        listener = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with listener:
            await check(Address("127.0.0.1", listener.sockets[0].getsockname()[1]))

    aio.run(main())


def says(data: bytes) -> Serve:
    """Take the start-up packet, say ``data``, wait for the other side to close."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10_000)
        writer.write(data)
        await reader.read()

    return serve


def test_a_login_that_does_not_end_is_given_up() -> None:
    async def check(where: Address) -> None:
        with pytest.raises(Unavailable, match=r"within 0\.1 s"):
            await connect(where, login_timeout=0.1)

    against(says(OK), check)


def test_a_server_that_hangs_up_during_the_login() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10_000)
        writer.write(OK)

    async def check(where: Address) -> None:
        with pytest.raises(Unavailable, match="during the login"):
            await connect(where)

    against(hang_up, check)


def test_a_server_that_resets_at_once() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async def check(where: Address) -> None:
        for _ in range(20):
            with pytest.raises(Unavailable):
                await connect(where)

    against(reset, check)


@pytest.mark.parametrize("more", [READY, b"D\0\0\0\x06\0\0", b"X"])
def test_more_than_a_login_is_no_login(more: bytes) -> None:
    async def check(where: Address) -> None:
        connection = None
        try:
            connection = await connect(where)
        except ShardproxyError:
            return
        assert not connection.is_settled

    against(says(OK + UTF8 + KEY + READY + more), check)


def test_an_end_right_behind_the_login_is_noticed() -> None:
    async def ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10_000)
        writer.write(OK + UTF8 + KEY + READY)

    async def check(where: Address) -> None:
        try:
            connection = await connect(where)
        except ShardproxyError:
            return
        await closed(connection)

    against(ends, check)


def test_an_endless_message_is_not_collected() -> None:
    async def check(where: Address) -> None:
        with pytest.raises(ShardproxyError, match="message length"):
            await connect(where)

    against(says(b"R\x7f\xff\xff\xff"), check)

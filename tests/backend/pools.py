"""Pools and connections to real servers, and a holder that keeps what a connection brings."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from shardproxy.backend.connection import ServerConnection
from shardproxy.backend.login import open_connection
from shardproxy.backend.pool import PoolOptions
from shardproxy.backend.server import Address, Login, SocketOptions
from shardproxy.backend.shards import BackendOptions, ServerPool, ServerSpec
from shardproxy.counters import Counters
from shardproxy.demo.postgres import Server
from shardproxy.errors import ShardproxyError
from shardproxy.routing.route import Role
from shardproxy.wire import client_messages
from shardproxy.wire.frames import FrameReader
from shardproxy.wire.replies import QUERY
from shardproxy.wire.server_messages import parse_error


def address(server: Server) -> Address:
    """Where a server listens."""
    return Address("127.0.0.1", server.port)


async def connect(
    server: Server | Address, role: Role = Role.PRIMARY, *, login_timeout: float = 5.0, user: str = "postgres"
) -> ServerConnection:
    """One connection, of no pool."""
    return await open_connection(
        address(server) if isinstance(server, Server) else server,
        Login(user, "postgres"),
        role,
        SocketOptions(),
        connect_timeout=2.0,
        login_timeout=login_timeout,
        settings=None,
    )


@asynccontextmanager
async def pool_of(
    server: Server,
    role: Role = Role.PRIMARY,
    *,
    user: str = "postgres",
    cancel_timeout: float = 5.0,
    **options: Any,
) -> AsyncIterator[ServerPool]:
    """A pool to a server; ``options`` are PoolOptions'."""
    of_pool = PoolOptions(**options)
    backend = BackendOptions(of_pool, of_pool, SocketOptions(), cancel_timeout=cancel_timeout)
    spec = ServerSpec(address(server), Login(user, "postgres"))
    pool = ServerPool("shard-a", role, spec, backend, Counters(), None)
    try:
        yield pool
    finally:
        await pool.close()
        pool.abort()


class Holder:
    """Holds a connection for one request at a time; ``data`` is all that it brought."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.data = b""
        self.error: ShardproxyError | None = None
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        connection.sink = self

    def send(self, sql: str) -> "Holder":
        """Send a simple query."""
        self.connection.stream.promise(QUERY)
        self.connection.send(client_messages.query(sql.encode()))
        return self

    async def answer(self) -> list[tuple[int, bytes]]:
        """Wait for ReadyForQuery; the messages that came. Raises what the connection was lost by."""
        await self.done
        self.connection.sink = None
        return FrameReader(1 << 30).feed(self.data)

    async def failure(self) -> str:
        """Wait for the end; the SQLSTATE of the error that came."""
        return next(parse_error(body)["C"] for kind, body in await self.answer() if kind == ord("E"))

    def reply(self, connection: ServerConnection, data: bytes) -> None:
        self.data += data

    def ready(self, connection: ServerConnection, status: int) -> None:
        self.done.set_result(status)

    def copy_in(self, connection: ServerConnection) -> None:
        raise AssertionError("no test copies")

    def lost(self, connection: ServerConnection, error: ShardproxyError) -> None:
        self.done.set_exception(error)

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass


async def run(connection: ServerConnection, sql: str) -> list[tuple[int, bytes]]:
    """The messages that answer a simple query."""
    return await Holder(connection).send(sql).answer()


def closed(connection: ServerConnection) -> "asyncio.Future[str]":
    """Ends with the reason when the connection is closed."""
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    if connection.closed:
        future.set_result(connection.reason)
    told = connection.on_closed

    def on_closed(connection: ServerConnection) -> None:
        told(connection)
        future.set_result(connection.reason)

    connection.on_closed = on_closed
    return future


async def until(condition: Callable[[], bool]) -> None:
    """Return when ``condition`` holds, which nothing announces."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.005)

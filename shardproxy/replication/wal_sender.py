"""A connection in replication mode, which asyncpg cannot open: the manual's "Streaming Replication
Protocol".
"""

import asyncio
from collections import deque
from typing import Final, Self

from shardproxy.backend.shards import ServerSpec
from shardproxy.errors import Blame, ShardproxyError, Unavailable
from shardproxy.wire import client_messages
from shardproxy.wire.frames import FrameReader
from shardproxy.wire.login import MAX_LOGIN_MESSAGE, LoginOptions, Message, login_script
from shardproxy.wire.server_messages import parse_data_row, parse_error

TIMEOUT: Final = 10.0
"""Seconds for a connect with its login."""

_READ: Final = 65_536
_ERROR, _ROW, _READY = ord("E"), ord("D"), ord("Z")


class CommandFailed(ShardproxyError):
    """The server refused a replication command; it has the server's SQLSTATE and message."""

    blame = Blame.SERVER


class WalSender:
    """One connection to a server's WAL sender, in the database of its login. It does one command at a
    time.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Use :meth:`open`."""
        self._reader = reader
        self._writer = writer
        self._frames = FrameReader(MAX_LOGIN_MESSAGE)
        self._messages: deque[Message] = deque()

    @classmethod
    async def open(cls, server: ServerSpec, application_name: str, *, timeout: float = TIMEOUT) -> Self:
        """Connect and log in; ``timeout`` in seconds. Raises Unavailable or LoginFailed."""
        address = server.address
        try:
            async with asyncio.timeout(timeout):
                if address.socket_path is not None:
                    streams = await asyncio.open_unix_connection(address.socket_path)
                else:
                    streams = await asyncio.open_connection(address.host, address.port)
                connection = cls(*streams)
                try:
                    await connection._log_in(server, application_name)
                except BaseException:
                    connection.close()
                    raise
                return connection
        except TimeoutError as error:
            raise Unavailable(f"{address} did not finish the login within {timeout:g} s") from error
        except OSError as error:
            raise Unavailable(f"{address}: {error.strerror or error}") from error

    async def row(self, command: str) -> tuple[str | None, ...]:
        """Run a command that answers with one row; its columns as text. Raises CommandFailed or Unavailable.

        It may take as long as the server likes; cancelled, the connection is of no use any more.
        """
        self._writer.write(client_messages.query(command.encode()))
        row: tuple[bytes | None, ...] | None = None
        failure: CommandFailed | None = None
        while True:
            kind, body = await self._next()
            if kind == _ROW:
                row = parse_data_row(body)
            elif kind == _ERROR:
                failure = _failed(body)
                if failure.severity != "ERROR":
                    raise failure
            elif kind == _READY:
                break
        if failure is not None:
            raise failure
        if row is None:
            raise CommandFailed("the server answered a replication command without a row", sqlstate="08P01")
        return tuple(None if value is None else value.decode() for value in row)

    def close(self) -> None:
        """Close it at once, whatever it is doing."""
        self._writer.transport.abort()

    async def _log_in(self, server: ServerSpec, application_name: str) -> None:
        login = server.login
        settings = {
            "replication": "database",
            "application_name": application_name,
            "client_encoding": "UTF8",
        }
        options = LoginOptions(settings=settings, allow_cleartext=server.address.is_local)
        script = login_script(login.user, login.database, login.password, options)
        data = next(script)
        try:
            while True:
                if data:
                    self._writer.write(data)
                data = script.send(await self._next())
        except StopIteration:
            pass

    async def _next(self) -> Message:
        while not self._messages:
            try:
                data = await self._reader.read(_READ)
            except OSError as error:
                raise Unavailable(
                    f"the connection to the server failed: {error.strerror or error}"
                ) from error
            if not data:
                raise Unavailable("the server closed the replication connection")
            self._messages.extend(self._frames.feed(data))
        return self._messages.popleft()


def _failed(body: bytes) -> CommandFailed:
    fields = parse_error(body)
    failure = CommandFailed(
        fields.get("M", "the server refused a replication command"),
        sqlstate=fields.get("C"),
        detail=fields.get("D"),
        hint=fields.get("H"),
    )
    failure.severity = fields.get("V", fields.get("S", "ERROR"))
    return failure

"""A request of our own on a server connection: settings, ROLLBACK, learning what a statement is."""

import asyncio

from shardproxy.backend.connection import ServerConnection
from shardproxy.backend.sink import Sink
from shardproxy.errors import Blame, ShardproxyError
from shardproxy.wire import client_messages
from shardproxy.wire.replies import DROP, QUERY, SYNC, Learn
from shardproxy.wire.server_messages import parse_error

NOTIFICATION = b"A"


class ServerError(ShardproxyError):
    """An error that a server answered; ``body`` is its ErrorResponse, to be handed to the client as it is."""

    blame = Blame.SERVER

    def __init__(self, body: bytes) -> None:
        fields = parse_error(body)
        super().__init__(
            fields.get("M", "error without a message"),
            sqlstate=fields.get("C", "XX000"),
            detail=fields.get("D"),
            hint=fields.get("H"),
        )
        self.body = body


class _Request:
    """The sink of one request: nothing is handed on but notifications for ``holder``, who listens on the
    connection; its ReadyForQuery resolves ``done``.
    """

    def __init__(self, holder: Sink | None) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._holder = holder

    def reply(self, connection: ServerConnection, data: bytes) -> None:
        if self._holder is not None and data.startswith(NOTIFICATION):
            self._holder.reply(connection, data)

    def ready(self, connection: ServerConnection, status: int) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def copy_in(self, connection: ServerConnection) -> None:
        connection.abort("COPY in a request of our own")
        self.lost(connection, ShardproxyError("COPY in a request of our own"))

    def lost(self, connection: ServerConnection, error: ShardproxyError) -> None:
        if not self.done.done():
            self.done.set_exception(error)

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass


async def ask(connection: ServerConnection, messages: bytes, *owed: object) -> None:
    """Send ``messages`` on a connection nothing is owed on, and wait for their end.

    Raises ServerError for the server's error, Unavailable when the connection is lost; when it is
    cancelled in the middle, the connection is closed.
    """
    holder = connection.sink
    request = _Request(holder)
    connection.stream.error = None
    for item in owed:
        connection.stream.promise(item)
    connection.sink = request
    connection.send(messages)
    try:
        await request.done
    except asyncio.CancelledError:
        connection.abort("cancelled in the middle of a request")
        raise
    finally:
        connection.sink = holder
    error, connection.stream.error = connection.stream.error, None
    if error is not None:
        raise ServerError(error)


async def command(connection: ServerConnection, sql: bytes) -> None:
    """Run SQL of ours by the simple protocol and drop what it returns."""
    await ask(connection, client_messages.query(sql), QUERY | DROP)


async def learn(connection: ServerConnection, name: bytes, text: bytes, oids: tuple[int, ...]) -> Learn:
    """Prepare ``text`` under ``name``, anew if it is already, and learn its parameters and columns."""
    learned = Learn(name)
    await ask(connection, connection.describe(learned, text, oids) + client_messages.SYNC, SYNC | DROP)
    return learned

"""Holding up the cut-over of moves on a server connection, while a transaction on their rows runs there.

A hold is a lock of the connection (``catalog/shard_functions.sql``): it is taken before the transaction's
first statement on the rows, so that no statement of the client's is under way when the rows turn out to be
elsewhere, and let go before anybody else has the connection.
"""

from collections.abc import Iterable
from typing import Final

from shardproxy.backend.connection import ServerConnection
from shardproxy.backend.request import ServerError, command
from shardproxy.errors import RouteAgain
from shardproxy.wire.server_messages import READY_IDLE

NOT_HERE: Final = "SP001"
CANCELLED: Final = "57014"


async def hold(connection: ServerConnection, moves: Iterable[int]) -> None:
    """Hold up ``moves`` until :func:`let_go`.

    Raises RouteAgain where their rows are not, or soon not, on the shard any more, and ServerError for
    anything else that the server says. Outside of a transaction block the connection is as before then; an
    open block has failed.
    """
    for move in moves:
        if move in connection.holds:
            continue
        outside = connection.status == READY_IDLE
        connection.holds.add(move)
        call = f"SELECT shardproxy.hold({move})"
        if outside:
            call = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {call}; COMMIT"
        try:
            await command(connection, call.encode())
        except ServerError as error:
            if outside:
                await command(connection, b"ROLLBACK")
            if error.sqlstate != NOT_HERE:
                raise
            connection.holds.discard(move)
            raise RouteAgain from None


async def let_go(connection: ServerConnection) -> None:
    """Let go of all that the connection, which is settled, holds up. Raises Unavailable when it is lost."""
    while connection.holds:
        calls = ", ".join(f"shardproxy.let_go({move})" for move in connection.holds)
        try:
            await command(connection, f"SELECT {calls}".encode())
        except ServerError as error:
            if error.sqlstate != CANCELLED:  # that was for a request which had ended
                connection.abort(f"a move could not be let go: {error.message}")
                raise
        else:
            connection.holds.clear()

"""A place in the queue for a connection."""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from shardproxy.backend.connection import ServerConnection
from shardproxy.errors import ShardproxyError, Unavailable

if TYPE_CHECKING:
    from shardproxy.backend.pool import Pool


class Place:
    """A place in the queue of ``pool``, until it has a connection or an error.

    ``since`` is the loop time of its beginning. ``wake`` is called once, at its end: who waits may go on
    inside of what freed the connection. To be awaited by a coroutine that hands the place on to somebody who
    sets ``wake`` (``session.eager``); tasks use :meth:`Pool.claim`.
    """

    def __init__(self, pool: "Pool", since: float) -> None:
        self.pool = pool
        self.since = since
        self.connection: ServerConnection | None = None
        self.error: ShardproxyError | None = None
        self.wake: Callable[[], object] | None = None

    def done(self) -> bool:
        """It has come to its end."""
        return self.connection is not None or self.error is not None

    def end(self, connection: ServerConnection | None, error: ShardproxyError | None) -> None:
        """The pool has a connection for it, or tells why there is none."""
        self.connection, self.error = connection, error
        wake, self.wake = self.wake, None
        if wake is not None:
            wake()

    def set_exception(self, error: ShardproxyError) -> None:
        """Who waits is to go on with ``error``. Nothing if it has come to its end."""
        if not self.done():
            self.pool.forget_place(self)
            self.end(None, error)

    def leave(self) -> None:
        """Nobody waits any more: a connection that has come goes to the next in the queue. Idempotent."""
        connection = self.connection
        if not self.done():
            self.pool.forget_place(self)
        self.connection, self.error, self.wake = None, ShardproxyError("nobody waits here"), None
        if connection is not None:
            self.pool.release(connection)

    def result(self) -> ServerConnection:
        """The connection. Raises its error, or Unavailable (08006) when it was lost on the way."""
        if self.error is not None:
            raise self.error
        connection = self.connection
        assert connection is not None
        if connection.closed:
            raise Unavailable(f"connection to {self.pool.name} was lost: {connection.reason}")
        return connection

    def __await__(self) -> "Generator[Place, None, ServerConnection]":
        if not self.done():
            try:
                yield self
            except BaseException:
                self.leave()
                raise
        return self.result()

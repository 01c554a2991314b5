"""The pool of connections to one server: who may have one now, who waits, what is opened and closed.

Waiters are served in order. A connection is handed out again only when it is clean; whatever is not, is
closed.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from shardproxy.backend.connection import ServerConnection
from shardproxy.counters import PoolCounters, ShardCounters
from shardproxy.errors import ShardproxyError, Unavailable


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """Limits of one pool; durations in seconds, 0 means never for ``idle_timeout`` and ``max_lifetime``."""

    size: int = 10
    wait_timeout: float = 30.0
    wait_queue: int = 10_000
    idle_timeout: float = 600.0
    max_lifetime: float = 3600.0
    retry_delay: float = 0.5
    prepared_statements: int = 200


Opener = Callable[[], Awaitable[ServerConnection]]


class Pool:
    """Connections to one server. Used from one event loop; nothing here blocks it.

    ``idle`` is a stack (the last released is the first reused), ``active`` are checked out, ``connecting``
    is the number of logins under way. ``refused_until`` is the loop time until which a failed connect is
    not repeated; ``last_failure`` says why.
    """

    def __init__(
        self,
        name: str,
        open_connection: Opener,
        options: PoolOptions,
        pool: PoolCounters,
        traffic: ShardCounters,
    ) -> None:
        self.name = name
        self.options = options
        self.counters = pool
        self.traffic = traffic
        self.idle: list[ServerConnection] = []
        self.active: set[ServerConnection] = set()
        self.connecting = 0
        self.waiters: deque[asyncio.Future[ServerConnection]] = deque()
        self.refused_until = 0.0
        self.last_failure: ShardproxyError | None = None
        self.closed = False
        self._open = open_connection
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Clients that wait for a connection."""
        return len(self.waiters)

    # --- handing out ----------------------------------------------------------------------------------------

    def try_acquire(self) -> ServerConnection | None:
        """An idle connection at once, or None; never overtakes those who wait."""
        if self.waiters or not self.idle:
            return None
        connection = self.idle.pop()
        self.active.add(connection)
        return connection

    def request(self) -> "asyncio.Future[ServerConnection]":
        """A place in the queue. The future ends with a connection or an error; who gives up cancels it.

        Errors: Unavailable when the server cannot be reached (08006), or after ``wait_timeout`` (53300).
        """
        future: asyncio.Future[ServerConnection] = self._loop.create_future()
        connection = self.try_acquire()
        if connection is not None:
            future.set_result(connection)
            return future
        if self.closed:
            future.set_exception(Unavailable(f"{self.name} is shutting down", sqlstate="57P01"))
            return future
        if self.last_failure is not None and not self.active and self._loop.time() < self.refused_until:
            future.set_exception(self._unreachable())
            return future
        if len(self.waiters) >= self.options.wait_queue:
            future.set_exception(Unavailable(f"too many sessions wait for {self.name}", sqlstate="53300"))
            return future
        self._enqueue(future)
        self._grow()
        return future

    def _enqueue(self, future: "asyncio.Future[ServerConnection]") -> None:
        started = self._loop.time()
        self.waiters.append(future)
        timer = self._loop.call_later(self.options.wait_timeout, self._time_out, future)

        def ended(_: "asyncio.Future[ServerConnection]") -> None:
            timer.cancel()
            self.counters.waits.observe(self._loop.time() - started)
            if (future.cancelled() or future.exception() is not None) and future in self.waiters:
                self.waiters.remove(future)

        future.add_done_callback(ended)

    def _time_out(self, future: "asyncio.Future[ServerConnection]") -> None:
        if future.done():
            return
        self.waiters.remove(future)
        self.counters.wait_timeouts += 1
        future.set_exception(
            Unavailable(
                f"no connection to {self.name} became free within {self.options.wait_timeout:g} s",
                sqlstate="53300",
                hint=f"All {self.options.size} connections of the pool are in use; see pool.size and long transactions.",
            )
        )

    def _grow(self) -> None:
        wanted = len(self.waiters) - self.connecting
        room = self.options.size - len(self.active) - len(self.idle) - self.connecting
        for _ in range(min(wanted, room)):
            self.connecting += 1
            task = self._loop.create_task(self._connect())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        try:
            connection = await self._open()
        except ShardproxyError as error:
            self.connecting -= 1
            self._connect_failed(error)
            return
        except BaseException:
            self.connecting -= 1
            raise
        self.connecting -= 1
        self.counters.connects += 1
        self.last_failure = None
        connection.counters = self.traffic
        connection.on_closed = self._forget
        connection.born = self._loop.time()
        connection.prepared_limit = self.options.prepared_statements
        if self.closed:
            connection.close("shutting down")
            return
        self.active.add(connection)
        self._offer(connection)

    def _connect_failed(self, error: ShardproxyError) -> None:
        self.counters.connect_failures += 1
        self.last_failure = error
        self.refused_until = self._loop.time() + self.options.retry_delay
        if self.active or self.connecting:  # those that exist go on serving the queue
            return
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_exception(self._unreachable())

    def _unreachable(self) -> Unavailable:
        cause = self.last_failure
        message = cause.message if cause is not None else "unknown reason"
        return Unavailable(f"{self.name} cannot be reached: {message}")

    # --- taking back ----------------------------------------------------------------------------------------

    def release(self, connection: ServerConnection) -> None:
        """Take a connection back: the next waiter gets it if it is clean, else it is closed."""
        connection.sink = None
        connection.resume_reading()
        if not connection.is_clean:
            connection.abort("given back before every reply had come")
            return
        now = self._loop.time()
        lifetime = self.options.max_lifetime
        if self.closed or (lifetime and now - connection.born > lifetime):
            connection.close("shutting down" if self.closed else "max_lifetime")
            return
        self._offer(connection)

    def _offer(self, connection: ServerConnection) -> None:
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self.active.discard(connection)
        connection.idle_since = self._loop.time()
        self.idle.append(connection)

    def _forget(self, connection: ServerConnection) -> None:
        self.counters.closes.add(connection.reason[:60])
        self.active.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        if self.waiters and not self.closed:
            self._grow()

    # --- upkeep ---------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Close what has been idle too long; called about once a second."""
        timeout = self.options.idle_timeout
        limit = self._loop.time() - timeout
        if timeout:
            for connection in [c for c in self.idle if c.idle_since < limit]:
                connection.close("idle_timeout")

    def drop_idle(self, reason: str) -> None:
        """Close every idle connection, for example because the server is no longer what it was."""
        for connection in list(self.idle):
            connection.close(reason)

    async def close(self) -> None:
        """Refuse new requests, close idle connections; active ones are closed when they come back."""
        self.closed = True
        for waiter in list(self.waiters):
            if not waiter.done():
                waiter.set_exception(Unavailable(f"{self.name} is shutting down", sqlstate="57P01"))
        self.waiters.clear()
        self.drop_idle("shutting down")
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def abort(self) -> None:
        """Close everything at once, active connections too."""
        for connection in [*self.idle, *self.active]:
            connection.abort("shutting down")

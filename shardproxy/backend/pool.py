"""The pool of connections to one server: who may have one now, who waits, what is opened and closed.

Waiters are served in order. A connection is handed out again only when it is clean; whatever is not, is
closed.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from shardproxy.backend.connection import ServerConnection
from shardproxy.counters import PoolCounters, ShardCounters
from shardproxy.errors import ShardproxyError, Unavailable

if TYPE_CHECKING:
    from shardproxy.backend.entry import Entry


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


T = TypeVar("T")
Opener = Callable[[], Awaitable[ServerConnection]]


class Pool:
    """Connections to one server. Used from one event loop; nothing here blocks it.

    ``idle`` is a stack (the last released is the first reused), ``active`` are checked out, ``connecting``
    is the number of logins under way; all three count towards the size. ``quarantined`` are those of
    ``active`` that were given back while a cancel was under way to them. ``refused_until`` is the loop time
    until which a failed connect is not repeated; ``last_failure`` says why. ``entry`` brings connections into
    the shard's epoch, and is None without a catalog.
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
        self.quarantined: set[ServerConnection] = set()
        self.waiters: deque[asyncio.Future[ServerConnection]] = deque()
        self.refused_until = 0.0
        self.last_failure: ShardproxyError | None = None
        self.closed = False
        self.entry: Entry | None = None
        self._open = open_connection
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._retry: asyncio.TimerHandle | None = None

    @property
    def size(self) -> int:
        """Connections there are, or will be."""
        return len(self.active) + len(self.idle) + self.connecting

    @property
    def coming(self) -> int:
        """Connections that will be offered without anybody giving them back."""
        return self.connecting + (self.entry.entering if self.entry is not None else 0)

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
        """A place in the queue, to be waited for with :meth:`claim`; who gives up sets an exception on it.

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

    async def claim(self, place: "asyncio.Future[ServerConnection]") -> ServerConnection:
        """The connection that ``place`` brings. Cancelled, it goes to the next in the queue.

        Raises what :meth:`request` names, and Unavailable (08006) when the connection was lost on the way.
        """
        try:
            connection = await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.release(place.result())
            raise
        if connection.closed:
            raise Unavailable(f"connection to {self.name} was lost: {connection.reason}")
        return connection

    async def acquire(self) -> ServerConnection:
        """A connection, waited for if need be; errors as of :meth:`claim`."""
        return await self.claim(self.request())

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
        why = self.entry.exhausted() if self.entry is not None else None
        future.set_exception(
            why
            or Unavailable(
                f"no connection to {self.name} became free within {self.options.wait_timeout:g} s",
                sqlstate="53300",
                hint=f"All {self.options.size} connections are in use; see pool.size and long transactions.",
            )
        )

    def _grow(self) -> None:
        """Open connections for those who wait, as far as the size allows; after a failure not at once."""
        wanted = min(len(self.waiters) - self.coming, self.options.size - self.size)
        if wanted <= 0 or self.closed:
            return
        delay = self.refused_until - self._loop.time()
        if delay > 0:
            if self._retry is None:
                self._retry = self._loop.call_later(delay, self._grow_again)
            return
        for _ in range(wanted):
            self.open_one()

    def open_one(self) -> None:
        """Open a connection, whether somebody waits for it or not."""
        self.connecting += 1
        self.start(self._connect())

    def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run ``work`` in a task that the pool owns until its end."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _grow_again(self) -> None:
        self._retry = None
        self._grow()

    async def _connect(self) -> None:
        try:
            connection = await self._open()
        except ShardproxyError as error:
            self.connecting -= 1
            self.counters.connect_failures += 1
            self.note_failure(error)
            return
        except BaseException:
            self.connecting -= 1
            raise
        self.connecting -= 1
        self.counters.connects += 1
        self.last_failure = None
        self.refused_until = 0.0
        connection.counters = self.traffic
        connection.on_closed = self._forget
        connection.on_cancels_ended = self._leave_quarantine
        connection.born = self._loop.time()
        connection.prepared_limit = self.options.prepared_statements
        if self.closed:
            connection.close("shutting down")
            return
        self.active.add(connection)
        self._offer(connection)

    def note_failure(self, error: ShardproxyError) -> None:
        """A connection could not be opened, or not be used: the next is tried after a while."""
        self.last_failure = error
        self.hold_back()
        if self.active or self.connecting:  # those that exist go on serving the queue
            self._grow()
            return
        self.fail_waiters(self._unreachable())

    def hold_back(self) -> None:
        """Open no connection for a while."""
        self.refused_until = self._loop.time() + self.options.retry_delay

    def fail_waiters(self, error: Unavailable) -> None:
        """Tell all who wait that they get none."""
        waiters = [waiter for waiter in self.waiters if not waiter.done()]
        self.waiters.clear()
        for waiter in waiters:
            waiter.set_exception(error)

    def _unreachable(self) -> Unavailable:
        cause = self.last_failure
        message = cause.message if cause is not None else "unknown reason"
        return Unavailable(f"{self.name} cannot be reached: {message}")

    # --- taking back ----------------------------------------------------------------------------------------

    def release(self, connection: ServerConnection) -> None:
        """Take a connection back: the next waiter gets it if it is clean, else it is closed.

        One that a cancel is under way to is kept aside until the cancel can hit nothing any more.
        """
        connection.sink = None
        connection.resume_reading()
        if not connection.is_settled:
            connection.abort("given back before every reply had come")
        elif connection.retired:
            connection.close("retired")
        elif connection.cancels:
            self.quarantined.add(connection)
        elif (reason := self._reason_to_close(connection)) is not None:
            connection.close(reason)
        else:
            self._offer(connection)

    def _reason_to_close(self, connection: ServerConnection) -> str | None:
        if self.closed:
            return "shutting down"
        lifetime = self.options.max_lifetime
        if lifetime and self._loop.time() - connection.born > lifetime:
            return "max_lifetime"
        return "pool.size" if self.size > self.options.size else None

    def _leave_quarantine(self, connection: ServerConnection) -> None:
        if connection in self.quarantined:
            self.quarantined.discard(connection)
            self.release(connection)

    def _offer(self, connection: ServerConnection) -> None:
        entry = self.entry
        if entry is not None and (connection.epoch != entry.epoch or connection.holds):
            entry.bring_in(connection)
            return
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
        self.quarantined.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        if self.waiters and not self.closed:
            self._grow()

    # --- upkeep ---------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Close what has been idle, or has lived, too long; called about once a second."""
        if self.entry is not None:
            self.entry.sweep()
        timeout = self.options.idle_timeout
        limit = self._loop.time() - timeout
        for connection in list(self.idle):
            if timeout and connection.idle_since < limit:
                connection.close("idle_timeout")
            elif (reason := self._reason_to_close(connection)) is not None:
                connection.close(reason)

    def renew_idle(self) -> None:
        """Offer every idle connection anew, because what it has to be has changed."""
        idle, self.idle = self.idle, []
        self.active.update(idle)
        for connection in idle:
            self._offer(connection)
        if self.waiters:
            self._grow()

    def prepare_anew(self) -> None:
        """Every statement is prepared anew when it is next used: the schema has changed."""
        for connection in (*self.idle, *self.active):
            connection.prepared = dict.fromkeys(connection.prepared, False)

    def drop_idle(self, reason: str) -> None:
        """Close every idle connection, for example because the server is no longer what it was."""
        for connection in list(self.idle):
            connection.close(reason)

    def give_up(self, reason: str) -> None:
        """Close every connection; who holds one is told that it is lost."""
        for connection in [*self.idle, *self.active]:
            connection.fail(Unavailable(f"connection to {self.name} was given up: {reason}"))

    async def close(self) -> None:
        """Refuse new requests, close idle connections; active ones are closed when they come back."""
        self.closed = True
        self.fail_waiters(Unavailable(f"{self.name} is shutting down", sqlstate="57P01"))
        self.drop_idle("shutting down")
        if self._retry is not None:
            self._retry.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def abort(self) -> None:
        """Close everything at once, active connections too."""
        for connection in [*self.idle, *self.active]:
            connection.abort("shutting down")

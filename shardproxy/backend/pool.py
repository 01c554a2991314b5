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
from shardproxy.backend.place import Place
from shardproxy.counters import PoolCounters, ShardCounters
from shardproxy.errors import ShardproxyError, Unavailable

if TYPE_CHECKING:
    from shardproxy.backend.entry import Entry

TIMER_PRECISION = 0.001
"""Seconds by which a timer may be early."""


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
        self.waiters: deque[Place] = deque()
        self.refused_until = 0.0
        self.last_failure: ShardproxyError | None = None
        self.closed = False
        self.entry: Entry | None = None
        self.opener = open_connection
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None  # for the first of those who wait, or before
        self._timer_at = 0.0
        self._freed: list[ServerConnection] = []  # to be handed out, or to be idle
        self._hands_out = False

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

    def at_hand(self) -> ServerConnection | None:
        """What :meth:`try_acquire` would return."""
        return self.idle[-1] if self.idle and not self.waiters else None

    def request(self) -> Place:
        """A place in the queue, to be waited for with :meth:`claim`, or by awaiting it.

        Errors: Unavailable when the server cannot be reached (08006), or after ``wait_timeout`` (53300).
        """
        now = self._loop.time()
        place = Place(self, now)
        connection = self.try_acquire()
        if connection is not None:
            place.end(connection, None)
        elif (refusal := self._refusal(now)) is not None:
            place.end(None, refusal)
        else:
            self.waiters.append(place)
            self._watch(now + self.options.wait_timeout)
            self._grow()
        return place

    def _refusal(self, now: float) -> Unavailable | None:
        """Why nobody may wait now."""
        if self.closed:
            return Unavailable(f"{self.name} is shutting down", sqlstate="57P01")
        if self.last_failure is not None and not self.active and now < self.refused_until:
            return self._unreachable()
        if len(self.waiters) >= self.options.wait_queue:
            return Unavailable(f"too many sessions wait for {self.name}", sqlstate="53300")
        return None

    async def claim(self, place: Place) -> ServerConnection:
        """The connection that ``place`` brings. Cancelled, it goes to the next in the queue.

        Raises what :meth:`request` names, and Unavailable (08006) when the connection was lost on the way.
        """
        if not place.done():
            ended = self._loop.create_future()
            place.wake = lambda: None if ended.done() else ended.set_result(None)
            try:
                await ended
            except asyncio.CancelledError:
                place.leave()
                raise
        return place.result()

    async def acquire(self) -> ServerConnection:
        """A connection, waited for if need be; errors as of :meth:`claim`."""
        return await self.claim(self.request())

    def forget_place(self, place: Place) -> None:
        """``place`` is not in the queue any more."""
        self.waiters.remove(place)
        self._waited(place)

    def _next(self) -> Place:
        """The place whose turn it is."""
        place = self.waiters.popleft()
        self._waited(place)
        return place

    def _waited(self, place: Place) -> None:
        self.counters.waits.observe(self._loop.time() - place.since)

    def _watch(self, at: float) -> None:
        """Look at the loop time ``at``, or before, who has waited too long."""
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()  # a reload has made the time shorter
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._time_out)

    def _time_out(self) -> None:
        """Those who have waited too long; whose place is first waits longest."""
        self._timer = None
        timeout, size = self.options.wait_timeout, self.options.size
        now = self._loop.time() + TIMER_PRECISION
        while self.waiters and self.waiters[0].since + timeout <= now:
            self.counters.wait_timeouts += 1
            why = self.entry.exhausted() if self.entry is not None else None
            error = why or Unavailable(
                f"no connection to {self.name} became free within {timeout:g} s",
                sqlstate="53300",
                hint=f"All {size} connections are in use; see pool.size and long transactions.",
            )
            self._next().end(None, error)
        if self.waiters:
            self._watch(self.waiters[0].since + timeout)

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
            connection = await self.opener()
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
        self._offer(connection, self._loop.time())

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
        for place in [self._next() for _ in range(len(self.waiters))]:
            place.end(None, error)

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
        else:
            now = self._loop.time()
            reason = self._reason_to_close(connection, now)
            if reason is not None:
                connection.close(reason)
            else:
                self._offer(connection, now)

    def _reason_to_close(self, connection: ServerConnection, now: float) -> str | None:
        if self.closed:
            return "shutting down"
        lifetime = self.options.max_lifetime
        if lifetime and now - connection.born > lifetime:
            return "max_lifetime"
        return "pool.size" if self.size > self.options.size else None

    def _leave_quarantine(self, connection: ServerConnection) -> None:
        if connection in self.quarantined:
            self.quarantined.discard(connection)
            self.release(connection)

    def _offer(self, connection: ServerConnection, now: float) -> None:
        entry = self.entry
        if entry is not None and (connection.epoch != entry.epoch or connection.holds):
            entry.bring_in(connection)
            return
        self._freed.append(connection)
        if self._hands_out:
            return  # who goes on with a connection may free others: not a call inside the other for each
        self._hands_out = True
        try:
            while self._freed:
                connection = self._freed.pop()
                if self.waiters:
                    self._next().end(connection, None)
                else:
                    self.active.discard(connection)
                    connection.idle_since = now
                    self.idle.append(connection)
        finally:
            self._hands_out = False

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
        now = self._loop.time()
        for connection in list(self.idle):
            if timeout and connection.idle_since < now - timeout:
                connection.close("idle_timeout")
            elif (reason := self._reason_to_close(connection, now)) is not None:
                connection.close(reason)

    def renew_idle(self) -> None:
        """Offer every idle connection anew, because what it has to be has changed."""
        idle, self.idle = self.idle, []
        self.active.update(idle)
        now = self._loop.time()
        for connection in idle:
            self._offer(connection, now)
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
        for timer in (self._retry, self._timer):
            if timer is not None:
                timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def abort(self) -> None:
        """Close everything at once, active connections too."""
        for connection in [*self.idle, *self.active]:
            connection.abort("shutting down")

"""The same statement on several shards at once, the rows concatenated as they come.

Rows pass through as bytes. A row that arrives in pieces holds the other shards back until it is whole; a
client that reads slowly holds all of them back. One shard's error cancels the rest, and is the statement's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from shardproxy.backend.connection import ServerConnection
from shardproxy.backend.entry import Behind
from shardproxy.backend.holds import hold
from shardproxy.backend.place import Place
from shardproxy.backend.request import ServerError, command
from shardproxy.backend.shards import ServerPool, Shard, Shards
from shardproxy.errors import RouteAgain, ShardproxyError, Unavailable
from shardproxy.routing.route import FanOut, Role
from shardproxy.wire import client_messages
from shardproxy.wire.replies import BIND, EXECUTE, QUERY, ROWS, SYNC
from shardproxy.wire.server_messages import PORTAL_SUSPENDED, command_complete, is_stale


class Output(Protocol):
    """Where rows go."""

    def write(self, data: bytes) -> None:
        """Take bytes, in order."""

    def close(self) -> None:
        """Nothing can follow what was written: a row will stay unfinished."""


class SettingsScript(Protocol):
    """Session settings as a fan-out needs them: compared by identity, applied by their script."""

    def script(self) -> bytes:
        """The statements that bring any connection to these settings."""


Messages = Callable[[ServerConnection, int], bytes]
"""The messages for a connection to the shard of that number, having promised replies that are not the
statement's own.
"""


Holder = Callable[[ServerConnection, int], Awaitable[None]]
"""Makes sure that the statement is on a connection, to the shard of that number, what the client was told.
Raises when it is not.
"""


class StaleError(ServerError):
    """A shard found its prepared statement gone or changed, and no row of any shard has been handed on."""


def _choose(
    shard: Shard, role: Role, last_write: Callable[[str], float | None], fallback: bool
) -> ServerPool:
    after = last_write(shard.name) if role is Role.CAUSAL else None
    return shard.pool_for(role, fallback=fallback, after=after)


class _Arm:
    """One shard's part: the sink of its connection. ``held`` are rows that wait for another arm's
    unfinished row.
    """

    def __init__(self, run: "FanOutRun", shard: int, choose: Callable[[], ServerPool]) -> None:
        """``choose``: which of the shard's servers answers."""
        self.run = run
        self.shard = shard
        self.choose = choose
        self.pool = choose()
        self.connection: ServerConnection | None = None
        self.held: list[bytes] = []

    def reply(self, connection: ServerConnection, data: bytes) -> None:
        self.run.rows(self, data)

    def ready(self, connection: ServerConnection, status: int) -> None:
        error = connection.stream.error
        self.run.answered(self, connection, error)

    def copy_in(self, connection: ServerConnection) -> None:
        connection.abort("COPY in a fan-out")
        self.run.lost(self, ShardproxyError("COPY FROM STDIN on several shards"))

    def lost(self, connection: ServerConnection, error: ShardproxyError) -> None:
        self.run.lost(self, error)

    def pause(self) -> None:
        pass  # a statement is short; its bytes may wait in the socket's buffer

    def resume(self) -> None:
        pass


class FanOutRun:
    """One fan-out. Used from one event loop, and once.

    ``error`` is the first that any shard gave; after it no further row is begun. ``running`` are the arms
    whose statement was sent and has not ended, ``_current`` the one that has handed on part of a row,
    ``_paused`` is True while the client does not keep up, ``_waiting`` the place in a pool's queue,
    ``_silent`` until a row was handed on.
    """

    def __init__(
        self,
        shards: Shards,
        route: FanOut,
        settings: SettingsScript,
        output: Output,
        *,
        fallback: bool,
        last_write: Callable[[str], float | None] = lambda _: None,
    ) -> None:
        """``fallback``: the primary answers for a shard that has no replica in rotation. ``last_write``: the
        event loop's time of the write on the shard of that name that a causal read has to see.
        """
        self.error: ShardproxyError | None = None
        self.running: set[_Arm] = set()
        self._route = route
        self._settings = settings
        self._output = output
        self._arms = [
            _Arm(self, shard, partial(_choose, shards[shard], route.role, last_write, fallback))
            for shard in route.shards
        ]
        self._loop = asyncio.get_running_loop()
        self._started = 0.0
        self._ended: asyncio.Future[None] | None = None
        self._current: _Arm | None = None
        self._paused = False
        self._described = False
        self._hold: Holder | None = None
        self._silent = True
        self._announces = False
        self._waiting: Place | None = None

    # --- ways to run ----------------------------------------------------------------------------------------

    async def simple(self, texts: Mapping[int, bytes]) -> None:
        """Run a simple query, its text for each shard: description, rows and tag go out, ReadyForQuery does
        not. Raises what a shard answered, and RouteAgain before any of them was asked.
        """
        self._announces = True
        counts = await self._run(
            self._arms, lambda _, shard: client_messages.query(texts[shard]), (QUERY | ROWS,)
        )
        self._output.write(command_complete(f"SELECT {_total(counts)}"))

    async def extended(self, bound: Messages, limit: int, hold: Holder) -> None:
        """Run a statement that ``bound`` prepares and binds: rows and tag, or PortalSuspended after ``limit``
        rows (0: all).
        """
        self._hold = hold
        total = 0
        # With a limit one shard after another, until there are rows enough.
        for arms in [[arm] for arm in self._arms] if limit else [self._arms]:
            rest = limit - total if limit else 0
            message = client_messages.execute(b"", rest) + client_messages.SYNC
            owed = (BIND | ROWS, EXECUTE | ROWS, SYNC | ROWS)
            counts = await self._run(arms, _followed(bound, message), owed)
            if None in counts:
                self._output.write(PORTAL_SUSPENDED)
                return
            total += _total(counts)
        self._output.write(command_complete(f"SELECT {total}"))

    async def _run(self, arms: list[_Arm], messages: Messages, owed: tuple[int, ...]) -> list[int | None]:
        """The rows that each arm had, None for a portal that was suspended."""
        try:
            for arm in arms:  # in the order of the shards, so that two fan-outs cannot wait for each other
                await self._connect(arm)
                self._check()
                if self._hold is not None and arm.connection is not None:
                    await self._hold(arm.connection, arm.shard)
            for arm in arms:
                self._send(arm, messages, owed)
            self._ended = self._loop.create_future()
            await self._ended
            self._check()
            if self._announces and not self._described:
                self._describe(arms[0])
            return [_rows_in(arm) for arm in arms]
        except asyncio.CancelledError:
            self._stop()
            raise
        finally:
            self._give_back(arms)

    def _check(self) -> None:
        if self.error is not None:
            raise self.error

    async def _connect(self, arm: _Arm) -> None:
        connection = arm.connection = await self._claim(arm)
        if connection.settings is not self._settings:
            connection.settings = None
            await command(connection, self._settings.script())
            connection.settings = self._settings
        if connection.epoch is not None and connection.epoch > self._route.epochs.get(arm.shard, 0):
            raise RouteAgain
        await hold(connection, self._route.guards.get(arm.shard, ()))
        connection.sink = arm

    async def _claim(self, arm: _Arm) -> ServerConnection:
        while True:
            self._waiting = arm.pool.request()
            try:
                return await arm.pool.claim(self._waiting)
            except Behind:  # another server of the shard is not
                arm.pool = arm.choose()
            finally:
                self._waiting = None

    def _send(self, arm: _Arm, messages: Messages, owed: tuple[int, ...]) -> None:
        connection = arm.connection
        assert connection is not None
        connection.stream.error = connection.stream.tag = connection.stream.description = None
        data = messages(connection, arm.shard)
        for item in owed:
            connection.stream.promise(item)
        self.running.add(arm)
        self._started = self._loop.time()
        connection.send(data)
        if self._paused:
            connection.pause_reading()

    def _give_back(self, arms: Sequence[_Arm]) -> None:
        self.running.clear()
        for arm in arms:
            connection, arm.connection = arm.connection, None
            if connection is not None and not connection.closed:
                arm.pool.release(connection)

    # --- how an arm ends ------------------------------------------------------------------------------------

    def answered(self, arm: _Arm, connection: ServerConnection, body: bytes | None) -> None:
        """A shard has answered to the end, perhaps with an error."""
        error = None
        if body is not None:
            error = StaleError(body) if self._silent and is_stale(body) else ServerError(body)
        traffic = connection.counters
        traffic.queries += 1
        traffic.transactions += 1
        traffic.latency.observe(self._loop.time() - self._started)
        if error is not None:
            traffic.error(error.sqlstate)
        self._end(arm, error)

    def lost(self, arm: _Arm, error: ShardproxyError) -> None:
        """A shard is gone; in the middle of a row nothing more can be told to the client."""
        if self._current is arm:
            self._current = None
            self._output.close()
        self._end(arm, error)

    def _end(self, arm: _Arm, error: ShardproxyError | None) -> None:
        self.running.discard(arm)
        if error is not None and self.error is None:
            self._fail(error)
        if not self.running and self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def _fail(self, error: ShardproxyError) -> None:
        """The statement has failed: what comes is dropped, but for the rest of a row that was begun."""
        self.error = error
        self._stop()
        for arm in self._arms:
            arm.held.clear()
            if arm is not self._current and arm.connection is not None:
                arm.connection.resume_reading()

    # --- cancel ---------------------------------------------------------------------------------------------

    async def cancel(self) -> None:
        """Cancel it on every shard that still runs it; returns when every cancel has been taken."""
        if self.running:
            await asyncio.gather(*self._stop())
            return
        self.error = ShardproxyError("canceling statement due to user request", sqlstate="57014")
        if self._waiting is not None:
            self._waiting.set_exception(self.error)

    def _stop(self) -> "list[asyncio.Task[bool]]":
        return [self._stop_arm(arm) for arm in self.running if arm.connection is not None]

    def _stop_arm(self, arm: _Arm) -> "asyncio.Task[bool]":
        connection = arm.connection
        assert connection is not None
        task = arm.pool.start_cancel(connection)

        def ended(task: "asyncio.Task[bool]") -> None:
            taken = not task.cancelled() and task.result()
            if not taken and arm in self.running and arm.connection is connection:
                connection.abort("it could not be cancelled")
                self.lost(arm, Unavailable(f"{arm.pool.name} does not answer"))

        task.add_done_callback(ended)
        return task

    # --- rows -----------------------------------------------------------------------------------------------

    def rows(self, arm: _Arm, data: bytes) -> None:
        """Rows of one arm, perhaps with an unfinished one at the end."""
        if self._current is None or self._current is arm:
            self._hand_on(arm, data)
            self._release_held()
        elif self.error is None:
            arm.held.append(data)
            if arm.connection is not None:
                arm.connection.pause_reading()

    def _hand_on(self, arm: _Arm, data: bytes) -> None:
        if self.error is not None and self._current is not arm:
            return
        if self._announces and not self._described:
            self._describe(arm)
        self._silent = False
        self._output.write(data)
        self._current = arm if arm.connection is not None and arm.connection.stream.mid_message else None

    def _release_held(self) -> None:
        for arm in self._arms:
            if self._current is not None:
                return
            if arm.held:
                held, arm.held = arm.held, []
                if arm.connection is not None and not self._paused:
                    arm.connection.resume_reading()
                self._hand_on(arm, b"".join(held))

    def _describe(self, arm: _Arm) -> None:
        body = arm.connection.stream.description if arm.connection is not None else None
        if body is not None:
            self._described = True
            self._output.write(client_messages.message(b"T", body))

    def pause(self) -> None:
        """The client does not keep up."""
        self._paused = True
        for arm in self.running:
            if arm.connection is not None:
                arm.connection.pause_reading()

    def resume(self) -> None:
        """The client takes rows again."""
        self._paused = False
        for arm in self.running:
            if arm.connection is not None and not arm.held:
                arm.connection.resume_reading()


def _followed(first: Messages, message: bytes) -> Messages:
    return lambda connection, shard: first(connection, shard) + message


def _rows_in(arm: _Arm) -> int | None:
    """The count in the arm's command tag; None when its portal was suspended."""
    connection = arm.connection
    if connection is None or connection.stream.tag is None:
        return None
    words = connection.stream.tag.rstrip(b"\0").split()
    return int(words[-1]) if words and words[-1].isdigit() else 0


def _total(counts: Sequence[int | None]) -> int:
    return sum(count or 0 for count in counts)

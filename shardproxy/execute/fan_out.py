"""The same statement on several shards at once, the rows concatenated as they come.

Rows pass through as bytes. A row that arrives in pieces holds the other shards back until it is whole; a
client that reads slowly holds all of them back. One shard's error cancels the rest.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from shardproxy.backend.connection import ServerConnection
from shardproxy.backend.request import ServerError, command
from shardproxy.backend.shards import ServerPool, Shards
from shardproxy.errors import ShardproxyError
from shardproxy.routing.route import FanOut, Role
from shardproxy.wire import client_messages
from shardproxy.wire.replies import BIND, EXECUTE, QUERY, ROWS, SYNC
from shardproxy.wire.server_messages import PORTAL_SUSPENDED, command_complete


class Output(Protocol):
    """Where rows go."""

    def write(self, data: bytes) -> None:
        """Take bytes, in order."""


class SettingsScript(Protocol):
    """Session settings as a fan-out needs them: compared by identity, applied by their script."""

    def script(self) -> bytes:
        """The statements that bring any connection to these settings."""


class _Arm:
    """One shard's part: the sink of its connection. ``held`` are rows that wait for another arm's
    unfinished row.
    """

    def __init__(self, run: "FanOutRun", pool: ServerPool) -> None:
        self.run = run
        self.pool = pool
        self.connection: ServerConnection | None = None
        self.held: list[bytes] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def reply(self, connection: ServerConnection, data: bytes) -> None:
        self.run.rows(self, data)

    def ready(self, connection: ServerConnection, status: int) -> None:
        error = connection.stream.error
        if error is not None:
            self.run.failed(ServerError(error))
            connection.counters.error(ServerError(error).sqlstate)
        connection.counters.queries += 1
        self._finish()

    def copy_in(self, connection: ServerConnection) -> None:
        connection.abort("COPY in a fan-out")
        self.run.failed(ShardproxyError("COPY FROM STDIN on several shards"))
        self._finish()

    def lost(self, connection: ServerConnection, error: ShardproxyError) -> None:
        self.run.lost(error, mid_message=connection.stream.mid_message)
        self._finish()

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def pause(self) -> None:
        pass  # a statement is short; its bytes may wait in the socket's buffer

    def resume(self) -> None:
        pass


class FanOutRun:
    """One fan-out. ``error`` is the first that any shard gave; after it no row is handed on.

    ``broken`` is set when a shard was lost in the middle of a row: nothing more can be told to the client.
    """

    def __init__(self, shards: Shards, route: FanOut, settings: SettingsScript, output: Output) -> None:
        self.error: ShardproxyError | None = None
        self.broken = False
        self._settings = settings
        self._output = output
        self._arms = [_Arm(self, _pool(shards, shard, route.role)) for shard in route.shards]
        self._current: _Arm | None = None
        self._described = False
        self._announces = False
        self._waiting: list[asyncio.Future[ServerConnection]] = []
        self._counts: list[int | None] = []

    # --- ways to run ----------------------------------------------------------------------------------------

    async def simple(self, text: bytes) -> None:
        """Run a simple query: description, rows and tag go out, ReadyForQuery does not. Raises what a
        shard answered.
        """
        self._announces = True
        message = client_messages.query(text)
        await self._run(self._arms, lambda _: message, (QUERY | ROWS,))
        self._output.write(command_complete(f"SELECT {self._total()}"))

    async def extended(self, prepare: "Preparer", bind: bytes, limit: int) -> None:
        """Run a bound statement: rows and tag, or PortalSuspended after ``limit`` rows (0: all)."""
        if limit:
            await self._limited(prepare, bind, limit)
            return
        message = bind + client_messages.execute(b"", 0) + client_messages.SYNC
        owed = (BIND | ROWS, EXECUTE | ROWS, SYNC | ROWS)
        await self._run(self._arms, lambda connection: prepare(connection) + message, owed)
        self._output.write(command_complete(f"SELECT {self._total()}"))

    async def _limited(self, prepare: "Preparer", bind: bytes, limit: int) -> None:
        """One shard after another until there are rows enough."""
        total = 0
        for arm in self._arms:
            message = bind + client_messages.execute(b"", limit - total) + client_messages.SYNC
            owed = (BIND | ROWS, EXECUTE | ROWS, SYNC | ROWS)

            def messages(connection: ServerConnection, message: bytes = message) -> bytes:
                return prepare(connection) + message

            tags = await self._run([arm], messages, owed)
            if tags[0] is None:
                self._output.write(PORTAL_SUSPENDED)
                return
            total += tags[0]
        self._output.write(command_complete(f"SELECT {total}"))

    async def _run(
        self, arms: list[_Arm], messages: Callable[[ServerConnection], bytes], owed: tuple[int, ...]
    ) -> list[int | None]:
        try:
            await self._connect(arms)
            for arm in arms:
                connection = arm.connection
                assert connection is not None
                connection.stream.error = connection.stream.tag = connection.stream.description = None
                data = messages(connection)
                for item in owed:
                    connection.stream.promise(item)
                connection.send(data)
            await asyncio.gather(*(arm.done for arm in arms))
            if self.error is not None:
                raise self.error
            if self._announces and not self._described:
                self._describe(arms[0])
            self._counts = [_rows_in(arm) for arm in arms]
            return self._counts
        finally:
            self._give_back(arms)

    def _total(self) -> int:
        return sum(count or 0 for count in self._counts)

    # --- connections ----------------------------------------------------------------------------------------

    async def _connect(self, arms: list[_Arm]) -> None:
        """A connection for every arm, in the order of the shards, so that two fan-outs cannot wait for
        each other.
        """
        for arm in arms:
            future = arm.pool.request()
            self._waiting = [future]
            try:
                connection = await future
            except asyncio.CancelledError:
                if future.done() and not future.cancelled() and future.exception() is None:
                    arm.pool.release(future.result())
                raise
            finally:
                self._waiting = []
            arm.connection = connection
            if connection.settings is not self._settings:
                connection.settings = None
                await command(connection, self._settings.script())
                connection.settings = self._settings
            connection.sink = arm

    def _give_back(self, arms: list[_Arm]) -> None:
        for arm in arms:
            connection, arm.connection = arm.connection, None
            if connection is not None and not connection.closed:
                connection.resume_reading()
                arm.pool.release(connection)

    async def cancel(self) -> None:
        """Cancel it on every shard that still runs it; returns when every cancel has been taken."""
        stopped = ShardproxyError("canceling statement due to user request", sqlstate="57014")
        for future in self._waiting:
            if not future.done():
                future.set_exception(stopped)
        await asyncio.gather(*self._cancel_rest())

    def _cancel_rest(self) -> "list[asyncio.Task[bool]]":
        tasks = []
        for arm in self._arms:
            if arm.connection is not None and not arm.done.done() and not arm.connection.closed:
                task = asyncio.get_running_loop().create_task(arm.pool.cancel(arm.connection))
                _background.add(task)
                task.add_done_callback(_background.discard)
                tasks.append(task)
        return tasks

    # --- rows -----------------------------------------------------------------------------------------------

    def rows(self, arm: _Arm, data: bytes) -> None:
        """Rows of one arm, perhaps with an unfinished one at the end."""
        if self.error is not None:
            return
        if self._current is not None and self._current is not arm:
            arm.held.append(data)
            if arm.connection is not None:
                arm.connection.pause_reading()
            return
        if self._announces and not self._described:
            self._describe(arm)
        self._output.write(data)
        self._current = arm if arm.connection is not None and arm.connection.stream.mid_message else None
        if self._current is None:
            self._release_held()

    def _describe(self, arm: _Arm) -> None:
        body = arm.connection.stream.description if arm.connection is not None else None
        if body is not None:
            self._described = True
            self._output.write(client_messages.message(b"T", body))

    def _release_held(self) -> None:
        for arm in self._arms:
            if arm.held:
                held, arm.held = arm.held, []
                if arm.connection is not None:
                    arm.connection.resume_reading()
                self.rows(arm, b"".join(held))
                if self._current is not None:
                    return

    def pause(self) -> None:
        """The client does not keep up."""
        for arm in self._arms:
            if arm.connection is not None:
                arm.connection.pause_reading()

    def resume(self) -> None:
        """The client takes rows again."""
        for arm in self._arms:
            if arm.connection is not None and not arm.held:
                arm.connection.resume_reading()

    # --- errors ---------------------------------------------------------------------------------------------

    def failed(self, error: ShardproxyError) -> None:
        """A shard answered an error: the statement has failed everywhere."""
        if self.error is None:
            self.error = error
            self._cancel_rest()

    def lost(self, error: ShardproxyError, *, mid_message: bool) -> None:
        """A shard is gone."""
        self.broken = self.broken or mid_message
        self.failed(error)


Preparer = Callable[[ServerConnection], bytes]
"""Makes sure the statement is prepared on a connection: returns the messages for it, having promised their
replies.
"""

_background: set[asyncio.Task[bool]] = set()


def _pool(shards: Shards, shard: int, role: Role) -> ServerPool:
    target = shards[shard]
    if role is Role.REPLICA:
        replica = target.replica()
        if replica is not None:
            return replica
    return target.primary


def _rows_in(arm: _Arm) -> int | None:
    """The count in the arm's command tag; None when its portal was suspended."""
    connection = arm.connection
    if connection is None or connection.stream.tag is None:
        return None
    words = connection.stream.tag.rstrip(b"\0").split()
    return int(words[-1]) if words and words[-1].isdigit() else 0

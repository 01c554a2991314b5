"""A pool whose connections are in the shard's epoch: nobody is handed one that is in another.

A connection enters when it is opened, when the epoch changes while it is idle, and else when it comes back.
What was handed out before the change may run in the older epoch, whose lock it holds; what is handed out
afterwards runs in the newer one.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from shardproxy.backend.connection import ServerConnection
from shardproxy.backend.epoch import NOT_KNOWN_YET, RETIRED, enter_script
from shardproxy.backend.pool import Opener, Pool, PoolOptions
from shardproxy.backend.request import ServerError, command
from shardproxy.counters import PoolCounters, ShardCounters
from shardproxy.errors import ShardproxyError, Unavailable

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 0.5
"""Seconds between two tries of a replica that is behind; the pauses grow."""


class Behind(Unavailable):
    """The replica has not replayed what the map stands on; another server of the shard may have."""

    sqlstate = "57P03"


class EpochPool(Pool):
    """See the module. Without an epoch it is a pool like any other, and nothing is entered.

    ``epoch`` is what connections have to be in, ``here`` which shard they have to be on (installation/name).
    ``behind``: the server, a replica, has not heard of the epoch; ``_scout`` is the connection that keeps
    trying. ``_retired``: the epoch was refused as retired, so there must be a newer map, which those who wait
    wait for too; ``on_retired`` has been called. ``entering`` are on their way into the epoch, among the
    active ones.
    """

    def __init__(
        self,
        name: str,
        open_connection: Opener,
        options: PoolOptions,
        pool: PoolCounters,
        traffic: ShardCounters,
        *,
        is_replica: bool = False,
    ) -> None:
        super().__init__(name, open_connection, options, pool, traffic)
        self.epoch: int | None = None
        self.here: str | None = None
        self.behind = False
        self.entering = 0
        self.on_retired: Callable[[], None] = lambda: None
        self._is_replica = is_replica
        self._retired = False
        self._scout: ServerConnection | None = None
        self._changed = asyncio.Event()

    @property
    def coming(self) -> int:
        """As in Pool, and those that enter."""
        return self.connecting + self.entering

    def set_epoch(self, epoch: int, here: str) -> None:
        """From now on nobody is handed a connection that is not in ``epoch``."""
        if epoch == self.epoch:
            return
        self.epoch, self.here = epoch, here
        self._changed.set()
        if self._retired:
            self._retired = False
            self.refused_until = 0.0
        idle, self.idle = self.idle, []
        self.active.update(idle)
        for connection in idle:
            self._offer(connection)
        if self.waiters:
            self._grow()

    async def bring_along(self, connection: ServerConnection) -> None:
        """Take a connection that is held, and settled, into the epoch.

        Raises ShardproxyError when it is not possible; the connection is closed then.
        """
        if connection.epoch == self.epoch:
            return
        epoch = self.epoch
        try:
            await self._enter(connection, epoch)
        except ServerError as error:
            self._give_up(connection, epoch, error)
            raise Unavailable(f"connection to {self.name} was given up: {error.message}") from error

    def _offer(self, connection: ServerConnection) -> None:
        if connection.epoch == self.epoch:
            super()._offer(connection)
        else:
            self.entering += 1
            self._start(self._bring_in(connection))

    async def _bring_in(self, connection: ServerConnection) -> None:
        """Enter, for as long as a replica needs to catch up, and offer the connection."""
        pause = FIRST_PAUSE
        try:
            while connection.epoch != (epoch := self.epoch):
                try:
                    await self._enter(connection, epoch)
                except ServerError as error:
                    if error.sqlstate != NOT_KNOWN_YET or not self._is_scout(connection):
                        self._give_up(connection, epoch, error)
                        return
                    self._note_refusal(epoch, error)
                    await command(connection, b"ROLLBACK")
                    await self._pause(pause)
                    pause = min(LONGEST_PAUSE, 2 * pause)
        except ShardproxyError:
            return  # the connection was lost
        finally:
            self.entering -= 1
            if self._scout is connection:
                self._scout = None
        self.release(connection)

    async def _enter(self, connection: ServerConnection, epoch: int | None) -> None:
        assert epoch is not None
        if connection.closed:
            raise Unavailable(f"connection to {self.name} was lost: {connection.reason}")
        await command(connection, enter_script(epoch, connection.epoch, self.here).encode())
        connection.epoch = epoch
        self.counters.entries.add("entered")
        if epoch == self.epoch:
            self.behind = False
            self.refused_until = 0.0

    def _is_scout(self, connection: ServerConnection) -> bool:
        """Whether this is the one that keeps trying; the others are not needed."""
        if not self._is_replica:
            return False
        if self._scout is None:
            self._scout = connection
        return self._scout is connection

    async def _pause(self, seconds: float) -> None:
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _give_up(self, connection: ServerConnection, epoch: int | None, error: ServerError) -> None:
        """Close what was refused, and try again only after a while."""
        if epoch == self.epoch:
            self.refused_until = self._loop.time() + self.options.retry_delay
        connection.close(error.message)
        self._note_refusal(epoch, error)

    def _note_refusal(self, epoch: int | None, error: ServerError) -> None:
        """What follows from it for those who wait, and for the next tries."""
        if epoch != self.epoch:
            return  # it was about an epoch that is of no interest any more
        if error.sqlstate == RETIRED:
            self.counters.entries.add("retired")
            self._retired = True
            self.on_retired()
        elif error.sqlstate == NOT_KNOWN_YET and self._is_replica:
            self.counters.entries.add("behind")
            self.behind = True
            self._fail_waiters(Behind(f"{self.name} has not caught up with epoch {epoch}"))
        else:
            self.counters.entries.add("failed")
            if self.last_failure is None:
                log.error("! %s cannot be used: %s", self.name, error.message)
            self.note_failure(error)

    def _exhausted(self) -> Unavailable:
        if not self._retired:
            return super()._exhausted()
        return Unavailable(
            f"the map of epoch {self.epoch} is old for {self.name}, and the catalog has not told a newer one",
            sqlstate="57P03",
        )

    def sweep(self) -> None:
        """As in Pool; a replica that is behind always has a connection that tries."""
        super().sweep()
        if self.behind and not self.coming and not self.closed:
            self._open_one()

"""How the connections of a pool come into the shard's epoch, so that nobody is handed one that is in another.

A connection enters when it is opened, when the epoch changes while it is idle, and else when it comes back.
What was handed out before the change may run in the older epoch, whose lock it holds; what is handed out
afterwards runs in the newer one.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from shardproxy.backend.connection import ServerConnection
from shardproxy.backend.epoch import NOT_KNOWN_YET, RETIRED, enter_script
from shardproxy.backend.holds import CANCELLED, let_go
from shardproxy.backend.request import ServerError, command
from shardproxy.errors import ShardproxyError, Unavailable

if TYPE_CHECKING:
    from shardproxy.backend.pool import Pool

log = logging.getLogger(__name__)

FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 0.5
"""Seconds between two tries of a replica that is behind; the pauses grow."""


class Behind(Unavailable):
    """The replica has not replayed what the map stands on; another server of the shard may have."""

    sqlstate = "57P03"


class Entry:
    """See the module. A pool without one enters nothing.

    ``epoch`` is what connections have to be in, ``here`` which shard they have to be on (installation/name).
    ``behind``: the server, a replica, has not heard of the epoch; ``_scout`` is the connection that keeps
    trying. ``retired``: the epoch was refused as retired, so there must be a newer map, which those who wait
    wait for too; ``on_retired`` has been called. ``entering`` connections are on their way in; they count as
    active ones.
    """

    def __init__(
        self, pool: "Pool", epoch: int, here: str, *, is_replica: bool, on_retired: Callable[[], None]
    ) -> None:
        self.epoch = epoch
        self.here = here
        self.behind = False
        self.retired = False
        self.entering = 0
        self._pool = pool
        self._is_replica = is_replica
        self._on_retired = on_retired
        self._scout: ServerConnection | None = None
        self._changed = asyncio.Event()

    def change(self, epoch: int) -> None:
        """From now on nobody is handed a connection that is not in ``epoch``."""
        if epoch != self.epoch:
            self.epoch = epoch
            self._changed.set()
            if self.retired:
                self.retired = False
                self._pool.refused_until = 0.0

    def bring_in(self, connection: ServerConnection) -> None:
        """Take a free connection into the epoch, without holds, and offer it then."""
        self.entering += 1
        self._pool.start(self._bring_in(connection))

    async def bring_along(self, connection: ServerConnection) -> None:
        """Take a connection that somebody holds, and that is settled, into the epoch, without holds.

        Raises ShardproxyError when it is not possible; the connection is closed then.
        """
        await let_go(connection)
        while connection.epoch != (epoch := self.epoch):
            try:
                await self._enter(connection, epoch)
            except ServerError as error:
                if error.sqlstate == CANCELLED:  # the client's request came when there was nothing to cancel
                    await command(connection, b"ROLLBACK")
                    continue
                self._give_up(connection, epoch, error)
                message = f"connection to {self._pool.name} was given up: {error.message}"
                raise Unavailable(message) from error

    def sweep(self) -> None:
        """A replica that is behind always has a connection that tries."""
        if self.behind and not self._pool.coming and not self._pool.closed:
            self._pool.open_one()

    def exhausted(self) -> Unavailable | None:
        """Why there was no connection in time, if it has to do with the epoch."""
        if not self.retired:
            return None
        return Unavailable(
            f"the map of epoch {self.epoch} is old for {self._pool.name}, "
            "and the catalog has not told a newer one",
            sqlstate="57P03",
        )

    async def _bring_in(self, connection: ServerConnection) -> None:
        """Enter, for as long as a replica needs to catch up."""
        pause = FIRST_PAUSE
        try:
            await let_go(connection)
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
        self._pool.release(connection)

    async def _enter(self, connection: ServerConnection, epoch: int) -> None:
        if connection.closed:
            raise Unavailable(f"connection to {self._pool.name} was lost: {connection.reason}")
        await command(connection, enter_script(epoch, connection.epoch, self.here).encode())
        connection.epoch = epoch
        self._pool.counters.entries.add("entered")
        if epoch == self.epoch:
            self.behind = False
            self._pool.refused_until = 0.0

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

    def _give_up(self, connection: ServerConnection, epoch: int, error: ServerError) -> None:
        """Close what was refused, and try again only after a while."""
        if epoch == self.epoch:
            self._pool.hold_back()
        connection.close(error.message)
        self._note_refusal(epoch, error)

    def _note_refusal(self, epoch: int, error: ServerError) -> None:
        """What follows from it for those who wait, and for the next tries."""
        pool = self._pool
        if epoch != self.epoch:
            return  # it was about an epoch that is of no interest any more
        if error.sqlstate == RETIRED:
            pool.counters.entries.add("retired")
            self.retired = True
            self._on_retired()
        elif error.sqlstate == NOT_KNOWN_YET and self._is_replica:
            pool.counters.entries.add("behind")
            self.behind = True
            pool.fail_waiters(Behind(f"{pool.name} has not caught up with epoch {epoch}"))
        else:
            pool.counters.entries.add("failed")
            if pool.last_failure is None:
                log.error("! %s cannot be used: %s", pool.name, error.message)
            pool.note_failure(error)

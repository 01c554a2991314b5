"""Following the catalog: a new map is known a moment after it is published, and none is ever forgotten.

One connection listens and polls; after each reconnect everything is read again. While the catalog's primary
is away its replicas are asked, and while none answers the map that is known stays.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import asyncpg

from shardproxy.backend.driver import FAULTS, connect, reason
from shardproxy.backend.shards import ServerSpec, ShardSpec
from shardproxy.catalog import maps
from shardproxy.catalog.sidecars import Identity, leave, tell
from shardproxy.errors import ShardproxyError
from shardproxy.topology.shard_map import ShardMap

log = logging.getLogger(__name__)

APPLICATION_NAME: Final = "shardproxy follower"
TIMEOUT: Final = 2.0
"""Seconds for a connect with its login, and for each answer."""
POLL: Final = 1.0
RETRY: Final = 0.5
HEARTBEAT: Final = 5.0
FAREWELL: Final = 0.5
STANDBY: Final = 3.0
"""Seconds after which a primary is looked for again while a replica is followed."""

_STANDBY: Final = "SELECT pg_is_in_recovery()"


class Follower:
    """Follows one catalog. Used from one event loop.

    ``on_map`` is called with each map that is newer than the last, and may refuse it (ShardproxyError).
    Mutable: ``epoch`` is of the newest map that was taken; ``answered`` is the loop's time of the catalog's
    last answer, None before the first; ``failure`` says why there is none now. ``_shards`` are told to the
    catalog, at the time ``_beat`` the next time; ``_standby``: it is a replica that answers.
    """

    def __init__(
        self, catalog: ShardSpec, on_map: Callable[[ShardMap], None], shards: Sequence[str] = ()
    ) -> None:
        self.epoch = 0
        self.answered: float | None = None
        self.failure: str | None = "not asked yet"
        self._servers = (catalog.primary, *catalog.replicas)
        self._on_map = on_map
        self._shards = tuple(shards)
        self._beat = 0.0
        self._standby = False
        self._me = Identity()
        self._wanted = asyncio.Event()
        self._refused = 0
        self._owner: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Follow until :meth:`stop`."""
        self._owner = asyncio.create_task(self._follow(), name="catalog")

    async def stop(self) -> None:
        """Follow no longer."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.cancel()
            await asyncio.wait((owner,))

    def hurry(self) -> None:
        """A shard says that the map is old: look now."""
        self._wanted.set()

    def tell(self, shards: Sequence[str]) -> None:
        """These are the shards that this process has servers for: tell the catalog soon."""
        self._shards = tuple(shards)
        self._beat = 0.0
        self._wanted.set()

    def has_answered(self, since: float) -> bool:
        """Whether the catalog's primary has, after that time of the loop."""
        return not self._standby and self.answered is not None and self.answered > since

    def take(self, shard_map: ShardMap) -> None:
        """Somebody else has got a map of the catalog's: it is taken if it is newer and can be."""
        if shard_map.epoch > self.epoch:
            self._take(shard_map)

    async def _follow(self) -> None:
        while True:
            try:
                connection, standby = await self._connect()
                try:
                    await self._attend(connection, standby)
                except asyncio.CancelledError:
                    await self._leave(connection)
                    raise
                finally:
                    connection.terminate()
            except FAULTS as fault:
                self._note_failure(reason(fault))
            except ShardproxyError as error:
                self._note_failure(error.message)
            await self._pause(RETRY)

    async def _leave(self, connection: asyncpg.Connection) -> None:
        """Tell the catalog that nobody is here any more, if it can be told at once."""
        with suppress(*FAULTS):
            async with asyncio.timeout(FAREWELL):
                await leave(connection, self._me)

    async def _connect(self) -> tuple[asyncpg.Connection, bool]:
        """A connection to the primary, or to a standby (True) while there is none. Raises the first fault."""
        failure: Exception | None = None
        spare: asyncpg.Connection | None = None
        for server in self._servers:
            try:
                connection = await self._open(server)
                standby = await connection.fetchval(_STANDBY)
            except FAULTS as fault:
                failure = failure or fault
                continue
            if not standby:
                if spare is not None:
                    spare.terminate()
                return connection, False
            if spare is None:
                spare = connection
            else:
                connection.terminate()
        if spare is None:
            assert failure is not None
            raise failure
        return spare, True

    async def _open(self, server: ServerSpec) -> asyncpg.Connection:
        return await connect(
            server.address, server.login, APPLICATION_NAME, timeout=TIMEOUT, command_timeout=TIMEOUT
        )

    async def _attend(self, connection: asyncpg.Connection, standby: bool) -> None:
        """Read everything, then what is new; a standby, which nobody can listen on, not for long."""
        clock = asyncio.get_running_loop().time
        until, self._beat, self._standby = clock() + STANDBY, 0.0, standby
        if not standby:
            await connection.add_listener(maps.CHANNEL, lambda *_: self._wanted.set())
        connection.add_termination_listener(lambda _: self._wanted.set())
        self._take(await maps.read(connection))
        while not standby or clock() < until:
            if not standby and clock() >= self._beat:
                self._beat = clock() + HEARTBEAT
                await tell(connection, self._me, self.epoch, self._shards)
            self._answered()
            await self._pause(POLL)
            epoch = await maps.newest_epoch(connection)
            if epoch not in (self.epoch, self._refused):
                self._take(await maps.read(connection))

    def _take(self, shard_map: ShardMap) -> None:
        if shard_map.epoch < self.epoch:
            if self._refused != shard_map.epoch:
                if self._standby:
                    log.warning("! the catalog's replica is behind: it has epoch %d", shard_map.epoch)
                else:
                    log.critical(
                        "the catalog has lost epoch %d: its newest is %d", self.epoch, shard_map.epoch
                    )
            self._refused = shard_map.epoch
        elif shard_map.epoch > self.epoch:
            try:
                self._on_map(shard_map)
            except ShardproxyError as error:
                log.error("the map of epoch %d is not taken: %s", shard_map.epoch, error.message)
                self._refused = shard_map.epoch
                return
            self.epoch = shard_map.epoch

    async def _pause(self, seconds: float) -> None:
        """Wait, unless somebody wants news."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wanted.wait()
        self._wanted.clear()

    def _answered(self) -> None:
        if self.failure is not None and self.answered is not None:
            log.info("= the catalog answers again")
        self.failure = None
        self.answered = asyncio.get_running_loop().time()

    def _note_failure(self, why: str) -> None:
        if self.failure != why:
            log.warning("! the catalog cannot be followed: %s", why)
        self.failure = why

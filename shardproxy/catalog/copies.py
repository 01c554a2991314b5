"""Copies of the map on the shards, for sidecars that cannot reach the catalog.

A copy is put on the shards that a map concerns once it is in force, as well as that is possible: it may be
missing or old, and it is never of a map that was not in force.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from shardproxy.backend.driver import FAULTS, connect
from shardproxy.backend.shards import ShardSpec
from shardproxy.catalog.follower import Follower
from shardproxy.catalog.maps import read_copy
from shardproxy.errors import ShardproxyError

log = logging.getLogger(__name__)

APPLICATION_NAME: Final = "shardproxy follower"
TIMEOUT: Final = 1.0
"""Seconds for a connect with its login, and for each answer."""
MOMENT: Final = 0.2
"""Seconds that the catalog has for its answer before the shards are asked, and from one look to the next."""
PATIENCE: Final = 15.0
"""Seconds after which nobody waits for a newer map any more who has not asked again."""


class Copies:
    """Asks shards for their copies, when somebody wants a newer map and the catalog does not answer.

    Used from one event loop. Mutable: ``_wanted`` are the shards to be asked for a map that is newer than
    ``_epoch``, since ``_since`` (the loop's time); ``_owner`` is the task that does it, while there is one.
    """

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._wanted: dict[str, ShardSpec] = {}
        self._epoch = 0
        self._since = 0.0
        self._owner: asyncio.Task[None] | None = None

    def want(self, shards: Iterable[ShardSpec]) -> None:
        """A newer map is wanted, and these shards may have a copy of it."""
        self._wanted |= {shard.name: shard for shard in shards}
        self._epoch, self._since = self._follower.epoch, asyncio.get_running_loop().time()
        if self._owner is None or self._owner.done():
            self._owner = asyncio.create_task(self._look(), name="copies")

    async def compare(self, shards: Iterable[ShardSpec]) -> None:
        """Take the newest copy that any shard has, if the catalog has an older map; it has lost one then,
        unless it is a replica that is behind.
        """
        before = self._follower.epoch
        await asyncio.gather(*(self._ask(shard) for shard in shards))
        if self._follower.epoch > before and self._follower.has_answered(0.0):
            log.critical(
                "the catalog has lost epoch %d: its newest is %d; shardproxy init puts it back",
                self._follower.epoch,
                before,
            )

    async def stop(self) -> None:
        """Ask nobody any more."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.cancel()
            await asyncio.wait((owner,))

    async def _look(self) -> None:
        clock = asyncio.get_running_loop().time
        while clock() < self._since + PATIENCE and self._follower.epoch == self._epoch:
            await asyncio.sleep(MOMENT)
            if not self._follower.has_answered(self._since):
                await asyncio.gather(*(self._ask(shard) for shard in self._wanted.values()))
        self._wanted.clear()

    async def _ask(self, shard: ShardSpec) -> None:
        """Ask a shard's primary, or a replica while that is away, and take what is newer."""
        for server in (shard.primary, *shard.replicas):
            with suppress(*FAULTS):
                connection = await connect(
                    server.address, server.login, APPLICATION_NAME, timeout=TIMEOUT, command_timeout=TIMEOUT
                )
                try:
                    found = await read_copy(connection)
                except ShardproxyError as error:
                    log.error("the copy of the map on shard %s cannot be read: %s", shard.name, error.message)
                    return
                finally:
                    connection.terminate()
                if found is not None and found.epoch > self._follower.epoch:
                    log.info("= shard %s has a copy of a newer map", shard.name)
                    self._follower.take(found)
                return

"""The sidecar's part in an installation: whether there is one, whether it is ours, and what its map says.

The shards are asked: where none has a fence, the configuration is the map. Where one has, the map is the
catalog's, and it is waited for.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from shardproxy.backend.driver import FAULTS, connect, reason
from shardproxy.backend.shards import ServerSpec, ShardSpec
from shardproxy.catalog.agreement import Difference, Disagreement, check_agreement, drift
from shardproxy.catalog.follower import Follower
from shardproxy.catalog.look import Installed, NotOurs, look
from shardproxy.topology.shard_map import ShardMap

log = logging.getLogger(__name__)

APPLICATION_NAME: Final = "shardproxy start"
TIMEOUT: Final = 3.0
RETRY: Final = 0.5

OnMap = Callable[[ShardMap, str], None]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a shard said of itself; ``installed`` is None when none of its servers answered."""

    spec: ShardSpec
    installed: Installed | None
    failure: str = ""


class Installation:
    """What the shards of one sidecar belong to. Used from one event loop.

    ``wish`` is the configuration's map. ``on_map`` is called with each map of the catalog and the name of the
    installation. Mutable: ``name``, None as long as the configuration is the map; ``follower``, from then on
    that there is a catalog; ``_first`` ends with the first map.
    """

    def __init__(self, specs: Sequence[ShardSpec], catalog: int, wish: ShardMap, on_map: OnMap) -> None:
        self.name: str | None = None
        self.follower: Follower | None = None
        self._specs = tuple(specs)
        self._catalog = specs[catalog]
        self._wish = wish
        self._on_map = on_map
        self._first: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Return when it is clear whose the map is, and with the catalog's map in force if it is that.

        Waits for as long as no shard answers, and for the catalog. Raises Disagreement when the configuration
        is another installation's, or not this one's any more.
        """
        answers = await self._ask_all()
        for answer in answers:
            if answer.installed is None:
                log.warning("! shard %s cannot be asked: %s", answer.spec.name, answer.failure)
        fenced = [answer for answer in answers if answer.installed and answer.installed.fence]
        if not fenced:
            return
        self.name = _name_of(fenced, self._catalog.name)
        log.info("installation %s: the map is the catalog's, on %s", self.name, self._catalog.name)
        self.follower = Follower(self._catalog, self._take)
        self.follower.start()
        await self._first

    async def stop(self) -> None:
        """Follow no longer."""
        if self.follower is not None:
            await self.follower.stop()

    def hurry(self) -> None:
        """A shard says that the map is old."""
        if self.follower is not None:
            self.follower.hurry()

    def _take(self, shard_map: ShardMap) -> None:
        """A map of the catalog's, which is newer than the last. Raises ShardproxyError: it is not taken."""
        if not self._first.done():
            try:
                check_agreement(self._wish, shard_map)
            except Disagreement as error:
                self._first.set_exception(error)
                raise
            for sentence in drift(self._wish, shard_map):
                log.warning("the configuration differs from the catalog, which counts: %s", sentence)
        assert self.name is not None
        self._on_map(shard_map, self.name)
        if not self._first.done():
            self._first.set_result(None)

    async def _ask_all(self) -> list[_Answer]:
        """The answers of all shards, of which at least one has answered."""
        told = False
        while True:
            answers = await asyncio.gather(*(_ask(spec) for spec in self._specs))
            if any(answer.installed is not None for answer in answers):
                return answers
            if not told:
                log.error("no shard answers (%s); it is tried again", answers[0].failure)
                told = True
            await asyncio.sleep(RETRY)


async def _ask(spec: ShardSpec) -> _Answer:
    """Ask a shard's primary, or a replica while that is away."""
    failure = ""
    for server in (spec.primary, *spec.replicas):
        try:
            return _Answer(spec, await _look_at(server))
        except asyncpg.InsufficientPrivilegeError as fault:
            mistake = f"{reason(fault)}; run shardproxy init for the role {server.login.user}"
            raise Disagreement((Difference("shards", spec.name, mistake),)) from None
        except FAULTS as fault:
            failure = failure or f"{server.address}: {reason(fault)}"
    return _Answer(spec, None, failure)


async def _look_at(server: ServerSpec) -> Installed:
    connection = await connect(
        server.address, server.login, APPLICATION_NAME, timeout=TIMEOUT, command_timeout=TIMEOUT
    )
    try:
        return await look(connection)
    except NotOurs as error:
        log.warning("%s: %s", server.address, error.message)
        return Installed()
    finally:
        connection.terminate()


def _name_of(fenced: Sequence[_Answer], catalog: str) -> str:
    """The installation that the shards are of. Raises Disagreement for a shard that is of another, or another
    shard.
    """
    fences = {answer.spec.name: answer.installed.fence for answer in fenced if answer.installed}
    known = {name: fence for name, fence in fences.items() if fence is not None}
    ours = (known.get(catalog) or next(iter(known.values()))).installation
    found = [
        Difference("shards", name, f'is shard "{fence.name}" of installation {fence.installation}')
        for name, fence in known.items()
        if fence.installation != ours or fence.name != name
    ]
    if found:
        raise Disagreement(tuple(found))
    return str(ours)

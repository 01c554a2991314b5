"""The sidecar's part in an installation: whether there is one, whether it is ours, and what its map says.

The shards are asked: where none has a fence, the configuration is the map. Where one has, the map is the
catalog's, and it is waited for.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from shardproxy.backend.driver import FAULTS, connect, reason
from shardproxy.backend.shards import ServerSpec, ShardSpec
from shardproxy.catalog.agreement import Difference, Disagreement, Wish, check_agreement, drift
from shardproxy.catalog.copies import Copies
from shardproxy.catalog.follower import Follower
from shardproxy.catalog.look import Fence, Installed, NotOurs, look
from shardproxy.catalog.versions import VERSION, newer
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

    @property
    def fence(self) -> Fence | None:
        return None if self.installed is None else self.installed.fence


def _has_catalog(answer: _Answer) -> bool:
    return answer.installed is not None and answer.installed.catalog


class Installation:
    """What the shards of one sidecar belong to. Used from one event loop.

    ``wish`` is the configuration's. ``catalog`` is the shard that it names for the catalog, None: it is where
    it is found. ``on_map`` is called with each map of the catalog and the name of the installation.
    Mutable: ``name``, None as long as the configuration is the map; ``follower``, from then on that there is
    a catalog; ``shard_map``, the newest that was taken; ``_copies`` asks the shards where the catalog does
    not answer; ``_specs`` and ``_wish`` are of the configuration in force; ``_first`` ends with the first
    map.
    """

    def __init__(self, specs: Sequence[ShardSpec], catalog: str | None, wish: Wish, on_map: OnMap) -> None:
        self.name: str | None = None
        self.follower: Follower | None = None
        self.shard_map: ShardMap | None = None
        self._copies: Copies | None = None
        self._specs = tuple(specs)
        self._catalog = catalog
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
        fenced = [answer for answer in answers if answer.fence]
        if not fenced:
            return
        catalog = self._catalog_among(answers)
        self.name = _name_of(fenced, catalog.name)
        log.info("installation %s: the map is the catalog's, on %s", self.name, catalog.name)
        self.follower = Follower(catalog, self._take, [spec.name for spec in self._specs])
        self._copies = Copies(self.follower)
        self.follower.start()
        await self._first
        await self._copies.compare(self._specs)

    async def stop(self) -> None:
        """Follow no longer."""
        if self._copies is not None:
            await self._copies.stop()
        if self.follower is not None:
            await self.follower.stop()

    def configure(self, specs: Sequence[ShardSpec], wish: Wish) -> None:
        """The configuration is another one from now on; the catalog hears of it. It stays where it is."""
        self._specs, self._wish = tuple(specs), wish
        if self.follower is not None:
            self.follower.tell([spec.name for spec in specs])

    def hurry(self, shard: str) -> None:
        """The shard of that name says that the map is old."""
        self._hurry({shard})

    def hurry_for_moves(self) -> None:
        """Rows that move are said to be elsewhere."""
        if self.shard_map is not None:
            moves = self.shard_map.moves
            self._hurry({self.shard_map.shards[end] for move in moves for end in (move.source, move.target)})

    def _hurry(self, names: Collection[str]) -> None:
        if self.follower is not None and self._copies is not None:
            self.follower.hurry()
            self._copies.want(spec for spec in self._specs if spec.name in names)

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
        self.shard_map = shard_map
        if not self._first.done():
            self._first.set_result(None)

    async def _ask_all(self) -> list[_Answer]:
        """The answers of all shards, of which at least one has answered; that of the catalog's, if a fence
        says that there is one and the configuration does not say where.
        """
        told = False
        while True:
            answers = await asyncio.gather(*(_ask(spec) for spec in self._specs))
            silent = [answer for answer in answers if answer.installed is None]
            sought = self._catalog is None and any(answer.fence for answer in answers)
            if len(silent) < len(answers) and not (silent and sought and not any(map(_has_catalog, answers))):
                return answers
            if not told:
                what = "the catalog was not found" if sought else "no shard answers"
                log.error("%s (%s); it is tried again", what, silent[0].failure)
                told = True
            await asyncio.sleep(RETRY)

    def _catalog_among(self, answers: Sequence[_Answer]) -> ShardSpec:
        """The shard that has the catalog: as the configuration says, or where it is, or should be."""
        if self._catalog is not None:
            return next(spec for spec in self._specs if spec.name == self._catalog)
        return next((answer.spec for answer in answers if _has_catalog(answer)), self._specs[0])


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
    shard, and for a version that is not known.
    """
    known = {answer.spec.name: answer.fence for answer in fenced if answer.fence is not None}
    ours = (known.get(catalog) or next(iter(known.values()))).installation
    found = [
        Difference("shards", name, f'is shard "{fence.name}" of installation {fence.installation}')
        for name, fence in known.items()
        if fence.installation != ours or fence.name != name
    ]
    found += [
        Difference("shards", name, newer(fence.version))
        for name, fence in known.items()
        if fence.version > VERSION
    ]
    if found:
        raise Disagreement(tuple(found))
    return str(ours)

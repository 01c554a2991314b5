"""A series of ordinary moves until everything is where it should be.

It has no journal of its own. Before each move the map is read again, and what it still lacks is cut into
batches anew; so a change of somebody else's is taken up, and after Ctrl-C or a crash the same command goes
on where the map stands. What an earlier series left half done is in the journal, and is finished first.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import asyncpg

from shardproxy.backend.driver import FAULTS, reason
from shardproxy.catalog import journal, maps
from shardproxy.catalog.connect import connect
from shardproxy.catalog.journal import Buckets, Move
from shardproxy.errors import ShardproxyError, Unavailable
from shardproxy.rebalance.connections import CONNECT_TIMEOUT, forget, open_catalog
from shardproxy.rebalance.driver import FIRST_PAUSE, LONGEST_PAUSE, TRANSIENT
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.move import Outcome, carry_out, resume
from shardproxy.rebalance.obstacles import Obstacle, Obstructed
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.plan import Planned, Size
from shardproxy.rebalance.preflight import preflight
from shardproxy.rebalance.progress import Overall, Progress, Report, silent
from shardproxy.rebalance.ring import Batch, Goal, Limits, Sizes, batches
from shardproxy.rebalance.sizes import measure
from shardproxy.rebalance.steps import Step
from shardproxy.rebalance.tables import ROW_SETTINGS
from shardproxy.topology.moves import Moving
from shardproxy.topology.shard_map import ShardMap

APPLICATION_NAME: Final = "shardproxy rebalance"
OF_A_SERIES: Final = "series"
"""The fact in the journal by which a series knows the moves that it or an earlier one has begun."""

Lacks = Callable[[ShardMap], Goal]
"""What a map still lacks of what a series is for."""


@dataclass(frozen=True, slots=True)
class SeriesPlan:
    """What a series would do: ``batches`` in their order, with the names of shards in ``shard_map``, and
    what is in the way of any.
    """

    shard_map: ShardMap
    goal: Goal
    sizes: Sizes
    batches: tuple[Batch, ...]
    obstacles: tuple[Obstacle, ...] = ()
    warnings: tuple[Obstacle, ...] = ()

    @property
    def size(self) -> Size:
        """All that would move."""
        return self.sizes.of(self.goal)

    def check(self) -> None:
        """Raises Obstructed."""
        if self.obstacles:
            raise Obstructed(list(self.obstacles))

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        names = self.shard_map.shards
        return {
            "batches": [
                {
                    "source": names[each.source],
                    "target": names[each.target],
                    "buckets": len(each.buckets),
                    "keys": len(each.keys),
                    "rows": each.size.rows,
                    "bytes": each.size.bytes,
                }
                for each in self.batches
            ],
            "buckets": len(self.goal.buckets),
            "keys": len(self.goal.keys),
            "rows": self.size.rows,
            "bytes": self.size.bytes,
            "obstacles": [{"what": each.what, "remedy": each.remedy} for each in self.obstacles],
            "warnings": [{"what": each.what, "remedy": each.remedy} for each in self.warnings],
        }


@dataclass(frozen=True, slots=True)
class Manner:
    """How a series goes about it: ``parallel`` moves at a time, but no more than ``options.concurrent`` on
    one shard; each within ``limits``.
    """

    options: MoveOptions = field(default_factory=MoveOptions)
    limits: Limits = field(default_factory=Limits)
    parallel: int = 1


async def plan_series(
    installation: Installation,
    lacks: Lacks,
    manner: Manner,
    report: Report = silent,
    known: Sizes | None = None,
) -> SeriesPlan:
    """Look at everything, and change nothing. Reads all tables of the shards that something leaves, unless
    the sizes are ``known``.

    Raises ShardproxyError; servers that are away are Unavailable.
    """
    report(Progress("measure", "looking for what has to move", begins=True))
    try:
        catalog = await open_catalog(installation, APPLICATION_NAME)
        try:
            shard_map = await maps.read(catalog)
            goal = lacks(shard_map)
            for name in _concerned(shard_map, goal):
                installation.shard(name)
            sizes = known or await measure(installation, shard_map, goal, report)
            found = await _obstacles(installation, catalog, shard_map, goal, manner)
        finally:
            catalog.terminate()
    except FAULTS as fault:
        raise Unavailable(reason(fault)) from fault
    return SeriesPlan(
        shard_map,
        goal,
        sizes,
        tuple(batches(shard_map, goal, sizes, manner.limits)),
        tuple(each for each in found if not each.warning),
        tuple(each for each in found if each.warning),
    )


async def run_series(
    installation: Installation,
    lacks: Lacks,
    manner: Manner,
    report: Report = silent,
    known: Sizes | None = None,
) -> list[Outcome]:
    """Move everything to where it should be. How each move ended, those of an earlier series first.
    ``known``: as of :func:`plan_series`.

    Raises Obstructed before anything is changed. When a move stops on its way, those beside it are finished
    first; then what has stopped it is raised. Running it again goes on.
    """
    outcomes = await finish_earlier(installation, report)
    plan = await plan_series(installation, lacks, manner, report, known)
    plan.check()
    return outcomes + await _Series(installation, lacks, manner, report, plan).run()


async def finish_earlier(installation: Installation, report: Report = silent) -> list[Outcome]:
    """Drive the unfinished moves that a series has begun to their ends. Raises what stops one; Busy, when
    another process does that.
    """
    try:
        catalog = await open_catalog(installation, APPLICATION_NAME)
        try:
            found = [move for move in await journal.unfinished(catalog) if _of_a_series(move)]
        finally:
            await forget(catalog)
    except FAULTS as fault:
        raise Unavailable(reason(fault)) from fault
    return [await resume(installation, move.number, report) for move in found]


def _of_a_series(move: Move) -> bool:
    return isinstance(move.what, Buckets) or bool(move.facts.get(OF_A_SERIES))


def _concerned(shard_map: ShardMap, goal: Goal) -> list[str]:
    """The names of the shards that something leaves or comes to."""
    sources = {shard_map.owners[number] for number in goal.buckets}
    sources |= {shard_map.placements[place] for place in goal.keys}
    return [shard_map.shards[i] for i in sorted({*sources, *goal.buckets.values(), *goal.keys.values()})]


async def _obstacles(
    installation: Installation, catalog: asyncpg.Connection, shard_map: ShardMap, goal: Goal, manner: Manner
) -> list[Obstacle]:
    """What is in the way of any pair of shards, each once."""
    unlimited = Limits(1 << 62, 1 << 62, 1 << 62, 1 << 62)
    found: dict[str, Obstacle] = {}
    for batch in batches(shard_map, goal, Sizes(), unlimited):
        opened: list[asyncpg.Connection] = []
        try:
            for index in (batch.source, batch.target):
                primary = installation.shard(shard_map.shards[index]).primary
                opened.append(
                    await connect(primary, APPLICATION_NAME, timeout=CONNECT_TIMEOUT, settings=ROW_SETTINGS)
                )
            move = Moving(0, batch.source, batch.target, frozenset(batch.keys), frozenset(batch.buckets))
            names = (shard_map.shards[batch.source], shard_map.shards[batch.target])
            specs = (installation.shard(names[0]), installation.shard(names[1]))
            for each in await preflight(
                catalog, opened[0], opened[1], shard_map, move, specs, manner.options
            ):
                found.setdefault(each.what, each)
        finally:
            for connection in opened:
                connection.terminate()
    return list(found.values())


class _Series:
    """One series.

    Mutable: ``_under_way``, the batches that are driven now, each with the rows it has copied;
    ``_outcomes``; ``_moved``, buckets and keys of those that have ended, and ``_done``, their size;
    ``_failure``, what has stopped one of them.
    """

    def __init__(
        self, installation: Installation, lacks: Lacks, manner: Manner, report: Report, plan: SeriesPlan
    ) -> None:
        self._installation = installation
        self._lacks = lacks
        self._manner = manner
        self._report = report
        self._plan = plan
        self._began = asyncio.get_running_loop().time()
        self._changed = asyncio.Condition()
        self._under_way: dict[Batch, int] = {}
        self._outcomes: list[Outcome] = []
        self._moved = (0, 0)
        self._done = Size()
        self._failure: Exception | None = None

    async def run(self) -> list[Outcome]:
        """Return when the map lacks nothing any more."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._manner.parallel):
                    group.create_task(self._work())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        if isinstance(self._failure, FAULTS):
            raise Unavailable(reason(self._failure)) from self._failure
        if self._failure is not None:
            raise self._failure
        return self._outcomes

    async def _work(self) -> None:
        try:
            while (chosen := await self._next()) is not None:
                await self._move(*chosen)
        except (ShardproxyError, *FAULTS) as failure:  # the others finish what they have begun
            async with self._changed:
                self._failure = self._failure or failure
                self._changed.notify_all()

    async def _move(self, shard_map: ShardMap, batch: Batch) -> None:
        source, target = shard_map.shards[batch.source], shard_map.shards[batch.target]
        planned = Planned(source, target, batch.what(shard_map), {"all": batch.size})

        def report(progress: Progress) -> None:
            if progress.step == Step.COPY and progress.rows is not None:
                self._under_way[batch] = min(progress.rows, batch.size.rows)
            self._report(replace(progress, overall=self._overall()))

        try:
            outcome = await carry_out(
                self._installation, planned, self._manner.options, report, facts={OF_A_SERIES: True}
            )
            self._outcomes.append(outcome)
            if outcome.state != "done":
                raise ShardproxyError(f"move {outcome.number} was aborted by somebody else")
            buckets, keys = self._moved
            self._moved = (buckets + len(batch.buckets), keys + len(batch.keys))
            self._done += batch.size
        finally:
            async with self._changed:
                del self._under_way[batch]
                self._changed.notify_all()

    async def _next(self) -> tuple[ShardMap, Batch] | None:
        """The next batch, once its shards are free for it; None when nothing is left, or something failed."""
        async with self._changed:
            while self._failure is None:
                shard_map = await self._read_map()
                left = self._left(shard_map)
                batch = self._free(batches(shard_map, left, self._plan.sizes, self._manner.limits))
                if batch is not None:
                    self._under_way[batch] = 0
                    return shard_map, batch
                if not self._under_way:
                    return None
                await self._changed.wait()
        return None

    def _left(self, shard_map: ShardMap) -> Goal:
        """What is lacking and nobody is at. Keys come last, when their buckets have come to rest."""
        goal = self._lacks(shard_map)
        taken = {number for batch in self._under_way for number in batch.buckets}
        buckets = {number: target for number, target in goal.buckets.items() if number not in taken}
        if goal.buckets or taken:
            return Goal(buckets)
        gone = {place for batch in self._under_way for place in batch.keys}
        return Goal({}, {place: target for place, target in goal.keys.items() if place not in gone})

    def _free(self, found: Iterable[Batch]) -> Batch | None:
        """The batch whose shards have the least to do; None where all that are left have enough."""
        busy: Counter[int] = Counter()
        for batch in self._under_way:
            busy.update((batch.source, batch.target))
        most = self._manner.options.concurrent
        free = [each for each in found if max(busy[each.source], busy[each.target]) < most]
        return min(free, key=lambda each: busy[each.source] + busy[each.target], default=None)

    async def _read_map(self) -> ShardMap:
        """The map in force. A catalog that is away is waited for as long as a move would."""
        clock = asyncio.get_running_loop().time
        deadline, pause = clock() + self._manner.options.patience, FIRST_PAUSE
        while True:
            try:
                catalog = await open_catalog(self._installation, APPLICATION_NAME)
                try:
                    return await maps.read(catalog)
                finally:
                    await forget(catalog)
            except TRANSIENT as fault:
                if clock() > deadline:
                    raise
                self._report(Progress("", f"{reason(fault)}; trying again", overall=self._overall()))
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 1.5)

    def _overall(self) -> Overall:
        buckets, keys = self._moved
        rows = self._done.rows + sum(self._under_way.values())
        size = self._plan.size
        return Overall(
            buckets,
            len(self._plan.goal.buckets),
            keys,
            len(self._plan.goal.keys),
            rows,
            size.rows,
            size.bytes * rows // size.rows if size.rows else 0,
            size.bytes,
            asyncio.get_running_loop().time() - self._began,
        )

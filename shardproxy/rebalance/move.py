"""What commands, the console and programs call: plan, move, resume, abort."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from shardproxy.backend.driver import FAULTS, reason
from shardproxy.catalog import journal
from shardproxy.catalog.journal import Buckets, Entry, Move, What
from shardproxy.errors import ShardproxyError, Unavailable
from shardproxy.rebalance.connections import forget, open_catalog
from shardproxy.rebalance.drive import Soak
from shardproxy.rebalance.driver import drive_back, drive_on, drive_rollback
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.janitor import Cleared, clear
from shardproxy.rebalance.obstacles import Obstructed
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.plan import Planned, make_plan
from shardproxy.rebalance.progress import Progress, Report, silent
from shardproxy.rebalance.steps import Step
from shardproxy.rebalance.what import MapConflict

APPLICATION_NAME = "shardproxy moves"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a move ended, or where it rests: ``until`` is when its rollback window is over. ``pause``: seconds
    between the fence and the flip. ``steps``: seconds of each step, all its tries together. ``verified``: how
    exactly the two sides were compared.
    """

    number: int
    state: str
    source: str
    target: str
    what: What
    rows: int
    bytes: int
    pause: float | None
    verified: str | None
    until: str | None
    seconds: float
    steps: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        what = (
            {"buckets": list(self.what.buckets)}
            if isinstance(self.what, Buckets)
            else {"group": self.what.group, "keys": list(self.what.keys)}
        )
        return {
            "move": self.number,
            "state": self.state,
            "source": self.source,
            "target": self.target,
            **what,
            "rows": self.rows,
            "bytes": self.bytes,
            "pause_seconds": self.pause,
            "verified": self.verified,
            "rollback_until": self.until,
            "seconds": round(self.seconds, 3),
            "steps": {step: round(seconds, 3) for step, seconds in self.steps.items()},
        }


async def move(
    installation: Installation,
    what: What,
    target: str,
    options: MoveOptions | None = None,
    report: Report = silent,
    *,
    wait: bool = False,
) -> list[Outcome]:
    """Move keys or buckets to the shard called ``target``: one move after the other for each shard they come
    from. ``wait``: until the rollback window is over; else a move that has one rests in it.

    Nothing is done for what is there already. Raises Obstructed before anything is changed, with every
    obstacle; other ShardproxyErrors when a move stops on its way: the journal has it, and it can be resumed
    or aborted.
    """
    chosen = options or MoveOptions()
    if chosen.offline and chosen.rollback_window > 0:
        raise ShardproxyError("an offline move has no way back", sqlstate="22023")
    async with Words():
        report(Progress(Step.PLANNED, "looking for obstacles", begins=True))
        plan = await make_plan(installation, what, target, chosen)
        if plan.obstacles:
            raise Obstructed(plan.obstacles)
        soak = Soak.WAIT if wait else Soak.REST
        return [await carry_out(installation, planned, chosen, report, soak) for planned in plan.moves]


async def carry_out(
    installation: Installation,
    planned: Planned,
    options: MoveOptions,
    report: Report,
    soak: Soak = Soak.REST,
    facts: Mapping[str, Any] | None = None,
) -> Outcome:
    """Write one move down, with ``facts``, and drive it to its end, or to its rollback window.

    Nothing is left of one that cannot begin: Obstructed, MapConflict. Other errors as of :func:`move`.
    """
    async with Words():
        number = await _write_down(installation, planned, options, facts or {})
        try:
            ended = await drive_on(installation, number, report, soak=soak, patience=options.patience)
            return await _outcome(installation, ended)
        except (Obstructed, MapConflict):  # somebody else was quicker
            if (await read(installation, number))[0].step in (Step.PLANNED, Step.ANNOUNCE):
                await drive_back(installation, number, report)
            raise


async def resume(
    installation: Installation,
    number: int,
    report: Report = silent,
    *,
    accept_differences: bool = False,
    soak: Soak = Soak.REST,
) -> Outcome:
    """Drive an unfinished move to its end, or to the end of its abort if one was begun, or into its rollback
    window; ``soak`` says what is done there.

    ``accept_differences``: also if the verification finds some. Of a move that has ended, how it did.
    """
    async with Words():
        ended = await drive_on(installation, number, report, accept_differences=accept_differences, soak=soak)
        return await _outcome(installation, ended)


async def roll_back(installation: Installation, number: int, report: Report = silent) -> Outcome:
    """Move the rows of a move that is in its rollback window back to where they were; how the move that does
    it ended. Raises NoWayBack.
    """
    async with Words():
        return await _outcome(installation, await drive_rollback(installation, number, report))


async def abort(installation: Installation, number: int, report: Report = silent) -> Outcome:
    """Undo an unfinished move. Raises ForwardOnly once the target owns the rows."""
    async with Words():
        return await _outcome(installation, await drive_back(installation, number, report))


async def read(installation: Installation, number: int) -> tuple[Move, list[Entry]]:
    """A move with its log."""
    async with Words():
        catalog = await open_catalog(installation, APPLICATION_NAME)
        try:
            return await journal.read(catalog, number), await journal.entries(catalog, number)
        finally:
            await forget(catalog)


async def newest(installation: Installation, limit: int) -> list[Move]:
    """The newest moves, at most ``limit``, the newest first."""
    async with Words():
        catalog = await open_catalog(installation, APPLICATION_NAME)
        try:
            return await journal.moves(catalog, limit=limit)
        finally:
            await forget(catalog)


async def clear_leftovers(installation: Installation, *, dry_run: bool = False) -> Cleared:
    """Remove from all shards what moves have left there and no unfinished one owns."""
    async with Words():
        return await clear(installation, dry_run=dry_run)


async def _write_down(
    installation: Installation, planned: Planned, options: MoveOptions, facts: Mapping[str, Any]
) -> int:
    catalog = await open_catalog(installation, APPLICATION_NAME)
    try:
        async with catalog.transaction():
            written = await journal.create(
                catalog,
                planned.source,
                planned.target,
                planned.what,
                step=Step.PLANNED,
                options=options.to_json(),
            )
            size = planned.size
            known = {"rows": size.rows, "bytes": size.bytes, **facts}
            await journal.update(catalog, written.number, facts=known)
        return written.number
    finally:
        await forget(catalog)


async def _outcome(installation: Installation, ended: Move) -> Outcome:
    _, entries = await read(installation, ended.number)
    steps: dict[str, float] = {}
    for entry, following in pairwise(entries):
        steps[entry.step] = steps.get(entry.step, 0.0) + (following.at - entry.at).total_seconds()
    return Outcome(
        number=ended.number,
        state=ended.state.value,
        source=ended.source,
        target=ended.target,
        what=ended.what,
        rows=ended.facts.get("rows", 0),
        bytes=ended.facts.get("bytes", 0),
        pause=ended.facts.get("pause"),
        verified=ended.facts.get("verified"),
        until=ended.facts.get("until") if ended.step == Step.SOAK else None,
        seconds=(ended.updated - ended.created).total_seconds(),
        steps=steps,
    )


class Words:
    """Faults of servers leave it as one of our errors."""

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, FAULTS):
            raise Unavailable(reason(error)) from error

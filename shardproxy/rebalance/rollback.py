"""Rolling a move back: a move of its own in the opposite direction, over the way back of the first.

It has the same steps. Its entry in the map takes the place of the first one's, so that every row counts once
all the time; instead of copying it adopts the stream that has kept the source's rows current. Undone before
its flip, it leaves the first move soaking as before; after the flip the first one has ended.
"""

from dataclasses import replace
from typing import Final

import asyncpg

from shardproxy.catalog import journal, maps
from shardproxy.catalog.journal import Move, MoveState
from shardproxy.errors import ShardproxyError
from shardproxy.rebalance.connections import forget, lock, lock_name, open_catalog
from shardproxy.rebalance.cut_over import take_back
from shardproxy.rebalance.drive import Drive
from shardproxy.rebalance.fail_points import ADOPTED, fail_point
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.steps import Step
from shardproxy.rebalance.stream import Stream, StreamLost
from shardproxy.rebalance.table_fence import take_down
from shardproxy.rebalance.what import listed, replaced
from shardproxy.replication import subscription

_FORGET: Final = "DELETE FROM shardproxy.moving WHERE move = $1"
_MOVED: Final = """
INSERT INTO shardproxy.moving (move, state, target, epoch) VALUES ($1, 'moved', $2, $3)
ON CONFLICT (move) DO UPDATE SET state = 'moved', epoch = EXCLUDED.epoch
"""


class NoWayBack(ShardproxyError):
    """The move cannot be rolled back."""

    sqlstate = "55000"


async def begin(installation: Installation, number: int) -> int:
    """Write the rollback of the move ``number`` into the journal, unless there is one under way; its own
    number.

    Raises NoWayBack for a move that does not soak, Busy where its driver is at work.
    """
    catalog = await open_catalog(installation, lock_name(number))
    try:
        await lock(catalog, number)
        first = await journal.read(catalog, number)
        under_way = await rolled_back_by(catalog, first)
        if under_way is not None:
            return under_way.number
        if first.state is not MoveState.RUNNING or first.step != Step.SOAK:
            raise _no_way_back(first)
        options = MoveOptions.from_json(first.options)
        facts = {name: first.facts.get(name) for name in ("rows", "bytes", "differences")}
        facts |= {"reverses": number, "files": first.facts["way_back"]["files"]}
        async with catalog.transaction():
            made = await journal.create(
                catalog,
                first.target,
                first.source,
                first.what,
                step=Step.PLANNED,
                options=replace(options, rollback_window=0.0, way_back=False).to_json(),
            )
            await journal.update(catalog, made.number, facts=facts)
            await journal.update(catalog, number, facts={"rolled_back_by": made.number})
            await journal.log(catalog, number, Step.SOAK, f"is rolled back by move {made.number}")
        return made.number
    finally:
        await forget(catalog)


def _no_way_back(first: Move) -> NoWayBack:
    if first.has_ended:
        return NoWayBack(
            f"move {first.number} has ended: {first.state}", hint="Move the rows like any others."
        )
    return NoWayBack(
        f"move {first.number} does not soak: it is in step {first.step}",
        hint="Before its flip, abort it; without a rollback window, let it end and move the rows back.",
    )


async def rolled_back_by(catalog: asyncpg.Connection, first: Move) -> Move | None:
    """The unfinished move that rolls ``first`` back."""
    number = first.facts.get("rolled_back_by")
    found = None if number is None else await journal.read(catalog, number)
    return None if found is None or found.has_ended else found


async def adopt(drive: Drive) -> None:
    """The step ``copy`` of a rollback: the first move's way back is its stream. Raises NoWayBack."""
    fail_point(ADOPTED)
    if await subscription.look(drive.at.target, drive.name) is not None:
        await subscription.stop_at_errors(drive.at.target, drive.name, True)
    await check_way_back(drive)


async def check_way_back(drive: Drive) -> None:
    """Raises NoWayBack where the stream that is to be adopted is not there or has lost something."""
    try:
        await Stream(drive).check()
    except StreamLost as lost:
        raise stream_lost(drive, lost) from lost


def stream_lost(drive: Drive, lost: StreamLost) -> NoWayBack:
    """A rollback copies nothing: the rows that it would have to replace may be the right ones."""
    return NoWayBack(
        f"move {drive.reverses} cannot be rolled back: {lost.message}",
        hint=f"End it with shardproxy moves finish {drive.reverses}, and move the rows back like any others.",
    )


async def end_first(drive: Drive) -> None:
    """The first move's source owns the rows again: that move is over, and its fence gone."""
    assert drive.reverses is not None
    await take_down(drive, drive.at.target, drive.reverses)
    await drive.at.target.execute(_FORGET, drive.reverses)
    catalog = drive.at.catalog
    first = await journal.read(catalog, drive.reverses)
    if first.has_ended:
        return
    async with catalog.transaction():
        await journal.update(catalog, first.number, step=Step.ABORTED, state=MoveState.ABORTED)
        await journal.log(catalog, first.number, Step.ABORTED, f"rolled back by move {drive.move.number}")


async def undo_rollback(drive: Drive) -> None:
    """Let the first move soak as before. Only before the flip."""
    assert drive.reverses is not None
    await take_back(drive)
    catalog, move = drive.at.catalog, drive.move
    first = replace(
        drive.moving,
        number=drive.reverses,
        source=drive.moving.target,
        target=drive.moving.source,
        moved=True,
    )
    shard_map = await maps.read(catalog)
    if listed(shard_map, move.number) is not None:
        shard_map = await maps.publish(
            catalog,
            lambda shard_map: replaced(shard_map, move.number, first),
            f"move {move.number} was aborted",
            drive.shards,
        )
    fail_point("abort.removed")
    await drive.at.target.execute(_MOVED, drive.reverses, move.source, shard_map.epoch)
    await take_down(drive, drive.at.source, move.number)
    await drive.at.source.execute(_FORGET, move.number)
    if await subscription.look(drive.at.target, drive.name) is not None:
        await subscription.stop_at_errors(drive.at.target, drive.name, False)
        await subscription.enable(drive.at.target, drive.name)
    async with catalog.transaction():
        await journal.update(catalog, drive.reverses, facts={"rolled_back_by": None})
        await journal.log(catalog, drive.reverses, Step.SOAK, f"move {move.number} was aborted")

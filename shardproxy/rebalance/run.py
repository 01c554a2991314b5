"""One attempt to drive a move to its end, from wherever it stands."""

from typing import Final

from shardproxy.catalog import journal, maps
from shardproxy.catalog.journal import MoveState
from shardproxy.rebalance.announce import announce, retire, retire_source
from shardproxy.rebalance.copy import copy, remove_copy
from shardproxy.rebalance.cut_over import CutOver, TakenBack, has_flipped, take_back
from shardproxy.rebalance.drive import Drive
from shardproxy.rebalance.fail_points import fail_point
from shardproxy.rebalance.finish import clean, forget, settle, unlist
from shardproxy.rebalance.follow import follow
from shardproxy.rebalance.obstacles import Obstructed
from shardproxy.rebalance.offline import carry, compare
from shardproxy.rebalance.preflight import preflight
from shardproxy.rebalance.rollback import adopt, check_way_back, end_first, stream_lost, undo_rollback
from shardproxy.rebalance.soak import soak, soaks
from shardproxy.rebalance.steps import IN_THE_PAUSE, OFFLINE, ORDER, SAYS, Step
from shardproxy.rebalance.stream import StreamLost
from shardproxy.rebalance.verify import VerificationFailed, verify
from shardproxy.rebalance.way_back import is_there, prepare

COPIES: Final = 3
"""How often one attempt copies the rows before somebody should look at why the stream gets lost."""


async def run(drive: Drive) -> None:
    """Go through the steps that are left, or up to the rollback window that is not over. Raises whatever
    stops a step; it can then be tried again.
    """
    cut_over = CutOver(drive)
    copies = 0
    order = OFFLINE if drive.options.offline else ORDER
    step = await _start(drive)
    try:
        while step is not Step.DONE:
            copies += step is Step.COPY
            if step is Step.SOAK and not soaks(drive):
                step = Step.RETIRE_SOURCE
                continue
            await drive.begin(step, SAYS[step], **(cut_over.arrived if step is Step.FLIP else {}))
            fail_point(step)
            try:
                if step is Step.SOAK and not await soak(drive):
                    return
                await _act(drive, cut_over, step)
                step = order[order.index(step) + 1]
            except StreamLost as lost:
                if step in IN_THE_PAUSE:
                    await cut_over.take_back()
                if drive.reverses is not None:
                    raise stream_lost(drive, lost) from lost
                if copies >= COPIES:
                    raise
                step = Step.COPY
            except VerificationFailed as failed:
                if drive.options.offline or not await is_there(drive):
                    raise
                await drive.note(failed.message, differences=failed.detail)
                step = Step.SOAK
            except TakenBack as back:
                drive.tell(back.message)
                step = Step.FOLLOW
    finally:
        await cut_over.close()
    await _end(drive, Step.DONE, MoveState.DONE)


async def undo(drive: Drive) -> None:
    """Abort: the source owns the rows as before, and nothing is left. Only before the flip."""
    catalog, number = drive.at.catalog, drive.move.number
    async with catalog.transaction():
        drive.move = await journal.update(catalog, number, state=MoveState.ABORTING)
        await journal.log(catalog, number, Step.ABORT, SAYS[Step.ABORT])
    fail_point(Step.ABORT)
    if drive.reverses is not None:
        await undo_rollback(drive)
    else:
        await _undo(drive)
    await _end(drive, Step.ABORTED, MoveState.ABORTED)


async def _undo(drive: Drive) -> None:
    await take_back(drive)
    if drive.move.facts.get("touched"):
        await remove_copy(drive)
    fail_point("abort.removed")
    await unlist(drive, "was aborted")
    await forget(drive)


async def _start(drive: Drive) -> Step:
    """Where to begin. In the middle of a cut-over the rows are given back first."""
    step = Step(drive.move.step)
    if step not in IN_THE_PAUSE:
        return step
    if await has_flipped(drive):
        return Step.FLIP
    await take_back(drive)
    if not drive.options.offline:
        return Step.FOLLOW
    if drive.move.facts.get("touched"):
        await remove_copy(drive)
    return Step.HOLD


async def _act(drive: Drive, cut_over: CutOver, step: Step) -> None:
    match step:
        case Step.PLANNED:
            await _look_for_obstacles(drive)
        case Step.ANNOUNCE:
            await announce(drive)
        case Step.RETIRE:
            await retire(drive)
        case Step.COPY:
            await (copy(drive) if drive.reverses is None else adopt(drive))
        case Step.FOLLOW:
            await follow(drive)
        case Step.WAY_BACK:
            await prepare(drive)
        case Step.FENCE:
            await cut_over.fence()
        case Step.ARRIVE:
            await cut_over.arrive()
        case Step.HOLD:
            await cut_over.hold()
        case Step.CARRY:
            await carry(drive)
        case Step.COMPARE:
            await compare(drive, cut_over)
        case Step.FLIP:
            await cut_over.flip()
        case Step.VERIFY:
            if drive.reverses is not None:
                await end_first(drive)
            await verify(drive)
        case Step.RETIRE_SOURCE:
            await retire_source(drive)
        case Step.CLEAN:
            await clean(drive)
        case Step.SETTLE:
            await settle(drive)


async def _look_for_obstacles(drive: Drive) -> None:
    if drive.reverses is not None:
        await check_way_back(drive)
        return
    at = drive.at
    shard_map = await maps.read(at.catalog)
    specs = (drive.source, drive.target)
    found = await preflight(
        at.catalog,
        at.source,
        at.target,
        shard_map,
        drive.moving,
        specs,
        drive.options,
    )
    if obstacles := [each for each in found if not each.warning]:
        raise Obstructed(obstacles)


async def _end(drive: Drive, step: Step, state: MoveState) -> None:
    catalog, number = drive.at.catalog, drive.move.number
    async with catalog.transaction():
        drive.move = await journal.update(catalog, number, step=step, state=state)
        await journal.log(catalog, number, step, SAYS[step])
    drive.tell(SAYS[step], begins=True)

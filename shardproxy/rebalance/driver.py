"""Driving a move through whatever happens to servers: attempt after attempt, each from where the last one
stopped.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import asyncpg

from shardproxy.backend.driver import reason
from shardproxy.catalog import journal, maps
from shardproxy.catalog.journal import Move, MoveState
from shardproxy.catalog.maps import MapChanged
from shardproxy.errors import ShardproxyError, Unavailable
from shardproxy.rebalance.connections import forget, lock, lock_name, open_catalog, open_shards
from shardproxy.rebalance.cut_over import has_flipped, take_back
from shardproxy.rebalance.drive import Drive
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.options import PATIENCE, MoveOptions
from shardproxy.rebalance.progress import Progress, Report
from shardproxy.rebalance.run import run, undo
from shardproxy.rebalance.steps import IN_THE_PAUSE, Step
from shardproxy.rebalance.tables import read_tables
from shardproxy.rebalance.what import listed, moving

_log = logging.getLogger("shardproxy.rebalance")

TRANSIENT: Final = (
    OSError,
    Unavailable,
    MapChanged,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.ObjectInUseError,
)
"""What may be over at the next try. The server's shutdown and a cancelled query are operator
interventions.
"""

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0
"""Seconds between two attempts; the pauses grow."""

STOP_TIMEOUT: Final = 5.0
"""Seconds that giving back fenced rows may take when the driver is told to stop."""

_DATABASE: Final = "SELECT oid::int8 FROM pg_database WHERE datname = current_database()"


class ForwardOnly(ShardproxyError):
    """The target owns the rows: the move cannot be aborted any more."""

    sqlstate = "55000"


async def drive_on(
    installation: Installation,
    number: int,
    report: Report,
    *,
    accept_differences: bool = False,
    patience: float = PATIENCE,
) -> Move:
    """Drive the move of that number to its end, or its abort to its end if it was begun; the move as it is
    then.

    ``accept_differences``: go on although the verification found some. ``patience``: seconds that servers may
    be away. Raises ShardproxyError (Busy: somebody else does) and, when
    servers stay away, one of driver.FAULTS; what was left is in the journal, and it can be resumed.
    """
    return await _persist(installation, number, report, _Wish(_forward, patience, accept_differences))


async def drive_back(
    installation: Installation, number: int, report: Report, *, patience: float = PATIENCE
) -> Move:
    """Abort the move. Raises ForwardOnly after the flip; else as :func:`drive_on`."""
    return await _persist(installation, number, report, _Wish(_backward, patience))


async def _forward(drive: Drive) -> None:
    if drive.move.state is MoveState.ABORTING:
        await undo(drive)
    else:
        await run(drive)


async def _backward(drive: Drive) -> None:
    if await has_flipped(drive) or Step(drive.move.step) in (Step.RETIRE_SOURCE, Step.CLEAN, Step.SETTLE):
        raise _forward_only(drive.move)
    await undo(drive)


def _forward_only(move: Move) -> ForwardOnly:
    if move.has_ended:
        return ForwardOnly(f"move {move.number} is done", hint="Move the rows back.")
    return ForwardOnly(
        f"move {move.number} can only go forward: {move.target} owns the rows already",
        hint=f"Finish it with shardproxy moves resume {move.number}; then move the rows back.",
    )


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is to be done with a move, and how."""

    work: Callable[[Drive], Awaitable[None]]
    patience: float
    accept_differences: bool = False


async def _persist(installation: Installation, number: int, report: Report, wish: _Wish) -> Move:
    """Try again while servers are away for less than the patience since a step was begun first."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + wish.patience
    pause = FIRST_PAUSE
    begun: set[str] = set()

    def tell(progress: Progress) -> None:
        nonlocal deadline, pause
        if progress.begins and progress.step not in begun:
            begun.add(progress.step)
            deadline, pause = clock() + wish.patience, FIRST_PAUSE
        report(progress)

    while True:
        try:
            return await _attempt(installation, number, tell, wish)
        except TRANSIENT as fault:
            if clock() > deadline:
                raise
            _log.info("move %s: %s", number, reason(fault))
            report(Progress("", f"{reason(fault)}; trying again", number))
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 1.5)


async def _attempt(installation: Installation, number: int, report: Report, wish: _Wish) -> Move:
    catalog = await open_catalog(installation, lock_name(number))
    try:
        await lock(catalog, number)
        move = await journal.read(catalog, number)
        if move.has_ended:
            if wish.work is _backward and move.state is MoveState.DONE:
                raise _forward_only(move)
            return move
        drive = await _take_over(installation, catalog, move, report, wish)
        try:
            await journal.update(catalog, number)  # it runs: the last failure is forgotten
            await wish.work(drive)
            return drive.move
        except BaseException as failure:
            await _stop(drive, failure)
            raise
        finally:
            await drive.at.close()
    finally:
        await forget(catalog)


async def _take_over(
    installation: Installation,
    catalog: asyncpg.Connection,
    move: Move,
    report: Report,
    wish: _Wish,
) -> Drive:
    """Everything that driving needs, with no predecessor at work any more."""
    shard_map = await maps.read(catalog)
    at = await open_shards(installation, move.number, move.source, move.target, catalog)
    try:
        found = listed(shard_map, move.number) or moving(shard_map, move)
        return Drive(
            installation=installation,
            options=MoveOptions.from_json(move.options),
            accept_differences=wish.accept_differences,
            report=report,
            move=move,
            moving=found,
            tables=await read_tables(at.source, shard_map, found),
            rules=shard_map.tables,
            database=await at.source.fetchval(_DATABASE),
            at=at,
        )
    except BaseException:
        await at.close()
        raise


async def _stop(drive: Drive, failure: BaseException) -> None:
    """Leave the move so that it can wait: no row stays fenced if that can be helped, and the journal says
    why.
    """
    what = "stopped" if isinstance(failure, asyncio.CancelledError) else _words(failure)
    with suppress(Exception):  # what has brought us here is what is told, whatever happens now
        async with asyncio.timeout(STOP_TIMEOUT):
            if Step(drive.move.step) in IN_THE_PAUSE and not await has_flipped(drive):
                await take_back(drive)
            catalog, number = drive.at.catalog, drive.move.number
            async with catalog.transaction():
                drive.move = await journal.update(catalog, number, failure=what)
                await journal.log(catalog, number, drive.move.step, what)


def _words(failure: BaseException) -> str:
    if isinstance(failure, ShardproxyError):
        return failure.message
    return reason(failure) if isinstance(failure, Exception) else type(failure).__name__

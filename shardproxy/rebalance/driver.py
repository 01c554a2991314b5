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
from shardproxy.rebalance import rollback
from shardproxy.rebalance.connections import (
    Busy,
    driver_name,
    end_others,
    forget,
    lock,
    lock_name,
    open_catalog,
    open_shards,
)
from shardproxy.rebalance.cut_over import has_flipped, take_back
from shardproxy.rebalance.drive import Drive, Soak
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.options import PATIENCE, MoveOptions
from shardproxy.rebalance.progress import Progress, Report
from shardproxy.rebalance.run import run, undo
from shardproxy.rebalance.steps import AFTER_THE_FLIP, IN_THE_PAUSE, Step
from shardproxy.rebalance.tables import read_tables
from shardproxy.rebalance.verify import VerificationFailed
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


class Differed(ShardproxyError):
    """The verification found differences, and the move was, or could not be, rolled back at once. Nothing was
    deleted that differs.
    """

    sqlstate = "XX001"


def _differed(move: Move, back: int, outcome: ShardproxyError | None) -> Differed:
    """What is to be said when ``back`` has rolled ``move`` back, with that outcome: none, differences again,
    or a failure.
    """
    source, target = move.source, move.target
    found = f"move {move.number}: shard {target} did not have what shard {source} had at the cut-over"
    detail = move.facts.get("differences")
    if outcome is None:
        hint = f"Both sides were equal then, and {target} has none of the rows any more."
    elif isinstance(outcome, VerificationFailed):
        hint = (
            f"Nothing was deleted: {target} still has its rows, which do not count. Look at them, and then "
            f"let them be deleted with: shardproxy moves resume {back} --accept-differences"
        )
    else:
        message = f"{found}, and it could not be reversed: {outcome.message}"
        return Differed(
            message, detail=detail, hint=f"Nothing was deleted. See shardproxy moves show {back}."
        )
    message = f"{found}; move {back} has reversed it: {source} owns the rows, with all that was written since"
    return Differed(message, detail=detail, hint=hint)


class ForwardOnly(ShardproxyError):
    """The target owns the rows: the move cannot be aborted any more."""

    sqlstate = "55000"


async def drive_on(
    installation: Installation,
    number: int,
    report: Report,
    *,
    accept_differences: bool = False,
    soak: Soak = Soak.REST,
    patience: float = PATIENCE,
) -> Move:
    """Drive the move of that number to its end, or its abort to its end if it was begun, or into its rollback
    window; the move as it is then.

    ``accept_differences``: go on although the verification found some. ``soak``: what to do in the rollback
    window. ``patience``: seconds that servers may be away. Raises Differed where the verification found
    differences, once the move is rolled back; other ShardproxyErrors (Busy: somebody else does) and, when
    servers stay away, one of driver.FAULTS; what was left is in the journal, and it can be resumed.
    """
    wish = _Wish(_forward, patience, accept_differences, soak)
    move = await _persist(installation, number, report, wish)
    differences = move.facts.get("differences")
    if move.state is MoveState.RUNNING and move.step == Step.SOAK and differences and not accept_differences:
        raise await _reverse(installation, move, report, patience)
    return move


async def drive_rollback(
    installation: Installation, number: int, report: Report, *, patience: float = PATIENCE
) -> Move:
    """Roll back the move of that number, which soaks; the move that did it. Raises NoWayBack; else as
    :func:`drive_on`.
    """
    back = await rollback.begin(installation, number)
    try:
        return await _persist(installation, back, report, _Wish(_forward, patience))
    except rollback.NoWayBack:
        await drive_back(installation, back, report, patience=patience)
        raise


async def _reverse(installation: Installation, move: Move, report: Report, patience: float) -> Differed:
    """Roll back a move whose two sides differ; what is to be said about it."""
    report(Progress(Step.SOAK, f"the two sides differ; move {move.number} is rolled back", move.number))
    back = await rollback.begin(installation, move.number)
    outcome: ShardproxyError | None = None
    try:
        await _persist(installation, back, report, _Wish(_forward, patience))
    except ShardproxyError as failure:
        outcome = failure
    return _differed(move, back, outcome)


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
    if Step(drive.move.step) in AFTER_THE_FLIP or await has_flipped(drive):
        raise _forward_only(drive.move)
    await undo(drive)


def _forward_only(move: Move) -> ForwardOnly:
    if move.has_ended:
        return ForwardOnly(f"move {move.number} is done", hint="Move the rows back.")
    if move.step == Step.SOAK:
        return ForwardOnly(
            f"move {move.number} is behind its commit point: {move.target} owns the rows already",
            hint=f"Roll it back with shardproxy moves rollback {move.number}.",
        )
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
    soak: Soak = Soak.REST


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
        if (by := await rollback.rolled_back_by(catalog, move)) is not None:
            raise Busy(
                f"move {number} is being rolled back by move {by.number}",
                hint=f"Go on with shardproxy moves resume {by.number}, or abort that one.",
            )
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
    at = await open_shards(installation, move.number, move.source, move.target, catalog)
    try:
        shard_map = await maps.read_not_lost(catalog, {move.source: at.source, move.target: at.target})
        if (first := move.facts.get("reverses")) is not None:
            for connection in (at.source, at.target):
                await end_others(connection, driver_name(first))
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
            databases={
                move.source: await at.source.fetchval(_DATABASE),
                move.target: await at.target.fetchval(_DATABASE),
            },
            soak=wish.soak,
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

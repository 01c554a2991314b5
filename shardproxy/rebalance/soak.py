"""The step ``soak``: the source's rows are kept current, and the move can be rolled back.

The driver need not stay: the servers do it. A move whose verification found differences comes here too, to be
rolled back at once.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from shardproxy.rebalance.connections import end_others, snapshot_name
from shardproxy.rebalance.copy import remove_stream
from shardproxy.rebalance.drive import Drive, Soak
from shardproxy.rebalance.way_back import is_there, open_up
from shardproxy.replication import slot

LOOK_EVERY: Final = 1.0
"""Seconds between two looks at a way back that is waited for."""

_NOW: Final = "SELECT clock_timestamp()"


def soaks(drive: Drive) -> bool:
    """Whether the move has this step: a window was asked for, or the way back has begun to be used."""
    return drive.options.rollback_window > 0 or bool(drive.move.facts.get("differences"))


async def soak(drive: Drive) -> bool:
    """Open the way back; True when the move may go on to its end, False when it rests here."""
    await end_others(drive.at.target, snapshot_name(drive.move.number))
    await remove_stream(drive)
    await open_up(drive)
    if drive.move.facts.get("differences") and not drive.accept_differences:
        return False
    if drive.soak is Soak.END:
        return True
    if until_of(drive.move.facts) is None:
        until = await drive.at.catalog.fetchval(_NOW) + timedelta(seconds=drive.options.rollback_window)
        await drive.note(f"can be rolled back until {until:%Y-%m-%d %H:%M:%S %Z}", until=until.isoformat())
    while not await _is_over(drive):
        if drive.soak is Soak.REST:
            return False
        await _tell(drive)
        await asyncio.sleep(LOOK_EVERY)
    return True


def until_of(facts: Mapping[str, Any]) -> datetime | None:
    """When the rollback window is over, by a move's facts."""
    said = facts.get("until")
    return None if said is None else datetime.fromisoformat(said)


async def _is_over(drive: Drive) -> bool:
    until = until_of(drive.move.facts)
    now: datetime = await drive.at.catalog.fetchval(_NOW)
    return until is None or now >= until


async def _tell(drive: Drive) -> None:
    if not await is_there(drive):
        drive.tell("the way back is lost; the move can be finished, and not be rolled back")
        return
    made = await slot.look(drive.at.target, drive.back_slot)
    drive.tell(
        f"can be rolled back until {until_of(drive.move.facts):%H:%M:%S}",
        lag_bytes=None if made is None else made.behind,
    )

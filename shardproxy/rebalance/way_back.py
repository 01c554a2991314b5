"""The step ``way_back``: what a stream from the target to the source needs, made before anybody writes on the
target.

The slot has every change that the target's new users will make. What the move's own stream brings is in it
too; it is never sent back: the subscription sleeps until it is told to begin behind the position at which all
had arrived, and from PostgreSQL 16 on it asks besides for what has no origin.
"""

import asyncio
from typing import Final

import asyncpg

from shardproxy.backend.driver import reason
from shardproxy.errors import ShardproxyError
from shardproxy.rebalance.connections import driver_name
from shardproxy.rebalance.copy import make_slot, published_rows, remove_way_back
from shardproxy.rebalance.drive import Drive
from shardproxy.rebalance.fail_points import fail_point
from shardproxy.rebalance.tables import files_of
from shardproxy.replication import publication, slot, subscription
from shardproxy.replication.wal_sender import WalSender

LONGEST_WAIT: Final = 1.0
"""Seconds that a way back which nobody has asked for may take: its slot waits for older transactions."""


async def prepare(drive: Drive) -> None:
    """Make the way back, unless it is there. Where no window was asked for, the move goes on without one
    that cannot be made; else raises what is in the way.
    """
    asked = drive.options.rollback_window > 0
    if drive.reverses is not None or not drive.options.has_way_back or await is_there(drive):
        return
    await remove_way_back(drive)
    try:
        async with asyncio.timeout(None if asked else LONGEST_WAIT):
            await _make(drive)
    except (ShardproxyError, asyncpg.PostgresError, TimeoutError) as failure:
        if asked:
            raise
        await remove_way_back(drive)
        why = "older transactions on the target" if isinstance(failure, TimeoutError) else reason(failure)
        await drive.note(f"no way back: {why}", way_back=None)
        drive.tell(f"no way back: {why}")
    else:
        files = await files_of(drive.at.target, drive.tables)
        await drive.note("the way back is prepared", way_back={"files": files})


async def is_there(drive: Drive) -> bool:
    """Whether the way back is complete, and has lost nothing."""
    if not drive.move.facts.get("way_back"):
        return False
    made = await slot.look(drive.at.target, drive.back_slot)
    return (
        made is not None
        and made.usable
        and await publication.exists(drive.at.target, drive.back_name)
        and await subscription.look(drive.at.source, drive.back_name) is not None
    )


async def open_up(drive: Drive) -> None:
    """Let the source's rows follow the target's from the cut-over on. The move's own stream is gone."""
    if not drive.move.facts.get("soaking"):
        position = drive.move.facts["position"]
        if not await subscription.start_from(drive.at.source, drive.back_name, position):
            await slot.advance(drive.at.target, drive.back_slot, position)
        fail_point("soak.positioned")
        # Once it has followed, its position is its own.
        await drive.note("the source's rows follow the target's", soaking=True)
    state = await subscription.look(drive.at.source, drive.back_name)
    if state is not None and not state.enabled:
        await subscription.enable(drive.at.source, drive.back_name)


async def _make(drive: Drive) -> None:
    await publication.create(drive.at.target, drive.back_name, published_rows(drive))
    fail_point("way_back.published")
    wal_sender = await WalSender.open(drive.target.primary, driver_name(drive.move.number))
    try:
        await make_slot(drive, wal_sender, drive.back_slot, drive.move.target)
    finally:
        wal_sender.close()
    fail_point("way_back.slot")
    primary = drive.target.primary
    publisher = subscription.conninfo(primary.address, primary.login)
    await subscription.create(
        drive.at.source, drive.back_name, publisher, drive.back_name, drive.back_slot, asleep=True
    )

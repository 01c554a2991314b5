"""The steps ``announce`` and ``retire``: from then on every transaction on the rows that move is led by the
guard, and those that go past the sidecars meet the fence on the tables.
"""

import asyncio
from typing import Final

from shardproxy.backend.shards import ShardSpec
from shardproxy.catalog import epochs, maps
from shardproxy.rebalance.drive import Drive
from shardproxy.rebalance.fail_points import fail_point
from shardproxy.rebalance.table_fence import put_up
from shardproxy.rebalance.tables import read_tables
from shardproxy.rebalance.what import announced, listed, moving, named

_MOVING: Final = """
INSERT INTO shardproxy.moving (move, state, target) VALUES ($1, 'moving', $2) ON CONFLICT (move) DO NOTHING
"""


async def announce(drive: Drive) -> None:
    """The source learns of the move before the map tells the sidecars; and which rows they are is settled.

    Raises MapConflict.
    """
    move = drive.move
    await drive.at.source.execute(_MOVING, move.number, move.target)
    fail_point("announce.told")
    if listed(await maps.read(drive.at.catalog), move.number) is None:
        why = f"move {move.number}: {named(move.what)} from {move.source} to {move.target}"
        published = await maps.publish(
            drive.at.catalog,
            lambda shard_map: announced(shard_map, moving(shard_map, move), drive.reverses),
            why,
            drive.shards,
        )
        drive.moving = listed(published, move.number) or drive.moving  # shards may have other numbers now
        # Keys may have been placed since the tables were read. From now on none of a bucket on its way is.
        drive.tables = await read_tables(drive.at.source, published, drive.moving)


async def retire(drive: Drive) -> None:
    """Return when nobody acts on either shard by a map that does not list the move, nor writes to its rows
    unseen. Raises NotRetired and TableInUse.
    """
    shard_map = await maps.read(drive.at.catalog)
    await asyncio.gather(
        retire_on(drive, drive.source, shard_map.shard_epochs[drive.moving.source]),
        retire_on(drive, drive.target, shard_map.shard_epochs[drive.moving.target]),
    )
    await put_up(drive)


async def retire_source(drive: Drive) -> None:
    """Return when nobody acts on the source by a map that has the rows there. Raises NotRetired."""
    shard_map = await maps.read(drive.at.catalog)
    await retire_on(drive, drive.source, shard_map.shard_epochs[drive.moving.source])


async def retire_on(drive: Drive, shard: ShardSpec, below: int) -> None:
    """Retire the epochs before ``below`` on one shard."""

    def tell(waiting: epochs.Waiting) -> None:
        if said := str(waiting):
            drive.tell(f"waiting for {said}")

    await epochs.retire(shard, below, grace=drive.options.grace, on_progress=tell)

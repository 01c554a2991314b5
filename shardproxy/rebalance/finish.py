"""The steps ``clean`` and ``settle``: nothing of the move is left, neither on the shards nor in the map."""

from typing import Final

from shardproxy.catalog import maps
from shardproxy.rebalance.connections import end_others, snapshot_name
from shardproxy.rebalance.copy import remove_stream, remove_way_back
from shardproxy.rebalance.delete import delete_rows
from shardproxy.rebalance.drive import Drive
from shardproxy.rebalance.fail_points import fail_point
from shardproxy.rebalance.table_fence import take_down
from shardproxy.rebalance.what import listed, without

_FORGET_MARKS: Final = "DELETE FROM shardproxy.marker WHERE move = $1"
_FORGET_MOVE: Final = "DELETE FROM shardproxy.moving WHERE move = $1"


async def clean(drive: Drive) -> None:
    """The streams go first, or the deletion of the source's rows would go through one of them, and what the
    other brings would come after it.
    """
    if drive.reverses is None:
        await remove_way_back(drive)
    await remove_stream(drive)
    await delete_rows(
        drive,
        drive.move.source,
        what="deleting what the source has kept of",
        total=drive.move.facts.get("rows"),
    )


async def settle(drive: Drive) -> None:
    """The map does not list the move any more, and the source forgets it."""
    await unlist(drive, "has ended")
    fail_point("settle.published")
    await forget(drive)


async def unlist(drive: Drive, why: str) -> None:
    """Publish the map without the move, if it lists it."""
    number = drive.move.number
    if listed(await maps.read(drive.at.catalog), number) is not None:
        await maps.publish(
            drive.at.catalog,
            lambda shard_map: without(shard_map, number),
            f"move {number} {why}",
            drive.shards,
        )


async def forget(drive: Drive) -> None:
    """Take the move's own rows away on both shards, and first what looks at them. Raises TableInUse."""
    await take_down(drive, drive.at.source, drive.move.number)
    for connection in (drive.at.source, drive.at.target):
        await connection.execute(_FORGET_MARKS, drive.mark)
    await drive.at.source.execute(_FORGET_MOVE, drive.move.number)
    await end_others(drive.at.target, snapshot_name(drive.move.number))

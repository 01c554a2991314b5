"""The steps of a move without logical decoding: its rows are held while they are copied and compared.

Nobody reads or writes them meanwhile: statements on them wait in the sidecars. After a crash they are given
back, and what was copied goes before they are held anew.
"""

from shardproxy.rebalance.copy import Copies
from shardproxy.rebalance.cut_over import CutOver
from shardproxy.rebalance.drive import Drive
from shardproxy.rebalance.fail_points import fail_point
from shardproxy.rebalance.obstacles import Obstructed
from shardproxy.rebalance.schemas import schema_obstacles
from shardproxy.rebalance.sequences import advance_sequences
from shardproxy.rebalance.verify import verify


async def carry(drive: Drive) -> None:
    """Copy the rows that are held. The target has none of them."""
    await drive.note("from here on, rows of the move on the target are ours", touched=True)
    await Copies(drive).run()
    fail_point("carry.copied")


async def compare(drive: Drive, cut_over: CutOver) -> None:
    """Return when both sides are equal, and the target's is safe on its disk and its replicas. Raises
    VerificationFailed, which gives the rows back, and Obstructed where the schemas differ by now.
    """
    names = (drive.move.source, drive.move.target)
    if found := await schema_obstacles(drive.at.source, drive.at.target, drive.rules, names):
        raise Obstructed(found)
    await verify(drive)
    await advance_sequences(drive)
    await cut_over.make_safe()

"""The step ``follow``: nothing is done before the target is close behind the source."""

import asyncio
from typing import Final

from shardproxy.rebalance.drive import Drive
from shardproxy.rebalance.fail_points import fail_point
from shardproxy.rebalance.obstacles import Obstructed
from shardproxy.rebalance.schemas import schema_obstacles
from shardproxy.rebalance.sequences import advance_sequences
from shardproxy.rebalance.stream import Stream

PAUSE: Final = 0.2
"""Seconds between two measurements of a lag that is too large."""


async def follow(drive: Drive) -> None:
    """Return when a change takes less than the option ``max_lag`` to the target, and its sequences are ahead.

    Raises StreamLost, ApplyFailed, and Obstructed where the schemas differ by now.
    """
    stream = Stream(drive)
    behind = await stream.check()
    drive.tell("following", lag_bytes=behind)
    while (lag := await stream.lag()) > drive.options.max_lag:
        drive.tell("following", lag=lag, lag_bytes=await stream.check())
        await asyncio.sleep(PAUSE)
    drive.tell("close behind", lag=lag)
    await advance_sequences(drive)
    fail_point("follow.close")
    names = (drive.move.source, drive.move.target)
    # A change of the schema during the copy may have gone to one of the shards only.
    if found := await schema_obstacles(drive.at.source, drive.at.target, drive.rules, names):
        raise Obstructed(found)

"""Evening shards out by their bytes, with a series of moves."""

from dataclasses import dataclass
from functools import partial

from shardproxy.backend.driver import FAULTS, reason
from shardproxy.errors import Unavailable
from shardproxy.rebalance.aims import read_map, set_evened
from shardproxy.rebalance.evening import Evened, even_out, still_lacks
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.move import Outcome
from shardproxy.rebalance.progress import Progress, Report
from shardproxy.rebalance.ring import Goal, Sizes
from shardproxy.rebalance.series import Manner, SeriesPlan, finish_earlier, plan_series, run_series
from shardproxy.rebalance.sizes import everything, measure
from shardproxy.topology.shard_map import ShardMap


@dataclass(frozen=True, slots=True)
class Measured:
    """The map that was measured, the sizes of all that it names, and what evens the shards out."""

    shard_map: ShardMap
    sizes: Sizes
    evened: Evened


async def measure_all(installation: Installation, tolerance: float, report: Report) -> Measured:
    """Reads every sharded table on every shard. Raises ShardproxyError."""
    report(Progress("measure", "measuring every shard", begins=True))
    shard_map = await read_map(installation)
    try:
        sizes = await measure(installation, shard_map, everything(shard_map), report)
    except FAULTS as fault:
        raise Unavailable(reason(fault)) from fault
    return Measured(shard_map, sizes, even_out(shard_map, sizes, tolerance))


async def plan_by_size(
    installation: Installation, tolerance: float, manner: Manner, report: Report
) -> tuple[Measured, SeriesPlan]:
    """What :func:`run_by_size` would do."""
    measured = await measure_all(installation, tolerance, report)
    targets = measured.evened.targets.items()

    def lacks(shard_map: ShardMap) -> Goal:
        return Goal({number: to for number, to in targets if shard_map.owners[number] != to})

    return measured, await plan_series(installation, lacks, manner, report, measured.sizes)


async def run_by_size(
    installation: Installation, tolerance: float, manner: Manner, report: Report
) -> tuple[Measured, list[Outcome]]:
    """Bring every shard to within ``tolerance`` of its share of the bytes, as far as buckets can do that.

    The map remembers which buckets were moved for it, so that the ring does not take them back. Raises as
    :func:`run_series`; running it again measures anew.
    """
    earlier = await finish_earlier(installation, report)
    measured, plan = await plan_by_size(installation, tolerance, manner, report)
    if not plan.goal:
        return measured, earlier
    plan.check()
    await set_evened(installation, frozenset(plan.goal.buckets))
    lacks = partial(still_lacks, evened=measured.evened)
    return measured, earlier + await run_series(installation, lacks, manner, report, measured.sizes)

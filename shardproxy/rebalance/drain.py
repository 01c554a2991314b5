"""Emptying a shard: what keeps it from that, the series of moves, and what is left on it afterwards."""

from dataclasses import dataclass
from typing import Final

from shardproxy.catalog.connect import connect
from shardproxy.rebalance.aims import index_of, read_map, set_weight, weighted
from shardproxy.rebalance.connections import CONNECT_TIMEOUT
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.move import Outcome, Words
from shardproxy.rebalance.obstacles import Obstacle, Obstructed
from shardproxy.rebalance.progress import Report
from shardproxy.rebalance.ring import to_empty
from shardproxy.rebalance.series import Lacks, Manner, SeriesPlan, plan_series, run_series
from shardproxy.rebalance.tables import ROW_SETTINGS, label
from shardproxy.replication.quoting import relation
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import Local, Sharded

APPLICATION_NAME: Final = "shardproxy drain"


@dataclass(frozen=True, slots=True)
class Drained:
    """How the moves ended, and the sharded tables that have rows on the shard nevertheless: nobody's."""

    moves: tuple[Outcome, ...]
    rows: tuple[str, ...]


async def plan_drain(installation: Installation, name: str, manner: Manner, report: Report) -> SeriesPlan:
    """What :func:`drain` would do. Raises as that."""
    await _check(installation, name)
    return await plan_series(installation, _empties(name), manner, report)


async def drain(installation: Installation, name: str, manner: Manner, report: Report) -> Drained:
    """Give a shard no weight, and move its buckets and the keys placed on it to where the ring then wants
    them.

    Raises Obstructed, before anything is changed, for what no move takes away; else as
    :func:`~shardproxy.rebalance.series.run_series`.
    """
    await _check(installation, name)
    await set_weight(installation, name, 0)
    moves = await run_series(installation, _empties(name), manner, report)
    return Drained(tuple(moves), tuple(await rows_left(installation, name)))


async def _check(installation: Installation, name: str) -> None:
    shard_map = await read_map(installation)
    index_of(shard_map, name)
    if found := keeps_from_draining(shard_map, name, installation.catalog):
        raise Obstructed(found)


def _empties(name: str) -> Lacks:
    return lambda shard_map: to_empty(weighted(shard_map, name, 0), index_of(shard_map, name))


def keeps_from_draining(shard_map: ShardMap, name: str, catalog: str) -> list[Obstacle]:
    """What is on a shard that no move takes away. ``catalog``: the name of the shard that has it."""
    found = []
    if name == catalog:
        found.append(
            Obstacle(
                f"shard {name} has the catalog",
                f"it stays where init made it; shardproxy shard weight {name} 0 takes the buckets away",
            )
        )
    if name == shard_map.shards[shard_map.designated]:
        found.append(
            Obstacle(
                f"shard {name} is the designated one, which answers catalog queries and has sequences",
                "another shard has to be the designated one first",
            )
        )
    local = [table for table, rule in shard_map.tables.rules.items() if rule == Local(name)]
    if local:
        found.append(
            Obstacle(
                f"shard {name} has local tables: {', '.join(sorted(map(label, local)))}",
                "they have to be local to another shard first, or be dropped",
            )
        )
    return found


async def rows_left(installation: Installation, name: str) -> list[str]:
    """The sharded tables that have any row on a shard; after a drain such rows are misplaced ones."""
    shard_map = await read_map(installation)
    async with Words():
        primary = installation.shard(name).primary
        shard = await connect(primary, APPLICATION_NAME, timeout=CONNECT_TIMEOUT, settings=ROW_SETTINGS)
        try:
            found = []
            for table, rule in sorted(shard_map.tables.rules.items()):
                if not isinstance(rule, Sharded):
                    continue
                if await shard.fetchval("SELECT to_regclass($1) IS NULL", relation(table)):
                    continue
                if await shard.fetchval(f"SELECT EXISTS (SELECT FROM {relation(table)})"):  # noqa: S608
                    found.append(label(table))
            return found
        finally:
            shard.terminate()

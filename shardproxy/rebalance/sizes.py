"""How large the buckets and placed keys of shards are: one grouped pass over each table."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import asyncpg

from shardproxy.catalog.connect import connect
from shardproxy.rebalance.connections import CONNECT_TIMEOUT
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.plan import Size
from shardproxy.rebalance.progress import Progress, Report
from shardproxy.rebalance.ring import Goal, Sizes
from shardproxy.rebalance.tables import ROW_SETTINGS, MovingTable, read_tables
from shardproxy.replication.quoting import identifier
from shardproxy.topology.keys import from_text
from shardproxy.topology.moves import Moving, PlacedKey
from shardproxy.topology.ownership import bucket_expression, moving_rows
from shardproxy.topology.shard_map import ShardMap

APPLICATION_NAME: Final = "shardproxy sizes"


async def measure(installation: Installation, shard_map: ShardMap, goal: Goal, report: Report) -> Sizes:
    """The sizes of all that ``goal`` names, where it is now. Raises one of driver.FAULTS."""
    parts = _by_shard(shard_map, goal)
    try:
        async with asyncio.TaskGroup() as group:
            for shard, part in parts.items():
                group.create_task(_measure(installation, shard_map, part, shard, report))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return Sizes(
        {number: size for part in parts.values() for number, size in part.buckets.items()},
        {place: size for part in parts.values() for place, size in part.keys.items()},
    )


def everything(shard_map: ShardMap) -> Goal:
    """All buckets and placed keys, each where it is."""
    return Goal(dict(enumerate(shard_map.owners)), dict(shard_map.placements))


class _Part:
    """What is measured on one shard: ``move`` names the rows. Mutable: ``buckets`` and ``keys`` grow."""

    def __init__(self, move: Moving) -> None:
        self.move = move
        self.buckets: defaultdict[int, Size] = defaultdict(Size)
        self.keys: defaultdict[PlacedKey, Size] = defaultdict(Size)


def _by_shard(shard_map: ShardMap, goal: Goal) -> Mapping[int, _Part]:
    buckets: defaultdict[int, list[int]] = defaultdict(list)
    for number in goal.buckets:
        buckets[shard_map.owners[number]].append(number)
    keys: defaultdict[int, list[PlacedKey]] = defaultdict(list)
    for place in goal.keys:
        keys[shard_map.placements[place]].append(place)
    return {
        shard: _Part(Moving(0, shard, shard, frozenset(keys[shard]), frozenset(buckets[shard])))
        for shard in sorted({*buckets, *keys})
    }


async def _measure(
    installation: Installation, shard_map: ShardMap, part: _Part, shard: int, report: Report
) -> None:
    name = shard_map.shards[shard]
    primary = installation.shard(name).primary
    source = await connect(primary, APPLICATION_NAME, timeout=CONNECT_TIMEOUT, settings=ROW_SETTINGS)
    try:
        for table in await read_tables(source, shard_map, part.move):
            report(Progress("measure", f"measuring {table.label} on {name}"))
            await _measure_table(source, shard_map, part, table)
    finally:
        source.terminate()


async def _measure_table(
    source: asyncpg.Connection, shard_map: ShardMap, part: _Part, table: MovingTable
) -> None:
    family = shard_map.tables.groups[table.group]
    keys = Moving(0, part.move.source, part.move.target, part.move.keys)
    placed = moving_rows(shard_map, keys, table.group, family, identifier(table.key)) or "false"
    for row in await source.fetch(_query(table, placed, bucket_expression(family, identifier(table.key)))):
        size = Size(row["rows"], row["bytes"])
        if row["key"] is not None:
            part.keys[table.group, from_text(family, row["key"])] += size
        else:
            part.buckets[row["bucket"]] += size


def _query(table: MovingTable, placed: str, bucket: str) -> str:
    width = " + ".join(f"COALESCE(pg_column_size({identifier(column)}), 0)" for column in table.columns)
    return (
        f"SELECT CASE WHEN {placed} THEN {identifier(table.key)}::text END AS key, "  # noqa: S608
        f"CASE WHEN {placed} THEN NULL ELSE {bucket} END AS bucket, "
        f"count(*) AS rows, COALESCE(sum({width}), 0)::int8 AS bytes "
        f"FROM {table.sql} WHERE {table.condition} GROUP BY 1, 2"
    )

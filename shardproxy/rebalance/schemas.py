"""Whether two shards have the same schema; their own parts of ours may differ."""

import asyncio
from typing import Final

import asyncpg

from shardproxy.monitor.schema_diff import differences
from shardproxy.monitor.schema_reader import read_schema
from shardproxy.rebalance.obstacles import Obstacle
from shardproxy.topology.tables import TableRules

MOST: Final = 20
"""Differences that are told one by one."""


async def schema_obstacles(
    source: asyncpg.Connection, target: asyncpg.Connection, rules: TableRules, names: tuple[str, str]
) -> list[Obstacle]:
    """Where the schemas of the two shards, called ``names``, differ."""
    first, other = await asyncio.gather(read_schema(source), read_schema(target))
    found = differences(first, other, rules, names)
    listed = [Obstacle(f"the schemas differ: {each.what}", "make them equal") for each in found[:MOST]]
    if len(found) > MOST:
        more = len(found) - MOST
        listed.append(Obstacle(f"the schemas differ in {more} more places", "see shardproxy check --live"))
    return listed

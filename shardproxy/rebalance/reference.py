"""Reference tables of a new shard: the same rows as on the others, or filled with them."""

from typing import Final

import asyncpg

from shardproxy.rebalance.obstacles import Obstacle
from shardproxy.rebalance.pipe import pipe
from shardproxy.rebalance.sql_files import sql
from shardproxy.rebalance.tables import label, parents_first
from shardproxy.replication.quoting import identifier, relation
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import Reference, RelationName

# Order does not matter to a sum; it is numeric, which cannot overflow.
_SUMS: Final = """
SELECT count(*) AS rows, COALESCE(sum(hashtextextended(r::text, 0)), 0)::text AS checksum
FROM (SELECT {columns} FROM {table}) AS r
"""
_TABLES: Final = "LOCK TABLE {tables} IN SHARE MODE"


async def reference_obstacles(
    model: asyncpg.Connection,
    new: asyncpg.Connection,
    shard_map: ShardMap,
    names: tuple[str, str],
    *,
    fills: bool,
) -> list[Obstacle]:
    """The reference tables that have other rows on ``new`` than on ``model``; ``fills``: but for empty
    ones.
    """
    found = []
    for table, columns in (await _columns(model, shard_map)).items():
        there, here = [await _sums(each, table, columns) for each in (model, new)]
        if there == here or (fills and not here[0]):
            continue
        (rows, _), (wanted, _) = here, there
        others = ", which are others" if rows == wanted else ""
        remedy = "make them equal, or empty it there" if rows else "--copy-reference copies them"
        found.append(
            Obstacle(
                f"the reference table {label(table)} has {rows} rows on {names[1]} and {wanted} on {names[0]}"
                + others,
                remedy,
            )
        )
    return found


async def fill(model: asyncpg.Connection, new: asyncpg.Connection, shard_map: ShardMap) -> int:
    """Copy the rows of reference tables that are empty on ``new``, in one transaction there; how many they
    were. Nobody writes them on ``model`` meanwhile. Errors are the servers'; nothing was copied then, and
    both connections are of no use.
    """
    tables = await _columns(model, shard_map)
    if not tables:
        return 0
    rows = 0
    async with model.transaction(isolation="read_committed"), new.transaction():
        await model.execute(_TABLES.format(tables=", ".join(map(relation, tables))))
        await new.execute("SET LOCAL session_replication_role = replica")
        for table, columns in tables.items():
            if (await _sums(new, table, columns))[0]:
                continue
            listed = ", ".join(map(identifier, columns))
            query = f"SELECT {listed} FROM {relation(table)}"  # noqa: S608 - names, quoted
            rows += await pipe(model, query, new, table, columns, binary=False, passing=_freely)
    return rows


async def _freely(_: int) -> None:
    """Nothing holds the pieces up."""


async def _columns(model: asyncpg.Connection, shard_map: ShardMap) -> dict[RelationName, tuple[str, ...]]:
    """The reference tables that there are with their columns, those that others refer to first."""
    wanted = [name for name, rule in shard_map.tables.rules.items() if isinstance(rule, Reference)]
    schemas, names = [schema for schema, _ in wanted], [name for _, name in wanted]
    columns: dict[RelationName, tuple[str, ...]] = {}
    refers: dict[RelationName, set[RelationName]] = {}
    for row in await model.fetch(sql("tables"), schemas, names):
        name = (row["schema"], row["name"])
        columns[name] = tuple(row["columns"] or ())
        refers[name] = set(zip(row["refers_to"][::2], row["refers_to"][1::2], strict=True))
    return {name: columns[name] for name in parents_first(refers)}


async def _sums(
    connection: asyncpg.Connection, table: RelationName, columns: tuple[str, ...]
) -> tuple[int, str]:
    listed = ", ".join(map(identifier, columns))
    row = await connection.fetchrow(_SUMS.format(columns=listed, table=relation(table)))
    return row["rows"], row["checksum"]

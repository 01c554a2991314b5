"""Which tenants there are, where, and how large: asked of every shard's primary, with no more rights than
reading.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import asyncpg

from shardproxy.backend.shards import ShardSpec
from shardproxy.catalog.connect import connect
from shardproxy.rebalance.plan import Size
from shardproxy.rebalance.tables import label
from shardproxy.replication.quoting import identifier, relation
from shardproxy.topology.keys import Key, bucket, from_text, to_text
from shardproxy.topology.moves import Moving
from shardproxy.topology.ownership import moving_rows
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import RelationName, Sharded

APPLICATION_NAME: Final = "shardproxy tenants"

_TABLES: Final = """
SELECT n.nspname::text AS schema, c.relname::text AS name,
       array_agg(a.attname::text ORDER BY a.attnum) AS columns
FROM unnest($1::text[], $2::text[]) AS wanted (schema, name)
JOIN pg_namespace AS n ON n.nspname = wanted.schema
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = wanted.name AND c.relkind IN ('r', 'p')
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Tenant:
    """One key of a group. ``shard`` owns it, by a placement if ``placed``; ``there``: what each shard has of
    it, and ``tables``: of each table, over all shards. ``move``: the number of the move in progress.
    """

    key: str
    shard: str
    placed: bool
    bucket: int
    move: int | None
    there: Mapping[str, Size] = field(default_factory=dict)
    tables: Mapping[str, Size] = field(default_factory=dict)

    @property
    def size(self) -> Size:
        """What its shard has of it."""
        return self.there.get(self.shard, Size())

    @property
    def misplaced(self) -> dict[str, Size]:
        """What other shards have of it, by their names; a move in progress explains it."""
        return {shard: size for shard, size in self.there.items() if shard != self.shard and size.rows}


async def largest(
    shards: Mapping[str, ShardSpec], shard_map: ShardMap, group: str, *, limit: int, only: str | None = None
) -> list[Tenant]:
    """The tenants with the most rows, at most ``limit``; ``only``: of the shard of that name.

    Reads every table of the group on every shard. Raises one of driver.FAULTS.
    """
    names = [only] if only is not None else list(shard_map.shards)
    parts = await asyncio.gather(*(_ask(shards[name], shard_map, group, None, limit) for name in names))
    return _merge(shard_map, group, dict(zip(names, parts, strict=True)))[:limit]


async def one(shards: Mapping[str, ShardSpec], shard_map: ShardMap, group: str, key: Key) -> Tenant:
    """One tenant, with its rows on every shard. Raises one of driver.FAULTS."""
    names = list(shard_map.shards)
    parts = await asyncio.gather(*(_ask(shards[name], shard_map, group, key, 1) for name in names))
    found = _merge(shard_map, group, dict(zip(names, parts, strict=True)))
    return found[0] if found else _tenant(shard_map, group, key)


_Sizes = dict[str, dict[str, Size]]
"""By key and table."""


async def _ask(spec: ShardSpec, shard_map: ShardMap, group: str, key: Key | None, limit: int) -> _Sizes:
    connection = await connect(spec.primary, APPLICATION_NAME, settings={"row_security": "off"})
    try:
        return await _sizes(connection, shard_map, group, key, limit)
    finally:
        connection.terminate()


async def _sizes(
    connection: asyncpg.Connection, shard_map: ShardMap, group: str, key: Key | None, limit: int
) -> _Sizes:
    rules = {
        name: rule
        for name, rule in shard_map.tables.rules.items()
        if isinstance(rule, Sharded) and rule.group == group
    }
    found: defaultdict[str, dict[str, Size]] = defaultdict(dict)
    rows = await connection.fetch(_TABLES, [schema for schema, _ in rules], [name for _, name in rules])
    tables: dict[RelationName, str] = {}
    for row in rows:
        name = (row["schema"], row["name"])
        tables[name] = _query(shard_map, name, rules[name], row["columns"], key)
    if not tables:
        return found
    union = " UNION ALL ".join(tables.values())
    query = (
        "SELECT key, name, rows, bytes FROM (SELECT *, sum(rows) OVER (PARTITION BY key) AS total "  # noqa: S608
        f"FROM ({union}) AS each) AS all_of_them WHERE key IS NOT NULL ORDER BY total DESC, key LIMIT $1"
    )
    for row in await connection.fetch(query, limit * len(tables)):
        found[row["key"]][row["name"]] = Size(row["rows"], row["bytes"])
    return found


def _query(
    shard_map: ShardMap, name: RelationName, rule: Sharded, columns: list[str], key: Key | None
) -> str:
    width = " + ".join(f"COALESCE(pg_column_size({identifier(column)}), 0)" for column in columns)
    where = "true"
    if key is not None:
        only = Moving(0, 0, 0, frozenset(((rule.group, key),)))
        family = shard_map.tables.groups[rule.group]
        where = moving_rows(shard_map, only, rule.group, family, identifier(rule.key)) or "true"
    text = label(name).replace("'", "''")
    return (
        f"SELECT {identifier(rule.key)}::text AS key, '{text}' AS name, count(*) AS rows, "  # noqa: S608
        f"sum({width})::int8 AS bytes FROM {relation(name)} WHERE {where} GROUP BY 1"
    )


def _merge(shard_map: ShardMap, group: str, parts: Mapping[str, _Sizes]) -> list[Tenant]:
    family = shard_map.tables.groups[group]
    texts = {text for part in parts.values() for text in part}
    found = []
    for text in texts:
        there = {shard: sum(part[text].values(), Size()) for shard, part in parts.items() if text in part}
        tables: defaultdict[str, Size] = defaultdict(Size)
        for part in parts.values():
            for table, size in part.get(text, {}).items():
                tables[table] += size
        found.append(_tenant(shard_map, group, from_text(family, text), there, tables))
    return sorted(found, key=lambda tenant: (-sum(size.rows for size in tenant.there.values()), tenant.key))


def _tenant(
    shard_map: ShardMap,
    group: str,
    key: Key,
    there: Mapping[str, Size] | None = None,
    tables: Mapping[str, Size] | None = None,
) -> Tenant:
    family = shard_map.tables.groups[group]
    move = shard_map.move_of(group, family, key)
    return Tenant(
        key=to_text(family, key),
        shard=shard_map.shards[shard_map.owner(group, family, key)],
        placed=(group, key) in shard_map.placements,
        bucket=bucket(family, key),
        move=move.number if move is not None else None,
        there=there or {},
        tables=tables or {},
    )

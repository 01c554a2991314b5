"""Changing how tables are spread, in the map: what would change, and what is in the way.

A sidecar that does not know a table refuses it, so a new rule is safe at any time. A rule that is replaced is
taken out first, and put in anew when nobody acts by the old one any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import asyncpg

from shardproxy.rebalance.admission import is_table
from shardproxy.rebalance.obstacles import Obstacle
from shardproxy.rebalance.reference import reference_obstacles
from shardproxy.rebalance.tables import label
from shardproxy.replication.quoting import identifier, relation
from shardproxy.topology.keys import family_of
from shardproxy.topology.ownership import ownership_check
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import Local, Reference, RelationName, Sharded, TableRule, TableRules

Connections = Mapping[str, asyncpg.Connection]
"""A connection to each shard of the map, by name."""

_COUNT: Final = "SELECT count(*) FROM {table} WHERE {condition}"
_COLUMN: Final = """
SELECT a.atttypid::int8 AS type, a.attgenerated <> '' AS generated
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = $3 AND a.attnum > 0 AND NOT a.attisdropped
"""
_HAS_ROWS: Final = "SELECT EXISTS (SELECT FROM {table})"

LEFT_BEHIND: Final = "they would be left behind when their tenants move; empty the table first, or keep it"


@dataclass(frozen=True, slots=True)
class RulesChange:
    """From the rules of the map to the ``wanted`` ones. ``new``, ``changed`` and ``gone`` are tables."""

    wanted: TableRules
    new: tuple[RelationName, ...] = ()
    changed: tuple[RelationName, ...] = ()
    gone: tuple[RelationName, ...] = ()
    groups: bool = False

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.gone or self.groups)

    def sentences(self, before: TableRules) -> list[str]:
        """What would change, one sentence each."""
        rules = self.wanted.rules
        said = [f"table {label(table)}: new, {worded(rules[table])}" for table in self.new]
        said += [
            f"table {label(table)}: {worded(rules[table])} instead of {worded(before.rules[table])}"
            for table in self.changed
        ]
        said += [f"table {label(table)}: not served any more" for table in self.gone]
        for group in sorted(self.wanted.groups.keys() ^ before.groups.keys()):
            said.append(f"group {group}: {'new' if group in self.wanted.groups else 'gone'}")
        return said


def rules_change(shard_map: ShardMap, wanted: TableRules) -> RulesChange:
    """What is to be changed in the map."""
    before, after = shard_map.tables.rules, wanted.rules
    return RulesChange(
        wanted,
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(name for name in after.keys() & before.keys() if after[name] != before[name])),
        tuple(sorted(before.keys() - after.keys())),
        wanted.groups.keys() != shard_map.tables.groups.keys(),
    )


def worded(rule: TableRule) -> str:
    """A rule in words."""
    match rule:
        case Sharded(key, group):
            return f"sharded by {key}, group {group}"
        case Local(shard):
            return f"local to {shard}"
        case Reference():
            return "a reference table"


def never(shard_map: ShardMap, wanted: TableRules) -> list[Obstacle]:
    """What is refused whatever the shards have."""
    before, found = shard_map.tables, []
    for group in sorted(before.groups.keys() & wanted.groups.keys()):
        if before.groups[group] is not wanted.groups[group]:
            found.append(
                Obstacle(
                    f"the group {group} has {before.groups[group]} keys, not {wanted.groups[group]} ones",
                    "every row would belong elsewhere; make another group",
                )
            )
    for group in sorted(before.groups.keys() - wanted.groups.keys()):
        if placed := sum(of == group for of, _ in shard_map.placements):
            found.append(Obstacle(f"the group {group} has {placed} placements", "keep it in the file"))
    if before.tenant_group != wanted.tenant_group:
        found.append(
            Obstacle(
                f"the tenants' group is {before.tenant_group}, and {wanted.tenant_group} in the file",
                "sessions would mean other rows by their tenant; keep it",
            )
        )
    return found


async def rules_obstacles(shards: Connections, shard_map: ShardMap, change: RulesChange) -> list[Obstacle]:
    """What is in the way of the change on the shards."""
    found = []
    if change and shard_map.moves:
        found.append(
            Obstacle(f"move {shard_map.moves[0].number} is not finished", "finish or abort it first")
        )
    after = replace(shard_map, tables=change.wanted)
    for table in change.changed:
        found += await _changed(shards, after, table, shard_map.tables.rules[table])
    for table in change.gone:
        if isinstance(shard_map.tables.rules[table], Sharded):
            found += [
                Obstacle(f"{label(table)} has rows on {name} and is not in the file", LEFT_BEHIND)
                for name in await with_rows(shards, table)
            ]
    for table in change.new:
        found += await _new(shards, after, table)
    return found


async def _changed(
    shards: Connections, after: ShardMap, table: RelationName, before: TableRule
) -> list[Obstacle]:
    what = f"{label(table)} is {worded(before)} and is to be {worded(after.tables.rules[table])}"
    if isinstance(before, Reference):  # who reads it waits for a connection to any shard, in any epoch
        return [Obstacle(what, "apply a file without it first, and then one with its new rule")]
    found = [
        Obstacle(f"{what}, and has rows on {name}", "empty the table first, or keep the rule")
        for name in await with_rows(shards, table)
    ]
    return found or await _new(shards, after, table)


async def with_rows(shards: Connections, table: RelationName) -> list[str]:
    """The shards that have rows of a table."""
    return [
        name
        for name, shard in shards.items()
        if await is_table(shard, table) and await shard.fetchval(_HAS_ROWS.format(table=relation(table)))
    ]


async def _new(shards: Connections, after: ShardMap, table: RelationName) -> list[Obstacle]:
    """A table that is served from now on has its rows where its rule puts them."""
    rule = after.tables.rules[table]
    wanted = [rule.shard] if isinstance(rule, Local) else list(shards)
    lacking = [name for name in wanted if not await is_table(shards[name], table)]
    if lacking:
        return [
            Obstacle(f"there is no table {label(table)} on {', '.join(lacking)}", "create it there first")
        ]
    if isinstance(rule, Reference):
        (model, first), *others = shards.items()
        only = replace(after, tables=replace(after.tables, rules={table: rule}))
        return [
            obstacle
            for name, shard in others
            for obstacle in await reference_obstacles(first, shard, only, (model, name), fills=False)
        ]
    if isinstance(rule, Local):
        return [
            Obstacle(f"{label(table)} has rows on {name}, where nobody would see them", "delete or move them")
            for name in await with_rows(shards, table)
            if name != rule.shard
        ]
    return await _misplaced(shards, after, table, rule)


async def _misplaced(
    shards: Connections, after: ShardMap, table: RelationName, rule: Sharded
) -> list[Obstacle]:
    family = after.tables.groups[rule.group]
    found = []
    for name, shard in shards.items():
        column = await shard.fetchrow(_COLUMN, *table, rule.key)
        if column is None or family_of(column["type"]) is not family or column["generated"]:
            found.append(
                Obstacle(
                    f"{label(table)} on {name} has no {family} column {rule.key}", "correct key or group"
                )
            )
            continue
        owned = ownership_check(after, after.index[name], rule.group, family, identifier(rule.key))
        rows = await shard.fetchval(_COUNT.format(table=relation(table), condition=f"NOT {owned}"))
        if rows:
            where = f"{rows} rows of {label(table)} on {name} belong to other shards"
            found.append(Obstacle(where, "move or delete them"))
    return found

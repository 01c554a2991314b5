"""Routes while rows move: what a transaction has to hold up, and which rows do not count where.

Rows that are on their way are read and written on primaries only: a replica may not know yet what happened.
"""

from dataclasses import replace
from typing import Final

from shardproxy.routing.bound_keys import bound_keys
from shardproxy.routing.parameters import Values
from shardproxy.routing.route import FanOut, OneShard, Role, Route
from shardproxy.sql.exclusion import COLUMN
from shardproxy.sql.statement import Statement
from shardproxy.topology.keys import Key
from shardproxy.topology.moves import Moving
from shardproxy.topology.ownership import moving_rows
from shardproxy.topology.shard_map import ShardMap

_OR: Final = " OR "


def during_moves(
    found: Route, statement: Statement, values: Values, tenant: Key | None, shard_map: ShardMap
) -> Route:
    """``found``, the route of ``statement`` by the owners of its rows, as it is under the map's moves."""
    if isinstance(found, OneShard):
        moving = _moving(statement, values, tenant, shard_map)
        if not moving:
            return found
        guards = sorted({move.number for move in moving if not move.moved})
        return replace(found, role=Role.PRIMARY, guards=tuple(guards))
    if isinstance(found, FanOut):
        return _on_several(found, shard_map)
    return found


def _moving(statement: Statement, values: Values, tenant: Key | None, shard_map: ShardMap) -> list[Moving]:
    """The moves that take along rows of the statement's keys, or of the session's tenant."""
    keys = [
        (key_set.group, key_set.family, key)
        for key_set in statement.key_sets
        for key in bound_keys(key_set, values)
        if key is not None
    ]
    if tenant is not None:
        group = shard_map.tables.tenant_group
        keys.append((group, shard_map.tables.groups[group], tenant))
    found = (shard_map.move_of(*key) for key in keys)
    return [move for move in found if move is not None]


def _on_several(found: FanOut, shard_map: ShardMap) -> FanOut:
    if not any(shard_map.moves_on(shard) for shard in found.shards):
        return found
    guards = {
        shard: tuple(m.number for m in shard_map.moves_on(shard) if m.source == shard and not m.moved)
        for shard in found.shards
    }
    excluded = {shard: _stale_rows(shard, shard_map) for shard in found.shards}
    return replace(found, role=Role.PRIMARY, guards=guards, excluded=excluded)


def _stale_rows(shard: int, shard_map: ShardMap) -> dict[str, str]:
    """For each group that has such rows, which rows on ``shard`` do not count."""
    stale: dict[str, str] = {}
    for group, family in shard_map.tables.groups.items():
        said = [
            moving_rows(shard_map, move, group, family, COLUMN)
            for move in shard_map.moves_on(shard)
            if move.stale == shard
        ]
        conditions = [condition for condition in said if condition is not None]
        if conditions:
            stale[group] = _OR.join(conditions)
    return stale

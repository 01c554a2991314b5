"""How each table is spread: sharded by a key, a reference table on every shard, or local to one shard."""

from collections.abc import Mapping
from dataclasses import dataclass

from shardproxy.topology.keys import KeyFamily

RelationName = tuple[str, str]
"""(schema, name), both folded as PostgreSQL stores them."""


@dataclass(frozen=True, slots=True)
class Sharded:
    """Rows live on the shard that owns the value of column ``key``; tables of one ``group`` are colocated."""

    key: str
    group: str


@dataclass(frozen=True, slots=True)
class Reference:
    """The same rows on every shard: read anywhere, written on all."""


@dataclass(frozen=True, slots=True)
class Local:
    """All rows on one named shard."""

    shard: str


TableRule = Sharded | Reference | Local


@dataclass(frozen=True, slots=True)
class TableRules:
    """Every table the configuration names, and the key family of each colocation group.

    ``tenant_group`` is the group that ``shardproxy.tenant`` speaks of.
    """

    rules: Mapping[RelationName, TableRule]
    groups: Mapping[str, KeyFamily]
    tenant_group: str

"""What the configuration says of the schema: how each table is spread (sharded by a key, a reference table on
every shard, or local to one shard), and which functions stay with their tenant.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

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


@dataclass(frozen=True, slots=True, eq=False)
class TableRules:
    """Every table the configuration names, and the key family of each colocation group.

    ``tenant_group`` is the group that ``shardproxy.tenant`` speaks of. ``trusted`` are functions, of any
    arguments, for which the operator vouches: a call reads and writes only rows of the tenant of the row or
    statement that it is for, besides reference tables that it reads, and leaves sharding keys alone.
    """

    rules: Mapping[RelationName, TableRule]
    groups: Mapping[str, KeyFamily]
    tenant_group: str
    trusted: frozenset[RelationName] = field(default_factory=frozenset)

    def spread_as(self, other: "TableRules") -> bool:
        """Whether both say the same of how tables are spread; what is trusted aside."""
        return (self.rules, self.groups, self.tenant_group) == (other.rules, other.groups, other.tenant_group)

"""A small shard map for tests of topology and routing: three shards, a group of each family, placements."""

from dataclasses import replace

from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.shard_map import ShardMap, ShardSpec, build
from shardproxy.topology.tables import Local, Reference, Sharded, TableRules

RULES = TableRules(
    rules={
        ("public", "orders"): Sharded("tenant_id", "tenant"),
        ("public", "customers"): Sharded("tenant_id", "tenant"),
        ("public", "readings"): Sharded("device", "device"),
        ("public", "documents"): Sharded("id", "document"),
        ("public", "currencies"): Reference(),
        ("public", "audit"): Local("b"),
    },
    groups={"tenant": KeyFamily.TEXT, "device": KeyFamily.INTEGER, "document": KeyFamily.UUID},
    tenant_group="tenant",
)
THREE = (ShardSpec("a"), ShardSpec("b"), ShardSpec("c"))
# None of them is where the ring would put it.
PLACEMENTS = {("tenant", "big 'one'"): "c", ("tenant", "back\\slash"): "b", ("device", "42"): "b"}
ONE = (ShardSpec("b"),)


def shard_map(
    shards: tuple[ShardSpec, ...] = THREE, placements: dict[tuple[str, str], str] | None = None
) -> ShardMap:
    """The map of ``shards``; with ``PLACEMENTS`` unless others are given."""
    return build(shards, RULES, placements=PLACEMENTS if placements is None else placements)


def key_on(the_map: ShardMap, shard: int, group: str = "tenant", nth: int = 0) -> str:
    """The text of the ``nth`` key t0, t1 ... (or 0, 1 ... for integers) that ``shard`` owns."""
    family = the_map.tables.groups[group]
    found = -1
    for number in range(10_000):
        text = f"t{number}" if family is KeyFamily.TEXT else str(number)
        key = text.encode() if family is KeyFamily.TEXT else number
        found += the_map.owner(group, family, key) == shard
        if found == nth:
            return text
    raise AssertionError(f"shard {shard} owns no key of group {group}")


def same(one: ShardMap, other: ShardMap) -> bool:
    """Whether two maps say the same; rules are compared by what they say of tables."""
    return one.tables.spread_as(other.tables) and replace(one, tables=other.tables) == other

"""The tables and rows of the test cluster, and which shard each row belongs to."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from shardproxy.demo import data
from shardproxy.topology.keys import Key, KeyFamily
from shardproxy.topology.shard_map import ShardMap, ShardSpec, build
from shardproxy.topology.tables import Local, Reference, Sharded, TableRule, TableRules

AMOUNT: Final = data.Amount(tenants=20, orders=500)
SHARDS: Final = ("shard-a", "shard-b", "shard-c")
GROUPS: Final = {"tenant": "text", "device": "int8", "doc": "uuid"}
FAMILIES: Final = {"tenant": KeyFamily.TEXT, "device": KeyFamily.INTEGER, "doc": KeyFamily.UUID}
PLACEMENTS: Final = {"hooli": "shard-b", "stark": "shard-c"}
"""Tenants that do not live where the ring says."""

TABLES: Final[Mapping[str, Any]] = {
    "currencies": "reference",
    **{
        name: {"key": "tenant_id"}
        for name in ("tenants", "customers", "products", "orders", "order_items", "order_events", "coupons")
    },
    **{name: {"key": "device_id", "group": "device"} for name in ("devices", "readings", "device_notes")},
    "docs": {"key": "doc_id", "group": "doc"},
    "audit": {"local": "shard-a"},
}
"""The configuration's ``tables``."""

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    **data.COLUMNS,
    "coupons": ("tenant_id", "code", "percent"),
    "devices": ("device_id", "model"),
    "readings": ("device_id", "at", "value"),
    "device_notes": ("device_id", "note_id", "note"),
    "docs": ("doc_id", "title", "body"),
    "audit": ("audit_id", "actor", "action"),
    "misc": ("misc_id", "tenant_id", "value"),
}
"""Every table with the columns that :func:`rows` has; the key of a sharded one comes first."""

DEVICES: Final = (1, 2, 3, 5, 8, 13, 21, 34, 0, -1, -32_768, 32_767, 2**31 - 1, -(2**31), 2**40, -(2**63))
DOCS: Final[tuple[UUID, ...]] = tuple(uuid5(NAMESPACE_URL, f"doc-{i}") for i in range(16))


def rule(name: str) -> TableRule:
    """How one table of :data:`TABLES` is spread."""
    spread = TABLES[name]
    if spread == "reference":
        return Reference()
    if "local" in spread:
        return Local(spread["local"])
    return Sharded(spread["key"], spread.get("group", "tenant"))


@cache
def shard_map() -> ShardMap:
    """The map of the test cluster."""
    tables = TableRules({("public", name): rule(name) for name in TABLES}, FAMILIES, "tenant")
    placements = {("tenant", tenant): shard for tenant, shard in PLACEMENTS.items()}
    return build([ShardSpec(name) for name in SHARDS], tables, placements=placements)


@cache
def tenants() -> tuple[str, ...]:
    """Every tenant, the largest first."""
    return tuple(tenant.tenant_id for tenant in data.tenants(AMOUNT))


@cache
def rows() -> Mapping[str, Sequence[data.Row]]:
    """Every row of every table, in an order that foreign keys allow."""
    found: dict[str, list[data.Row]] = {name: [] for name in COLUMNS}
    found["currencies"] += data.CURRENCIES
    for tenant in data.tenants(AMOUNT):
        for table, some in data.tenant_rows(tenant).items():
            found[table] += some
    found["coupons"] += [(tenant, f"WELCOME{i}", 5 * i) for tenant in tenants() for i in (1, 2)]
    found["devices"] += [(device, f"model {device % 3}") for device in DEVICES]
    start = datetime(2025, 6, 1, tzinfo=UTC)
    found["readings"] += [
        (device, start + timedelta(hours=hour), hour / 4)
        for device in DEVICES
        if -(2**31) <= device < 2**31
        for hour in range(6)
    ]
    found["device_notes"] += [
        (device, 1, f"note on {device}") for device in DEVICES if -(2**15) <= device < 2**15
    ]
    found["docs"] += [(doc, f"document {i}", f'{{"pages": {i}}}') for i, doc in enumerate(DOCS)]
    found["audit"] += [(i, "operator", f"action {i}") for i in range(1, 6)]
    return found


def canonical(value: Any) -> Key:
    """A key as rows have it, in the form that ShardMap.owner takes."""
    if isinstance(value, int):
        return value
    return value.bytes if isinstance(value, UUID) else str(value).encode()


def owner(table: str, value: Any) -> int:
    """The index of the shard that owns the rows of a sharded table with that key."""
    spread = rule(table)
    assert isinstance(spread, Sharded)
    return shard_map().owner(spread.group, FAMILIES[spread.group], canonical(value))


def belongs(table: str, row: data.Row, shard: int) -> bool:
    """Whether the shard with that index has the row."""
    if table not in TABLES:
        return shard == shard_map().designated
    spread = rule(table)
    if isinstance(spread, Local):
        return SHARDS[shard] == spread.shard
    return isinstance(spread, Reference) or owner(table, row[0]) == shard


def only_own_rows(table: str, shard: int) -> str | None:
    """The expression of a CHECK that admits only what belongs on the shard; None where every row does.

    It is computed by the server, so that a row which our own hash functions send astray cannot be stored.
    """
    if table not in TABLES or isinstance(rule(table), Reference):
        return None
    spread = rule(table)
    if isinstance(spread, Local):
        return None if SHARDS[shard] == spread.shard else "false"
    assert isinstance(spread, Sharded)
    key = spread.key
    value = {
        KeyFamily.TEXT: f"hashtextextended({key}, 0)",
        KeyFamily.INTEGER: f"hashint8extended({key}, 0)",
        KeyFamily.UUID: f"uuid_hash_extended({key}, 0)",
    }[FAMILIES[spread.group]]
    runs = ",".join(f"[{run.start},{run.stop})" for run in shard_map().owned_buckets(shard))
    condition = f"'{{{runs}}}'::int8multirange @> ({value} & 16383)"
    if spread.group != "tenant":
        return condition
    placed = ", ".join(f"'{tenant}'" for tenant in PLACEMENTS)
    here = "".join(f", '{tenant}'" for tenant, name in PLACEMENTS.items() if name == SHARDS[shard])
    return f"CASE WHEN {key} IN ({placed}) THEN {key} IN (''{here}) ELSE {condition} END"

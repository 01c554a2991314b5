"""A configuration's map against the catalog's: what must be the same, and what is only a wish.

Shards, groups and their keys, tables, the tenant group and the designated shard must be the same: otherwise
a sidecar would understand statements in another way than its neighbours. Weights, the ring and placements are
wishes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from shardproxy.errors import ConfigError
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import Local, Reference, RelationName, Sharded, TableRule


@dataclass(frozen=True, slots=True)
class Difference:
    """``section`` of the configuration says something else of ``name`` than the catalog does.

    ``section`` is shards, groups, tables, tenant_group or designated; ``name`` is a table's schema and name,
    or a shard's or group's name, or empty.
    """

    section: str
    name: str | RelationName
    message: str

    def __str__(self) -> str:
        named = ".".join(self.name) if isinstance(self.name, tuple) else self.name
        return f"{self.section}{'.' + named if named else ''}: {self.message}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a configuration says: its map, and the designated shard if it names one."""

    shard_map: ShardMap
    designated: str | None = None


class Disagreement(ConfigError):
    """The configuration is not of this installation, or has not kept up with it."""

    def __init__(self, differences: tuple[Difference, ...]) -> None:
        super().__init__(
            "the configuration disagrees with the catalog:\n" + "\n".join(map(str, differences)),
            hint="The catalog is the truth: correct the file.",
        )
        self.differences = differences


def differences(wish: Wish, truth: ShardMap) -> tuple[Difference, ...]:
    """All that must be the same and is not. Shards that the catalog does not know (yet) are no difference."""
    ours = wish.shard_map
    return (*_shards(ours, truth), *_groups(ours, truth), *_tables(ours, truth), *_names(wish, truth))


def check_agreement(wish: Wish, truth: ShardMap) -> None:
    """Raise Disagreement if anything that must be the same is not."""
    if found := differences(wish, truth):
        raise Disagreement(found)


def drift(wished_for: Wish, truth: ShardMap) -> tuple[str, ...]:
    """In which wishes the configuration differs from what is, one sentence each."""
    wish, found = wished_for.shard_map, []
    if new := [name for name in wish.shards if name not in truth.index]:
        found.append(f"not in the catalog yet, and not used: {', '.join(new)}")
    buckets = sum(wish.shards[a] != truth.shards[b] for a, b in zip(wish.owners, truth.owners, strict=True))
    if buckets:
        found.append(f"{buckets} buckets are on other shards than the ring would put them on")
    wished = {place: wish.shards[shard] for place, shard in wish.placements.items()}
    placed = {place: truth.shards[shard] for place, shard in truth.placements.items()}
    if others := sum(wished.get(place) != placed.get(place) for place in wished.keys() | placed.keys()):
        found.append(f"{others} placements differ")
    return tuple(found)


def _shards(wish: ShardMap, truth: ShardMap) -> Iterator[Difference]:
    for name in truth.shards:
        if name not in wish.index:
            yield Difference("shards", name, "is in the catalog and missing here; add it")


def _groups(wish: ShardMap, truth: ShardMap) -> Iterator[Difference]:
    ours, theirs = wish.tables.groups, truth.tables.groups
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in theirs:
            yield Difference("groups", name, "is not in the catalog")
        elif name not in ours:
            yield Difference(
                "groups", name, f"is in the catalog ({theirs[name].value} keys) and missing here"
            )
        elif ours[name] is not theirs[name]:
            yield Difference(
                "groups",
                name,
                f"has {ours[name].value} keys here and {theirs[name].value} keys in the catalog",
            )


def _tables(wish: ShardMap, truth: ShardMap) -> Iterator[Difference]:
    ours, theirs = wish.tables.rules, truth.tables.rules
    for name in sorted(ours.keys() | theirs.keys()):
        here, there = ours.get(name), theirs.get(name)
        if there is None:
            yield Difference("tables", name, "is not in the catalog")
        elif here is None:
            yield Difference("tables", name, f"is in the catalog ({_said(there)}) and missing here")
        elif here != there:
            yield Difference("tables", name, f"is {_said(here)} here and {_said(there)} in the catalog")


def _said(rule: TableRule) -> str:
    match rule:
        case Sharded(key, group):
            return f"sharded by {key}, group {group}"
        case Local(shard):
            return f"local to {shard}"
        case Reference():
            return "a reference table"


def _names(wish: Wish, truth: ShardMap) -> Iterator[Difference]:
    here, there = wish.shard_map.tables.tenant_group, truth.tables.tenant_group
    if here != there:
        yield Difference("tenant_group", "", f"is {here} here and {there} in the catalog")
    designated = truth.shards[truth.designated]
    if wish.designated not in (None, designated):
        yield Difference("designated", "", f"is {wish.designated} here and {designated} in the catalog")

"""What has to move so that the owners are as they should be, and in which batches. Pure values."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from shardproxy.catalog.journal import Buckets, Keys, What
from shardproxy.rebalance.plan import Size
from shardproxy.topology.keys import bucket, to_text
from shardproxy.topology.moves import PlacedKey
from shardproxy.topology.shard_map import ShardMap

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one move takes along: rows, bytes of their values, buckets, and keys that are placed.

    A bucket or key that is larger by itself moves alone. Every move reads the tables of its two shards some
    times over, so that small ones cost; a large one keeps its stream for long.
    """

    rows: int = 20_000_000
    bytes: int = 16 << 30
    buckets: int = 1024
    keys: int = 100


@dataclass(frozen=True, slots=True)
class Goal:
    """What is not where it should be: buckets, and placed keys, each with the index of the shard it should go
    to.
    """

    buckets: Mapping[int, int] = field(default_factory=dict)
    keys: Mapping[PlacedKey, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.buckets or self.keys)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the rows of each bucket, without its placed keys, and of each placed key are."""

    buckets: Mapping[int, Size] = field(default_factory=dict)
    keys: Mapping[PlacedKey, Size] = field(default_factory=dict)

    def of(self, goal: Goal) -> Size:
        """All that has to move."""
        nothing = Size()
        buckets = (self.buckets.get(number, nothing) for number in goal.buckets)
        keys = (self.keys.get(key, nothing) for key in goal.keys)
        return sum((*buckets, *keys), nothing)


@dataclass(frozen=True, slots=True)
class Batch:
    """One move: some buckets, or some keys of one group, from one shard to another (indexes)."""

    source: int
    target: int
    buckets: tuple[int, ...] = ()
    keys: tuple[PlacedKey, ...] = ()
    size: Size = field(default_factory=Size)

    def what(self, shard_map: ShardMap) -> What:
        """As the journal says it."""
        if self.buckets:
            return Buckets(self.buckets)
        group = self.keys[0][0]
        family = shard_map.tables.groups[group]
        return Keys(group, tuple(sorted(to_text(family, key) for _, key in self.keys)))


def to_aim(shard_map: ShardMap) -> Goal:
    """The buckets whose owner is not the one that the map aims for. Keys stay where they are placed."""
    aim = shard_map.aim()
    owners = enumerate(shard_map.owners)
    return Goal({number: aim[number] for number, owner in owners if owner != aim[number]})


def to_empty(shard_map: ShardMap, shard: int) -> Goal:
    """As :func:`to_aim`, and the keys that are placed on ``shard``: to where their buckets should be."""
    aim = shard_map.aim()
    placed = {
        place: aim[bucket(shard_map.tables.groups[place[0]], place[1])]
        for place, owner in shard_map.placements.items()
        if owner == shard
    }
    return replace(to_aim(shard_map), keys={place: to for place, to in placed.items() if to != shard})


def batches(shard_map: ShardMap, goal: Goal, sizes: Sizes, limits: Limits) -> list[Batch]:
    """All of ``goal`` in moves within the limits: buckets first, so that a key can come home to its own."""
    pairs: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for number, target in sorted(goal.buckets.items()):
        pairs[shard_map.owners[number], target].append(number)
    found = [
        Batch(source, target, tuple(part), size=size)
        for (source, target), numbers in sorted(pairs.items())
        for part, size in _parts(numbers, sizes.buckets, limits, limits.buckets)
    ]
    triples: defaultdict[tuple[int, int, str], list[PlacedKey]] = defaultdict(list)
    for place, target in sorted(goal.keys.items()):
        triples[shard_map.placements[place], target, place[0]].append(place)
    found += [
        Batch(source, target, keys=tuple(part), size=size)
        for (source, target, _), places in sorted(triples.items())
        for part, size in _parts(places, sizes.keys, limits, limits.keys)
    ]
    return found


def _parts(
    items: Iterable[T], sizes: Mapping[T, Size], limits: Limits, most: int
) -> Iterator[tuple[list[T], Size]]:
    part: list[T] = []
    total = Size()
    for item in items:
        size = sizes.get(item, Size())
        larger = total + size
        if part and (len(part) >= most or larger.rows > limits.rows or larger.bytes > limits.bytes):
            yield part, total
            part, larger = [], size
        part.append(item)
        total = larger
    if part:
        yield part, total

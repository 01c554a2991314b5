"""The shard map: one immutable version of who owns which bucket and which tenant."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shardproxy.errors import ConfigError
from shardproxy.topology.keys import BUCKETS, Key, KeyFamily, bucket, from_text
from shardproxy.topology.moves import Moving
from shardproxy.topology.ring import DEFAULT_VNODES, ShardSpec, assign
from shardproxy.topology.tables import Local, Sharded, TableRules

__all__ = ["BUCKETS", "ShardMap", "ShardSpec", "build"]


@dataclass(frozen=True, slots=True)
class ShardMap:
    """One version of the map. ``owners[bucket]`` and the values of ``placements`` index ``shards`` (names).

    ``placements`` is keyed by (group, key) and stands above the buckets. ``designated`` is the shard that
    answers catalog queries and statements that touch no table. ``epoch`` is the version, 0 without a catalog;
    ``shard_epochs`` has for each shard the newest version that changed what is on it: what its connections
    have to be in. ``moves`` are those in progress. ``weights`` (of each shard) and ``vnodes`` are the ring's
    that the owners are meant to follow: :meth:`aim`. ``evened`` are buckets that were put where they are to
    even the shards out: they stay there, whatever the ring says, as long as their shard has a weight.
    ``absent`` are numbers of shards that are not in the map (see ``numbering``), ``present`` are the others,
    in order.
    """

    shards: tuple[str, ...]
    owners: "array[int]"
    placements: Mapping[tuple[str, Key], int]
    tables: TableRules
    designated: int = 0
    epoch: int = 0
    shard_epochs: tuple[int, ...] = ()
    moves: tuple[Moving, ...] = ()
    weights: tuple[int, ...] = ()
    vnodes: int = DEFAULT_VNODES
    evened: frozenset[int] = frozenset()
    absent: frozenset[int] = frozenset()
    index: Mapping[str, int] = field(init=False)
    present: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", {name: i for i, name in enumerate(self.shards)})
        numbers = range(len(self.shards))
        object.__setattr__(self, "present", tuple(i for i in numbers if i not in self.absent))
        if not self.shard_epochs:
            object.__setattr__(self, "shard_epochs", (0,) * len(self.shards))
        if not self.weights:
            object.__setattr__(self, "weights", (1,) * len(self.shards))

    @property
    def names(self) -> list[str]:
        """The names of the shards that are in the map."""
        return [self.shards[number] for number in self.present]

    def aim(self) -> "array[int]":
        """The owner that each bucket should have, as ``owners`` has those it has now."""
        aimed = self.ring()
        for number in self.evened:
            owner = self.owners[number]
            if self.weights[owner]:
                aimed[number] = owner
        return aimed

    def ring(self) -> "array[int]":
        """The owner that the ring gives to each bucket."""
        specs = [ShardSpec(name, weight) for name, weight in zip(self.shards, self.weights, strict=True)]
        return assign(specs, self.vnodes)

    def owner(self, group: str, family: KeyFamily, key: Key) -> int:
        """The index of the shard that owns ``key`` of ``group``."""
        if self.placements:
            placed = self.placements.get((group, key))
            if placed is not None:
                return placed
        return self.owners[bucket(family, key)]

    def move_of(self, group: str, family: KeyFamily, key: Key) -> Moving | None:
        """The move in progress that takes ``key`` of ``group`` along, if there is one."""
        for move in self.moves:
            if (group, key) in move.keys:
                return move
            if move.buckets and (group, key) not in self.placements and bucket(family, key) in move.buckets:
                return move
        return None

    def moves_on(self, shard: int) -> tuple[Moving, ...]:
        """The moves in progress from or to the shard with that index."""
        return tuple(move for move in self.moves if shard in (move.source, move.target))

    def owned_buckets(self, shard: int) -> tuple[range, ...]:
        """The buckets of the shard with that index, as ascending runs that do not touch."""
        runs: list[range] = []
        for number, owner in enumerate(self.owners):
            if owner != shard:
                continue
            if runs and runs[-1].stop == number:
                runs[-1] = range(runs[-1].start, number + 1)
            else:
                runs.append(range(number, number + 1))
        return tuple(runs)


def build(
    shards: Sequence[ShardSpec],
    tables: TableRules,
    *,
    placements: Mapping[tuple[str, str], str] | None = None,
    vnodes: int = DEFAULT_VNODES,
    designated: str | None = None,
    epoch: int = 0,
) -> ShardMap:
    """The map that the ring gives to ``shards``. ``placements``: (group, the key's text) → name of its shard.

    ``designated`` is the first shard by default. Raises ConfigError for a name that is not a shard's or a
    group's, and for two placements of one key; InvalidKey for a placement that is not of its group's type.
    """
    index = {shard.name: i for i, shard in enumerate(shards)}
    owners = assign(shards, vnodes)
    for relation, rule in tables.rules.items():
        if isinstance(rule, Local) and rule.shard not in index:
            raise ConfigError(f'table "{".".join(relation)}" is local to the unknown shard "{rule.shard}"')
        if isinstance(rule, Sharded) and rule.group not in tables.groups:
            raise ConfigError(f'table "{".".join(relation)}" is in the unknown group "{rule.group}"')
    if designated is not None and designated not in index:
        raise ConfigError(f'the designated shard "{designated}" is unknown')
    return ShardMap(
        shards=tuple(index),
        owners=owners,
        placements=_placed(placements or {}, index, tables),
        tables=tables,
        designated=0 if designated is None else index[designated],
        epoch=epoch,
        weights=tuple(shard.weight for shard in shards),
        vnodes=vnodes,
    )


def _placed(
    placements: Mapping[tuple[str, str], str], index: Mapping[str, int], tables: TableRules
) -> Mapping[tuple[str, Key], int]:
    placed: dict[tuple[str, Key], int] = {}
    for (group, text), shard in placements.items():
        if group not in tables.groups:
            raise ConfigError(f'placement "{text}": unknown group "{group}"')
        if shard not in index:
            raise ConfigError(f'placement "{text}": unknown shard "{shard}"')
        place = (group, from_text(tables.groups[group], text))
        if place in placed:
            raise ConfigError(f'placement "{text}": the key is placed twice')
        placed[place] = index[shard]
    return placed

"""The shard map: one immutable version of who owns which bucket and which tenant."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

from shardproxy.topology.keys import Key, KeyFamily
from shardproxy.topology.tables import TableRules

BUCKETS = 16_384


@dataclass(frozen=True, slots=True)
class ShardMap:
    """One version of the map. ``owners[bucket]`` and the values of ``placements`` index ``shards`` (names).

    ``placements`` is keyed by (group, key) and stands above the buckets. ``designated`` is the shard that answers
    catalog queries and statements that touch no table.
    """

    shards: tuple[str, ...]
    owners: array[int]
    placements: Mapping[tuple[str, Key], int]
    tables: TableRules
    designated: int = 0
    epoch: int = 0
    index: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", {name: i for i, name in enumerate(self.shards)})

    def owner(self, group: str, family: KeyFamily, key: Key) -> int:
        """The index of the shard that owns ``key`` of ``group``."""
        raise NotImplementedError

"""A move in progress, as the shard map tells of it: which rows are on two shards, and which of them count."""

from dataclasses import dataclass

from shardproxy.topology.keys import Key

PlacedKey = tuple[str, Key]
"""(group, key): what stands above the buckets."""


@dataclass(frozen=True, slots=True)
class Moving:
    """Some keys, or some buckets of every group, on their way from shard ``source`` to shard ``target``.

    ``number`` is the move's in the catalog. A bucket moves without the keys that have a placement. Both
    shards are indexes into ShardMap.shards. ``moved`` is False while the source owns the rows: a transaction
    on them is led by the guard there, and what the target has of them does not count. It is True once the
    target owns them: what the source still has does not count.
    """

    number: int
    source: int
    target: int
    keys: frozenset[PlacedKey] = frozenset()
    buckets: frozenset[int] = frozenset()
    moved: bool = False

    @property
    def owner(self) -> int:
        """The shard whose rows count."""
        return self.target if self.moved else self.source

    @property
    def stale(self) -> int:
        """The shard whose rows do not count."""
        return self.source if self.moved else self.target

"""The hash ring: which shard a change of the shard map aims to give each bucket to.

The 16,384 buckets stand at even distances around the ring, in order; each shard has ``vnodes`` points per
unit of weight at pseudo-random places, and a bucket belongs to the first point after it. So adding a shard
takes buckets from the others and moves none between them, and what a shard owns is a few hundred runs.
"""

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from uhashring import HashRing

from shardproxy.errors import ConfigError
from shardproxy.topology.keys import BUCKETS

DEFAULT_VNODES: Final = 512
"""Points on the ring per unit of weight; more of them spread more evenly and in smaller runs."""

_BITS: Final = 64
_STEP: Final[int] = 2**_BITS // BUCKETS


@dataclass(frozen=True, slots=True)
class ShardSpec:
    """A shard on the ring. Its share of the buckets is near ``weight`` (0 or more) over their sum."""

    name: str
    weight: int = 1


def assign(shards: Sequence[ShardSpec], vnodes: int = DEFAULT_VNODES) -> "array[int]":
    """The owner of each bucket, as an index into ``shards``; the same in every process, whatever their order.

    Raises ConfigError for a duplicate name, a negative weight, no weight at all, or vnodes below 1.
    """
    index = {shard.name: i for i, shard in enumerate(shards)}
    if len(index) != len(shards):
        raise ConfigError("two shards have the same name")
    if vnodes < 1 or any(shard.weight < 0 for shard in shards) or not any(shard.weight for shard in shards):
        raise ConfigError("the ring needs vnodes of 1 or more, and weights of 0 or more that are not all 0")
    nodes = {shard.name: {"weight": shard.weight, "vnodes": vnodes} for shard in shards}
    ring = HashRing(nodes, hash_fn=_position)
    return array("H", (index[ring.get_node(number)] for number in range(BUCKETS)))


def _position(key: int | str) -> int:
    """The place of a bucket, or of a shard's point, which uhashring names ``<shard>-<number>``."""
    if isinstance(key, int):
        return key * _STEP
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[: _BITS // 8], "big")

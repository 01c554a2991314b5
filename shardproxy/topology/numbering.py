"""Numbers of shards that stay the same while a process lives, whatever shards maps list and in which order.

Sessions, routes and transactions under way know shards by their numbers. So a number is never given to
another shard: shards that are new come last, and the number of one that a map does not list is absent in it.
"""

from array import array
from collections.abc import Sequence
from dataclasses import replace

from shardproxy.topology.shard_map import ShardMap


def extended(names: Sequence[str], shard_map: ShardMap) -> tuple[str, ...]:
    """``names``, which have their numbers, and behind them the shards of the map that are not among them."""
    return (*names, *(name for name in shard_map.shards if name not in names))


def renumbered(shard_map: ShardMap, names: Sequence[str]) -> ShardMap:
    """The same map with ``names``, among which are all its shards, as its shards."""
    if tuple(names) == shard_map.shards:
        return shard_map
    number = [names.index(name) for name in shard_map.shards]
    epochs, weights = [0] * len(names), [0] * len(names)
    for old, new in enumerate(number):
        epochs[new], weights[new] = shard_map.shard_epochs[old], shard_map.weights[old]
    return replace(
        shard_map,
        shards=tuple(names),
        owners=array(shard_map.owners.typecode, (number[owner] for owner in shard_map.owners)),
        placements={place: number[shard] for place, shard in shard_map.placements.items()},
        designated=number[shard_map.designated],
        shard_epochs=tuple(epochs),
        moves=tuple(
            replace(move, source=number[move.source], target=number[move.target]) for move in shard_map.moves
        ),
        weights=tuple(weights),
        absent=frozenset(range(len(names))) - frozenset(number),
    )

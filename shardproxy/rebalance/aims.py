"""Changing what the map aims for: the weights of shards, and the buckets that stay where they were put."""

from dataclasses import replace
from functools import partial

from shardproxy.catalog import maps
from shardproxy.errors import ShardproxyError
from shardproxy.rebalance.connections import forget, open_catalog
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.move import Words
from shardproxy.topology.shard_map import ShardMap

APPLICATION_NAME = "shardproxy shard"


async def set_weight(installation: Installation, name: str, weight: int) -> ShardMap:
    """Publish another weight of a shard, if it is another one; the map in force. No row moves by that.

    Raises ShardproxyError for an unknown shard, and where no shard would have any weight.
    """

    return await _change(
        installation, partial(weighted, name=name, weight=weight), f"shard {name} has weight {weight}"
    )


def weighted(shard_map: ShardMap, name: str, weight: int) -> ShardMap:
    """The map with another weight of a shard. Raises as :func:`set_weight`."""
    weights = list(shard_map.weights)
    weights[index_of(shard_map, name)] = weight
    if not any(weights):
        raise ShardproxyError(
            f"{name} is the only shard with a weight",
            sqlstate="55000",
            hint="Give another shard a weight first: shardproxy shard weight NAME N.",
        )
    return replace(shard_map, weights=tuple(weights))


async def set_evened(installation: Installation, buckets: frozenset[int]) -> ShardMap:
    """From now on these buckets, and those that were evened before and are not where the ring says, stay
    where they are put. None: all of them are the ring's again.
    """

    def change(shard_map: ShardMap) -> ShardMap:
        ring = shard_map.ring()
        apart = frozenset(n for n in shard_map.evened if shard_map.owners[n] != ring[n])
        return replace(shard_map, evened=apart | buckets if buckets else buckets)

    why = f"{len(buckets)} buckets even the shards out" if buckets else "all buckets follow the ring"
    return await _change(installation, change, why)


async def _change(installation: Installation, change: maps.Change, why: str) -> ShardMap:
    """Publish it, if it changes anything."""
    async with Words():
        catalog = await open_catalog(installation, APPLICATION_NAME)
        try:
            shard_map = await maps.read(catalog)
            if change(shard_map) == shard_map:
                return shard_map
            return await maps.publish(catalog, change, why, {})
        finally:
            await forget(catalog)


async def read_map(installation: Installation) -> ShardMap:
    """The map in force. Raises ShardproxyError."""
    async with Words():
        catalog = await open_catalog(installation, APPLICATION_NAME)
        try:
            return await maps.read(catalog)
        finally:
            await forget(catalog)


def index_of(shard_map: ShardMap, name: str) -> int:
    """The index of the shard of that name. Raises ShardproxyError."""
    try:
        return shard_map.index[name]
    except KeyError:
        known = ", ".join(shard_map.shards)
        raise ShardproxyError(
            f'the shard "{name}" is unknown', sqlstate="42704", hint=f"The map has {known}."
        ) from None

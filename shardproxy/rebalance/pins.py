"""Pinning a tenant: a placement, which stands above the buckets, so that ring changes leave it alone."""

from dataclasses import dataclass, replace

from shardproxy.catalog import maps
from shardproxy.catalog.journal import Keys
from shardproxy.rebalance.aims import read_map
from shardproxy.rebalance.connections import forget, open_catalog
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.move import Outcome, Words, carry_out, move
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.plan import Planned
from shardproxy.rebalance.progress import Report, silent
from shardproxy.rebalance.what import MapConflict, name_of, placed_keys
from shardproxy.topology.keys import bucket
from shardproxy.topology.moves import PlacedKey
from shardproxy.topology.shard_map import ShardMap

APPLICATION_NAME = "shardproxy pin"


@dataclass(frozen=True, slots=True)
class Pinned:
    """``shard``: where the tenant is now; ``placed``: whether it is placed there. ``changed``: whether it was
    otherwise before. ``moves``: how the moves that it took ended.
    """

    shard: str
    placed: bool
    changed: bool
    moves: tuple[Outcome, ...] = ()


async def pin(
    installation: Installation,
    what: Keys,
    to: str | None = None,
    options: MoveOptions | None = None,
    report: Report = silent,
) -> Pinned:
    """Place one key where it is, or on shard ``to``, after a move to it.

    Raises MapConflict while the key or its bucket moves; else as :func:`move`.
    """
    moves: list[Outcome] = []
    if to is not None:
        moves = await move(installation, what, to, options, report)
    before = await read_map(installation)
    (place,) = placed_keys(before, what)
    owner = before.owner(place[0], before.tables.groups[place[0]], place[1])
    shard = before.shards[owner]
    if place in before.placements:
        return Pinned(shard, placed=True, changed=bool(moves), moves=tuple(moves))

    def change(shard_map: ShardMap) -> ShardMap:
        _at_rest(shard_map, place)
        if shard_map.owner(place[0], shard_map.tables.groups[place[0]], place[1]) != owner:
            raise MapConflict(f"{name_of(shard_map, place)} has left shard {shard} meanwhile")
        return replace(shard_map, placements={**shard_map.placements, place: owner})

    await _publish(installation, change, f"{name_of(before, place)} is pinned to shard {shard}")
    return Pinned(shard, placed=True, changed=True, moves=tuple(moves))


async def unpin(
    installation: Installation,
    what: Keys,
    options: MoveOptions | None = None,
    report: Report = silent,
) -> Pinned:
    """Drop the placement of one key, after a move to where its bucket is, if it is elsewhere.

    Raises MapConflict while the key or its bucket moves; else what stops a move.
    """
    before = await read_map(installation)
    (place,) = placed_keys(before, what)
    home = _home(before, place)
    if place not in before.placements:
        return Pinned(before.shards[home], placed=False, changed=False)
    _at_rest(before, place)
    moves: tuple[Outcome, ...] = ()
    if before.placements[place] != home:
        source, target = before.shards[before.placements[place]], before.shards[home]
        planned = Planned(source, target, what)
        moves = (await carry_out(installation, planned, options or MoveOptions(), report),)
    after = await read_map(installation)
    if place in after.placements:

        def change(shard_map: ShardMap) -> ShardMap:
            _at_rest(shard_map, place)
            if shard_map.placements.get(place, home) != home or _home(shard_map, place) != home:
                raise MapConflict(f"{name_of(shard_map, place)} or its bucket has moved meanwhile")
            return replace(
                shard_map, placements={k: v for k, v in shard_map.placements.items() if k != place}
            )

        await _publish(installation, change, f"{name_of(before, place)} is not pinned any more")
    return Pinned(before.shards[home], placed=False, changed=True, moves=moves)


def _home(shard_map: ShardMap, place: PlacedKey) -> int:
    return shard_map.owners[bucket(shard_map.tables.groups[place[0]], place[1])]


def _at_rest(shard_map: ShardMap, place: PlacedKey) -> None:
    """A bucket on its way is without the keys that are placed, so none may become so, nor cease to be."""
    at_home = bucket(shard_map.tables.groups[place[0]], place[1])
    for each in shard_map.moves:
        if place in each.keys or at_home in each.buckets:
            whose = "" if place in each.keys else "the bucket of "
            raise MapConflict(
                f"{whose}{name_of(shard_map, place)} is moving: move {each.number}",
                hint="Try again when it has ended; see shardproxy moves list.",
            )


async def _publish(installation: Installation, change: maps.Change, why: str) -> None:
    async with Words():
        catalog = await open_catalog(installation, APPLICATION_NAME)
        try:
            await maps.publish(catalog, change, why, {})
        finally:
            await forget(catalog)

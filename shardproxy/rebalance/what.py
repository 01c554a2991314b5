"""What moves: some keys, or some buckets, said in the journal's words and in the map's; and how a move
changes the map.
"""

from collections import defaultdict
from dataclasses import replace
from typing import Final

from shardproxy.catalog.journal import Buckets, Keys, Move, What
from shardproxy.errors import ShardproxyError
from shardproxy.topology.keys import BUCKETS, bucket, from_text, to_text
from shardproxy.topology.moves import Moving, PlacedKey
from shardproxy.topology.shard_map import ShardMap

IN_USE: Final = "55006"


class MapConflict(ShardproxyError):
    """The map does not allow it: somebody else owns or moves what was to be moved."""

    sqlstate = IN_USE


def placed_keys(shard_map: ShardMap, what: Keys) -> frozenset[PlacedKey]:
    """The keys in the map's form. Raises ShardproxyError for an unknown group, InvalidKey for a wrong key."""
    family = shard_map.tables.groups.get(what.group)
    if family is None:
        known = ", ".join(shard_map.tables.groups)
        raise ShardproxyError(f'the group "{what.group}" is unknown', hint=f"The map has {known}.")
    return frozenset((what.group, from_text(family, text)) for text in what.keys)


def name_of(shard_map: ShardMap, key: PlacedKey) -> str:
    """A key for people: ``acme``, or ``device 7`` where it is not of the tenants' group."""
    group, value = key
    text = to_text(shard_map.tables.groups[group], value)
    return text if group == shard_map.tables.tenant_group else f"{group} {text}"


def named(what: What) -> str:
    """What moves, in a few words."""
    if isinstance(what, Buckets):
        return f"{len(what.buckets)} buckets"
    keys = ", ".join(what.keys[:5])
    return keys if len(what.keys) <= 5 else f"{keys} and {len(what.keys) - 5} more"


def moving(shard_map: ShardMap, move: Move) -> Moving:
    """The move as the map would list it, before the flip. Raises MapConflict for a shard that is gone."""
    if gone := [name for name in (move.source, move.target) if name not in shard_map.index]:
        raise MapConflict(f"the shard {gone[0]} is not in the map")
    keys: frozenset[PlacedKey] = frozenset()
    buckets: frozenset[int] = frozenset()
    if isinstance(move.what, Buckets):
        buckets = frozenset(move.what.buckets)
    else:
        keys = placed_keys(shard_map, move.what)
    return Moving(move.number, shard_map.index[move.source], shard_map.index[move.target], keys, buckets)


def sources(shard_map: ShardMap, what: What) -> dict[int, What]:
    """The shards that own it now, by index, each with its part. Errors as of :func:`placed_keys`."""
    if isinstance(what, Buckets):
        wrong = [number for number in what.buckets if not 0 <= number < BUCKETS]
        if wrong:
            raise ShardproxyError(f"{wrong[0]} is no bucket; they are 0 to {BUCKETS - 1}")
        numbers: defaultdict[int, list[int]] = defaultdict(list)
        for number in sorted(set(what.buckets)):
            numbers[shard_map.owners[number]].append(number)
        return {owner: Buckets(tuple(some)) for owner, some in numbers.items()}
    texts: defaultdict[int, list[str]] = defaultdict(list)
    for group, key in sorted(placed_keys(shard_map, what)):
        family = shard_map.tables.groups[group]
        texts[shard_map.owner(group, family, key)].append(to_text(family, key))
    return {owner: Keys(what.group, tuple(some)) for owner, some in texts.items()}


def listed(shard_map: ShardMap, number: int) -> Moving | None:
    """The move of that number in the map."""
    return next((move for move in shard_map.moves if move.number == number), None)


def announced(shard_map: ShardMap, move: Moving, reverses: int | None = None) -> ShardMap:
    """The map that says the rows are on their way; ``reverses``: the move whose place it takes. Raises
    MapConflict.
    """
    if listed(shard_map, move.number) is not None:
        return shard_map
    if reverses is not None:
        first = listed(shard_map, reverses)
        if first is None or not first.moved:
            raise MapConflict(f"the map does not list move {reverses} as one that can be rolled back")
        return replaced(shard_map, reverses, move)
    if conflicts := conflicts_of(shard_map, move):
        raise MapConflict("; ".join(conflicts))
    return replace(shard_map, moves=(*shard_map.moves, move))


def flipped(shard_map: ShardMap, move: Moving) -> ShardMap:
    """The map in which the target owns the rows. Raises MapConflict where the announced move is not there."""
    found = listed(shard_map, move.number)
    if found is None or found.moved:
        raise MapConflict(f"the map does not list move {move.number} as under way")
    owners, placements = shard_map.owners, dict(shard_map.placements)
    if found.buckets:
        owners = shard_map.owners[:]
        for number in found.buckets:
            owners[number] = found.target
    for group, key in found.keys:
        at_home = bucket(shard_map.tables.groups[group], key)
        others = any(at_home in other.buckets for other in shard_map.moves)
        # A key that comes home needs no placement any more, unless its bucket is on its way just now.
        if owners[at_home] == found.target and not others:
            placements.pop((group, key), None)
        else:
            placements[group, key] = found.target
    moves = tuple(replace(each, moved=True) if each is found else each for each in shard_map.moves)
    return replace(shard_map, owners=owners, placements=placements, moves=moves)


def replaced(shard_map: ShardMap, number: int, other: Moving) -> ShardMap:
    """The map that lists ``other`` in the place of the move of that number."""
    moves = tuple(other if move.number == number else move for move in shard_map.moves)
    return replace(shard_map, moves=moves)


def without(shard_map: ShardMap, number: int) -> ShardMap:
    """The map that does not list the move of that number."""
    return replace(shard_map, moves=tuple(move for move in shard_map.moves if move.number != number))


def conflicts_of(shard_map: ShardMap, move: Moving) -> list[str]:
    """Why the map does not allow the move to begin; one sentence each."""
    found: list[str] = []
    source, target = shard_map.shards[move.source], shard_map.shards[move.target]
    if move.source == move.target:
        return [f"shard {target} owns it already"]
    for group, key in sorted(move.keys):
        family = shard_map.tables.groups[group]
        name = name_of(shard_map, (group, key))
        other = shard_map.move_of(group, family, key)
        if other is not None:
            found.append(f"{name} is moving already: move {other.number}")
        elif shard_map.owner(group, family, key) != move.source:
            owner = shard_map.shards[shard_map.owner(group, family, key)]
            found.append(f"{name} is on shard {owner}, not on {source}")
    wrong = [number for number in move.buckets if shard_map.owners[number] != move.source]
    if wrong:
        found.append(f"{len(wrong)} of the buckets are not on shard {source}, for example {min(wrong)}")
    for other in shard_map.moves:
        if common := move.buckets & other.buckets:
            found.append(f"{len(common)} of the buckets are moving already: move {other.number}")
        for group, key in sorted(other.keys):
            at_home = bucket(shard_map.tables.groups[group], key)
            if at_home in move.buckets and (group, key) not in shard_map.placements:
                found.append(f"{name_of(shard_map, (group, key))} is moving already: move {other.number}")
    return found

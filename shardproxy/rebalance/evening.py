"""Evening shards out by their bytes: which buckets to move, and as few bytes as possible. Pure values."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from shardproxy.rebalance.ring import Goal, Sizes
from shardproxy.topology.shard_map import ShardMap


@dataclass(frozen=True, slots=True)
class Evened:
    """``targets``: the shard that each bucket which has to move goes to. ``before`` and ``after``: bytes of
    each shard; ``shares``: what each should have. ``even``: all are within the tolerance then.
    """

    targets: Mapping[int, int]
    before: tuple[int, ...]
    after: tuple[int, ...]
    shares: tuple[float, ...]
    even: bool


def even_out(shard_map: ShardMap, sizes: Sizes, tolerance: float) -> Evened:
    """Bring each shard to within ``tolerance`` (of its share) of the bytes that its weight gives it.

    The fullest shard gives to the emptiest, again and again, the smallest bucket that is enough for one of
    the two, or else the largest that is not too much for either. Placed keys count, and stay.
    """
    loads = [0] * len(shard_map.shards)
    for place, size in sizes.keys.items():
        loads[shard_map.placements[place]] += size.bytes
    mine: list[list[tuple[int, int]]] = [[] for _ in loads]
    for number, size in sizes.buckets.items():
        loads[shard_map.owners[number]] += size.bytes
        if size.bytes:
            mine[shard_map.owners[number]].append((size.bytes, number))
    for buckets in mine:
        buckets.sort()
    total, weight = sum(loads), sum(shard_map.weights)
    shares = [total * each / weight for each in shard_map.weights]
    before, targets = tuple(loads), dict[int, int]()
    while (step := _step(loads, shares, tolerance, mine)) is not None:
        source, target, at = step
        moved, bucket = mine[source].pop(at)
        loads[source] -= moved
        loads[target] += moved
        targets[bucket] = target
    return Evened(targets, before, tuple(loads), tuple(shares), not _uneven(loads, shares, tolerance))


def still_lacks(shard_map: ShardMap, evened: Evened) -> Goal:
    """What of it a newer map still lacks; buckets that somebody else has moved meanwhile are left to them."""
    return Goal(
        {
            number: target
            for number, target in evened.targets.items()
            if number in shard_map.evened and shard_map.owners[number] != target
        }
    )


def _uneven(loads: list[int], shares: list[float], tolerance: float) -> bool:
    return any(abs(load - share) > tolerance * share for load, share in zip(loads, shares, strict=True))


def _step(
    loads: list[int], shares: list[float], tolerance: float, mine: list[list[tuple[int, int]]]
) -> tuple[int, int, int] | None:
    """(from, to, place in the list of the first) of the next bucket; None when no more helps."""
    if not _uneven(loads, shares, tolerance):
        return None
    surplus = [load - share for load, share in zip(loads, shares, strict=True)]
    order = sorted(range(len(loads)), key=lambda shard: surplus[shard])
    for source in reversed(order):
        for target in order:
            if surplus[source] <= 0 or surplus[target] >= 0:
                continue
            slack = (tolerance * shares[source], tolerance * shares[target])
            need = max(surplus[source] - slack[0], -surplus[target] - slack[1])
            if need <= 0:
                continue
            most = min(surplus[source] + slack[0], -surplus[target] + slack[1])
            place = _pick(mine[source], need, most)
            if place is not None:
                return source, target, place
    return None


def _pick(buckets: list[tuple[int, int]], need: float, most: float) -> int | None:
    """The smallest of at least ``need`` bytes, or else the largest; never of more than ``most``."""
    enough = bisect_left(buckets, (need, -1))
    fitting = bisect_right(buckets, (most, 1 << 62))
    if enough < fitting:
        return enough
    return fitting - 1 if fitting else None

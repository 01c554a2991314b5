"""Which buckets even shards out. Pure values."""

from dataclasses import replace
from random import Random

import pytest

from shardproxy.rebalance.evening import even_out, still_lacks
from shardproxy.rebalance.plan import Size
from shardproxy.rebalance.ring import Goal, Sizes
from shardproxy.topology.shard_map import ShardMap
from tests.rebalance.test_ring import BIG, ring_of


def sizes_of(shard_map: ShardMap, random: Random, factors: tuple[float, ...]) -> Sizes:
    """Buckets of random sizes, on each shard so many times as large."""
    sizes = {
        number: Size(1, int(random.paretovariate(1.5) * 1000 * factors[owner]))
        for number, owner in enumerate(shard_map.owners)
        if random.random() < 0.2
    }
    return Sizes(sizes)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("weights", [(1, 1, 1, 1), (1, 2, 1, 4)])
def test_every_shard_comes_within_the_tolerance_of_its_share(seed: int, weights: tuple[int, ...]) -> None:
    now = ring_of(*weights)
    sizes = sizes_of(now, Random(seed), (3.0, 1.0, 0.5, 1.0))
    evened = even_out(now, sizes, 0.1)
    assert evened.even
    assert sum(evened.after) == sum(evened.before)
    for after, share in zip(evened.after, evened.shares, strict=True):
        assert after == pytest.approx(share, rel=0.1)
    moved = sum(sizes.buckets[number].bytes for number in evened.targets)
    excess = zip(evened.before, evened.shares, strict=True)
    least = sum(max(0.0, before - share * 1.1) for before, share in excess)
    assert moved <= 1.3 * least + max(size.bytes for size in sizes.buckets.values())


def test_shards_that_are_even_enough_are_left_alone() -> None:
    now = ring_of(1, 1, 1, 1)
    counts = [now.owners.count(shard) for shard in range(4)]
    sizes = Sizes({number: Size(1, 1_000_000 // counts[owner]) for number, owner in enumerate(now.owners)})
    assert even_out(now, sizes, 0.02).targets == {}
    assert even_out(now, Sizes(), 0.1).targets == {}


def test_a_placed_tenant_counts_and_stays() -> None:
    now = ring_of(1, 1, 1, 1, placements={BIG: 0})
    buckets = {number: Size(1, 100) for number in range(0, 16384, 8)}
    evened = even_out(now, Sizes(buckets, {BIG: Size(1, 50_000)}), 0.1)
    assert evened.even
    assert all(now.owners[number] == 0 for number in evened.targets)
    alone = even_out(now, Sizes(buckets, {BIG: Size(1, 10_000_000)}), 0.1)
    assert not alone.even
    assert alone.after[0] == 10_000_000


def test_a_shard_without_weight_gives_everything_away() -> None:
    now = replace(ring_of(1, 1, 1, 1), weights=(1, 1, 0, 1))
    sizes = Sizes({number: Size(1, 100) for number in range(0, 16384, 8)})
    assert even_out(now, sizes, 0.1).after[2] == 0


def test_a_bucket_is_moved_once_and_what_others_have_moved_is_theirs() -> None:
    now = ring_of(1, 1, 1, 1)
    evened = even_out(now, sizes_of(now, Random(1), (4.0, 1.0, 1.0, 1.0)), 0.1)
    assert len(evened.targets) > 10
    marked = replace(now, evened=frozenset(evened.targets))
    assert still_lacks(marked, evened) == Goal(evened.targets)
    done = marked.owners[:]
    for number, target in evened.targets.items():
        assert now.owners[number] != target
        done[number] = target
    assert not still_lacks(replace(marked, owners=done), evened)
    first = min(evened.targets)
    assert first not in still_lacks(replace(marked, evened=marked.evened - {first}), evened).buckets

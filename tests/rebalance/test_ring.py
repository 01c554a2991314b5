"""What a change of the ring has to move, and in which batches. Pure values, and golden ones."""

import hashlib
from collections import Counter
from dataclasses import replace

import pytest

from shardproxy.catalog.journal import Buckets, Keys
from shardproxy.rebalance.plan import Size
from shardproxy.rebalance.ring import Batch, Goal, Limits, Sizes, batches, to_aim, to_empty
from shardproxy.topology.keys import KeyFamily, bucket
from shardproxy.topology.moves import PlacedKey
from shardproxy.topology.shard_map import ShardMap, ShardSpec, build
from tests.topology.maps import RULES

BIG: PlacedKey = ("tenant", b"big")


def ring_of(*weights: int, placements: dict[PlacedKey, int] | None = None) -> ShardMap:
    """Shards a, b, c, d with these weights, which own what the ring gives them."""
    built = build([ShardSpec(name, weight) for name, weight in zip("abcd", weights, strict=True)], RULES)
    return replace(built, placements=placements or {})


def who_to_whom(shard_map: ShardMap, goal: Goal) -> dict[str, int]:
    pairs = ((shard_map.owners[number], target) for number, target in goal.buckets.items())
    return dict(Counter(f"{'abcd'[source]} to {'abcd'[target]}" for source, target in pairs))


@pytest.mark.parametrize(
    ("before", "after", "moves", "digest"),
    [
        ((1, 1, 1, 0), (1, 1, 1, 1), {"a to d": 1479, "b to d": 1366, "c to d": 1297}, "15b7534ceb08bc76"),
        ((1, 1, 1, 1), (1, 2, 1, 1), {"a to b": 621, "c to b": 686, "d to b": 972}, "685390aba24870b9"),
        ((1, 1, 1, 1), (1, 1, 1, 0), {"d to a": 1479, "d to b": 1366, "d to c": 1297}, "f868a4d5b67f20b5"),
    ],
    ids=["a fourth shard is added to three", "a weight of 1 becomes 2", "one of four is drained"],
)
def test_only_what_the_ring_says_must_move_does(
    before: tuple[int, ...], after: tuple[int, ...], moves: dict[str, int], digest: str
) -> None:
    """Nothing moves between shards that keep their weight. The digest is of each bucket with its target."""
    now = ring_of(*before)
    changed = replace(now, weights=after)
    goal = to_aim(changed)
    assert who_to_whom(now, goal) == moves
    assert hashlib.sha256(str(sorted(goal.buckets.items())).encode()).hexdigest()[:16] == digest
    owners = now.owners[:]
    for number, target in goal.buckets.items():
        owners[number] = target
    assert owners == ring_of(*after).owners
    assert not to_aim(replace(changed, owners=owners))


def test_placed_keys_stay_unless_their_shard_is_emptied() -> None:
    now = ring_of(1, 1, 1, 1, placements={BIG: 3, ("device", 7): 0})
    changed = replace(now, weights=(1, 1, 1, 0))
    assert to_aim(changed).keys == {}
    goal = to_empty(changed, 3)
    assert goal.keys == {BIG: changed.aim()[bucket(KeyFamily.TEXT, b"big")]}
    assert goal.keys[BIG] != 3
    assert goal.buckets == to_aim(changed).buckets


def test_evened_buckets_stay_as_long_as_their_shard_has_a_weight() -> None:
    now = ring_of(1, 1, 1, 1)
    mine = frozenset(number for number, owner in enumerate(now.owners) if owner == 0)
    owners = now.owners[:]
    for number in mine:
        owners[number] = 1
    apart = replace(now, owners=owners, evened=mine)
    assert not to_aim(apart)
    assert to_aim(replace(apart, evened=frozenset())).buckets == dict.fromkeys(mine, 0)
    drained = to_aim(replace(apart, weights=(1, 0, 1, 1)))
    assert mine <= drained.buckets.keys()
    assert 1 not in drained.buckets.values()


def test_a_batch_is_one_pair_within_the_limits_and_every_bucket_is_in_one() -> None:
    now = ring_of(1, 1, 1, 0)
    changed = replace(now, weights=(1, 1, 1, 1))
    goal = to_aim(changed)
    sizes = Sizes({number: Size(10, 1000) for number in goal.buckets})
    for limits, most in (
        (Limits(buckets=100), 100),
        (Limits(rows=500), 50),
        (Limits(bytes=7_000), 7),
    ):
        found = batches(changed, goal, sizes, limits)
        assert max(len(each.buckets) for each in found) == most
        for each in found:
            assert {now.owners[number] for number in each.buckets} == {each.source}
            assert {goal.buckets[number] for number in each.buckets} == {each.target}
            assert each.size == Size(10 * len(each.buckets), 1000 * len(each.buckets))
        assert sorted(number for each in found for number in each.buckets) == sorted(goal.buckets)
    assert sizes.of(goal) == Size(10 * len(goal.buckets), 1000 * len(goal.buckets))


def test_what_is_too_large_goes_alone() -> None:
    now = ring_of(1, 1, 1, 0)
    first, second, third = [number for number, owner in enumerate(now.owners) if owner == 0][:3]
    goal = Goal({first: 3, second: 3, third: 3})
    sizes = Sizes({second: Size(1_000, 1)})
    parts = [each.buckets for each in batches(now, goal, sizes, Limits(rows=100))]
    assert parts == [(first,), (second,), (third,)]


def test_keys_come_behind_the_buckets_by_group_and_shard() -> None:
    placements: dict[PlacedKey, int] = {("tenant", b"x"): 0, ("tenant", b"y"): 0, ("device", 7): 0}
    now = ring_of(1, 1, 1, 1, placements=placements)
    goal = Goal({now.owners.index(0): 1}, {("tenant", b"x"): 1, ("tenant", b"y"): 1, ("device", 7): 1})
    first, *keys = batches(now, goal, Sizes({}, {("device", 7): Size(3, 4)}), Limits())
    assert first == Batch(0, 1, (now.owners.index(0),))
    assert first.what(now) == Buckets((now.owners.index(0),))
    assert [each.what(now) for each in keys] == [Keys("device", ("7",)), Keys("tenant", ("x", "y"))]
    assert keys[0].size == Size(3, 4)
    assert len(batches(now, goal, Sizes(), Limits(keys=1))) == 4

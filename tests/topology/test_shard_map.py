"""The shard map: placements first, then buckets; what cannot be a map is refused."""

from dataclasses import replace
from itertools import pairwise

import pytest

from shardproxy.errors import ConfigError
from shardproxy.topology.keys import BUCKETS, InvalidKey, KeyFamily, bucket
from shardproxy.topology.shard_map import ShardSpec, build
from shardproxy.topology.tables import Local, Sharded
from tests.topology.maps import RULES, THREE, key_on, shard_map

TEXT = KeyFamily.TEXT


def test_a_key_belongs_to_the_owner_of_its_bucket() -> None:
    the_map = shard_map()
    for number in range(300):
        key = f"tenant-{number}".encode()
        assert the_map.owner("tenant", TEXT, key) == the_map.owners[bucket(TEXT, key)]


def test_a_placement_stands_above_the_buckets_in_its_own_group_only() -> None:
    by_ring = shard_map(placements={})
    text = key_on(by_ring, 0)
    placed = shard_map(placements={("tenant", text): "c"})
    assert placed.owner("tenant", TEXT, text.encode()) == 2
    assert placed.owner("other", TEXT, text.encode()) == 0
    assert placed.owners == by_ring.owners


def test_a_placement_is_of_the_value_not_of_its_spelling() -> None:
    the_map = shard_map(placements={("device", " 007"): "c"})
    assert the_map.owner("device", KeyFamily.INTEGER, 7) == 2


def test_owned_buckets_of_all_shards_are_every_bucket_once() -> None:
    the_map = shard_map()
    runs = [run for shard in range(3) for run in the_map.owned_buckets(shard)]
    assert sorted(number for run in runs for number in run) == list(range(BUCKETS))
    for shard in range(3):
        own = the_map.owned_buckets(shard)
        assert all(the_map.owners[number] == shard for run in own for number in run)
        assert all(first.stop < second.start for first, second in pairwise(own))


def test_a_map_that_was_built_owns_what_it_aims_at() -> None:
    the_map = build((ShardSpec("a", 2), ShardSpec("b"), ShardSpec("c", 0)), RULES, vnodes=64)
    assert the_map.aim() == the_map.owners
    assert (
        replace(the_map, weights=(2, 0, 1)).aim()
        == build((ShardSpec("a", 2), ShardSpec("b", 0), ShardSpec("c")), RULES, vnodes=64).owners
    )


def test_shards_are_found_by_name() -> None:
    the_map = build(THREE, RULES, designated="b", epoch=3)
    assert (the_map.index["c"], the_map.designated, the_map.epoch) == (2, 1, 3)


@pytest.mark.parametrize(
    ("placements", "message"),
    [
        ({("tenant", "x"): "nowhere"}, 'placement "x": unknown shard "nowhere"'),
        ({("nothing", "x"): "a"}, 'placement "x": unknown group "nothing"'),
        ({("device", "7"): "a", ("device", "+7"): "b"}, 'placement "+7": the key is placed twice'),
    ],
)
def test_a_wrong_placement_is_refused(placements: dict[tuple[str, str], str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(THREE, RULES, placements=placements)
    assert caught.value.message == message


def test_a_placement_that_is_not_of_the_groups_type_is_refused() -> None:
    with pytest.raises(InvalidKey):
        build(THREE, RULES, placements={("device", "acme"): "a"})


@pytest.mark.parametrize("rule", [Local("nowhere"), Sharded("id", "nothing")])
def test_a_table_of_an_unknown_shard_or_group_is_refused(rule: Local | Sharded) -> None:
    with pytest.raises(ConfigError, match="unknown"):
        build(THREE, replace(RULES, rules={("public", "t"): rule}))


def test_an_unknown_designated_shard_is_refused() -> None:
    with pytest.raises(ConfigError, match="designated"):
        build(THREE, RULES, designated="nowhere")

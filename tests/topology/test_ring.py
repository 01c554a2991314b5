"""The ring: the same in every process, in proportion to the weights, and it moves no more than it must."""

import subprocess
import sys
from collections import Counter

import pytest

from shardproxy.errors import ConfigError
from shardproxy.topology.keys import BUCKETS
from shardproxy.topology.ring import ShardSpec, assign

THREE = [ShardSpec("a"), ShardSpec("b"), ShardSpec("c")]


def names(shards: list[ShardSpec], vnodes: int = 512) -> list[str]:
    return [shards[owner].name for owner in assign(shards, vnodes)]


def test_every_bucket_has_an_owner() -> None:
    owners = assign(THREE)
    assert len(owners) == BUCKETS
    assert set(owners) == {0, 1, 2}


def test_adding_a_shard_takes_buckets_from_each_other_one_and_moves_none_between_them() -> None:
    before, after = names(THREE), names([*THREE, ShardSpec("d")])
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert {new for _, new in moved} == {"d"}
    assert {old for old, _ in moved} == {"a", "b", "c"}
    assert BUCKETS * 0.2 < len(moved) < BUCKETS * 0.3


def test_more_weight_only_takes_buckets() -> None:
    before, after = names(THREE), names([ShardSpec("a"), ShardSpec("b", 3), ShardSpec("c")])
    assert {new for old, new in zip(before, after, strict=True) if old != new} == {"b"}


def test_shares_follow_the_weights() -> None:
    count = Counter(names([ShardSpec("a", 1), ShardSpec("b", 2), ShardSpec("c", 5), ShardSpec("idle", 0)]))
    for name, weight in (("a", 1), ("b", 2), ("c", 5)):
        assert count[name] == pytest.approx(BUCKETS * weight / 8, rel=0.15)
    assert count["idle"] == 0


def test_the_order_of_the_shards_does_not_matter() -> None:
    assert names(THREE) == names(THREE[::-1])


def test_another_process_assigns_the_same() -> None:
    program = (
        "from shardproxy.topology.ring import *;"
        "print(assign([ShardSpec('a'), ShardSpec('b', 2)]).tobytes().hex())"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert answers == {assign([ShardSpec("a"), ShardSpec("b", 2)]).tobytes().hex()}


def test_an_assignment_made_once_stays_as_it_is() -> None:
    """A change of the ring's arithmetic would move the rows of everybody who upgrades."""
    owners = assign(THREE, vnodes=160)
    assert [owners[number] for number in range(0, BUCKETS, 1024)] == [
        1,
        1,
        2,
        1,
        0,
        2,
        1,
        2,
        1,
        2,
        1,
        1,
        0,
        0,
        1,
        2,
    ]


@pytest.mark.parametrize(
    ("shards", "vnodes"),
    [
        ([], 160),
        ([ShardSpec("a"), ShardSpec("a")], 160),
        ([ShardSpec("a", -1)], 160),
        ([ShardSpec("a", 0)], 160),
        (THREE, 0),
    ],
)
def test_a_ring_that_cannot_be_is_refused(shards: list[ShardSpec], vnodes: int) -> None:
    with pytest.raises(ConfigError):
        assign(shards, vnodes)

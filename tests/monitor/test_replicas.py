"""Reads are spread over the replicas in rotation, by weight and without bursts."""

from collections import Counter

from shardproxy.monitor.replicas import ReplicaSet
from shardproxy.monitor.servers import WatchedServer
from shardproxy.monitor.shard_health import RotationOptions, ShardHealth
from tests.monitor.test_shard_health import P, primary, replica, server


def rotation(*replicas: WatchedServer) -> tuple[ShardHealth, ReplicaSet]:
    health = ShardHealth("shard-a", (P, *replicas), RotationOptions())
    health.seen(P, primary(), 1.0)
    for each in replicas:
        health.seen(each, replica(), 1.0)
    return health, ReplicaSet(health)


def picks(replicas: ReplicaSet, times: int) -> str:
    return "".join(
        picked.address.host if picked else "-" for picked in (replicas.pick() for _ in range(times))
    )


def test_without_a_replica_nothing_is_picked() -> None:
    _, replicas = rotation()
    assert replicas.pick() is None


def test_equal_weights_take_turns() -> None:
    _, replicas = rotation(server("a"), server("b"), server("c"))
    assert picks(replicas, 7) == "abcabca"


def test_weights_are_kept_exactly_and_without_bursts() -> None:
    _, replicas = rotation(server("a", weight=5), server("b"), server("c"))
    order = picks(replicas, 70)
    assert Counter(order) == {"a": 50, "b": 10, "c": 10}
    assert "aaaaa" not in order


def test_weight_zero_gets_nothing() -> None:
    _, replicas = rotation(server("a", weight=0), server("b"))
    assert picks(replicas, 3) == "bbb"


def test_who_leaves_the_rotation_gets_no_further_read_and_comes_back() -> None:
    a, b = server("a"), server("b")
    health, replicas = rotation(a, b)
    assert picks(replicas, 2) == "ab"
    health.lost(a, "gone", 2.0)
    assert picks(replicas, 3) == "bbb"
    health.lost(b, "gone", 2.0)
    assert replicas.pick() is None
    health.seen(a, replica(), 3.0)
    assert picks(replicas, 2) == "aa"

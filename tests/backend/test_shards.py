"""Which replica answers next."""

from collections import Counter
from dataclasses import replace

from shardproxy.backend.pool import PoolOptions
from shardproxy.backend.server import Address, Login, SocketOptions
from shardproxy.backend.shards import BackendOptions, ServerSpec, Shard, Shards, ShardSpec
from shardproxy.counters import Counters
from tests.support import aio

LOGIN = Login("app", "shop")


def shard(*weights: int) -> Shard:
    spec = ShardSpec(
        "shard-a",
        ServerSpec(Address("127.0.0.1", 1), LOGIN),
        tuple(ServerSpec(Address("127.0.0.1", 2 + i), LOGIN, weight) for i, weight in enumerate(weights)),
    )
    return Shard(spec, BackendOptions(PoolOptions(), PoolOptions(), SocketOptions()), Counters(), None)


def ports(shard: Shard, turns: int) -> list[int]:
    return [replica.spec.address.port for _ in range(turns) if (replica := shard.replica()) is not None]


def test_replicas_take_turns_by_weight_and_not_in_bursts() -> None:
    async def main() -> None:
        turns = ports(shard(3, 1), 40)
        assert Counter(turns) == {2: 30, 3: 10}
        assert [3 in turns[i : i + 4] for i in range(0, 40, 4)] == [True] * 10

    aio.run(main())


def test_a_replica_out_of_rotation_or_without_weight_gets_nothing() -> None:
    async def main() -> None:
        some = shard(1, 1, 0)
        some.replicas[0].in_rotation = False
        assert set(ports(some, 10)) == {3}
        some.replicas[1].in_rotation = False
        assert some.replica() is None
        some.replicas[0].in_rotation = True
        assert set(ports(some, 10)) == {2}

    aio.run(main())


def test_a_shard_without_replicas_has_none() -> None:
    async def main() -> None:
        assert shard().replica() is None

    aio.run(main())


def test_what_any_shard_can_answer_goes_to_the_first_and_round_those_that_are_away() -> None:
    async def main() -> None:
        specs = [replace(shard().spec, name=name) for name in ("a", "b", "c", "d")]
        options = BackendOptions(PoolOptions(), PoolOptions(), SocketOptions())
        shards = Shards(specs, options, Counters(), None)
        assert shards.in_order(2) == [2, 0, 1, 3]
        shards[0].primary.in_rotation = False
        assert shards.in_order(2) == [2, 0, 1, 3]
        shards[2].primary.in_rotation = False
        assert shards.in_order(2) == [1, 3, 2, 0]

    aio.run(main())

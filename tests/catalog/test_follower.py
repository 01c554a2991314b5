"""Following the catalog: what is newer is taken, what is older never, and a replica does while the primary is away."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from shardproxy.backend.shards import ShardSpec
from shardproxy.catalog.follower import Follower
from shardproxy.catalog.sidecars import sidecars
from shardproxy.errors import ConfigError
from shardproxy.topology.shard_map import ShardMap
from tests.catalog.fenced import APP, Fenced
from tests.support.aio import run


class Taker:
    """Takes maps, and can be waited for."""

    def __init__(self) -> None:
        self.maps: list[ShardMap] = []
        self._news = asyncio.Event()

    def __call__(self, shard_map: ShardMap) -> None:
        self.maps.append(shard_map)
        self._news.set()

    async def until(self, condition: Callable[[ShardMap], bool]) -> ShardMap:
        async with asyncio.timeout(15):
            while not (self.maps and condition(self.maps[-1])):
                self._news.clear()
                await self._news.wait()
            return self.maps[-1]


@asynccontextmanager
async def following(fenced: Fenced, taker: Callable[[ShardMap], None]) -> AsyncIterator[Follower]:
    """A follower with the login of a sidecar."""
    primary, replica = fenced.server(fenced.primaries[0], APP), fenced.server(fenced.replica, APP)
    follower = Follower(ShardSpec("shard-a", primary, (replica,)), taker)
    follower.start()
    try:
        yield follower
    finally:
        await follower.stop()


def test_the_first_map_and_each_newer_one_is_taken_once(fenced: Fenced) -> None:
    async def main() -> None:
        taker = Taker()
        async with following(fenced, taker) as follower:
            assert (await taker.until(lambda _: True)).epoch == 1
            for _ in range(3):
                epoch = await fenced.publish(0)
                await taker.until(lambda shard_map, epoch=epoch: shard_map.epoch == epoch)
            assert [shard_map.epoch for shard_map in taker.maps] == [1, 2, 3, 4]
            assert follower.failure is None
            assert follower.answered is not None

    run(main())


def test_it_tells_who_it_is(fenced: Fenced) -> None:
    async def main() -> None:
        taker = Taker()
        async with following(fenced, taker), fenced.operator() as operator:
            await taker.until(lambda _: True)
            async with asyncio.timeout(10):
                while not (found := await sidecars(operator)):  # noqa: ASYNC110 - nothing announces it
                    await asyncio.sleep(0.01)
            assert [each.epoch for each in found] == [1]
        async with fenced.operator() as operator:
            assert await sidecars(operator) == []

    run(main())


def test_a_replica_is_followed_while_the_primary_is_away(fenced: Fenced) -> None:
    async def main() -> None:
        epoch = await fenced.publish(0)
        await asyncio.to_thread(fenced.replica.wait_for_replay, fenced.primaries[0])
        await asyncio.to_thread(fenced.primaries[0].stop)
        try:
            taker = Taker()
            async with following(fenced, taker):
                assert (await taker.until(lambda _: True)).epoch == epoch
                await asyncio.to_thread(fenced.primaries[0].start)
                newer = await fenced.publish(0)
                await taker.until(lambda shard_map: shard_map.epoch == newer)
        finally:
            await asyncio.to_thread(fenced.primaries[0].start)

    run(main())


def test_a_catalog_that_has_lost_an_epoch_does_not_take_it_back(
    fenced: Fenced, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        taker = Taker()
        async with following(fenced, taker) as follower, fenced.operator() as operator:
            lost = await fenced.publish(0)
            await taker.until(lambda shard_map: shard_map.epoch == lost)
            await operator.execute("DELETE FROM shardproxy.map WHERE epoch = $1", lost)
            await operator.execute("DELETE FROM shardproxy.map_copy")
            follower.hurry()
            async with asyncio.timeout(10):
                while "has lost epoch 2" not in caplog.text:  # noqa: ASYNC110 - nothing announces it
                    await asyncio.sleep(0.01)
            assert follower.epoch == lost
            newer = await fenced.publish(0)
            assert newer > lost
            await taker.until(lambda shard_map: shard_map.epoch == newer)

    run(main())


def test_a_map_that_cannot_be_taken_leaves_the_old_one_and_the_next_is_tried(fenced: Fenced) -> None:
    async def main() -> None:
        taker = Taker()

        def picky(shard_map: ShardMap) -> None:
            if shard_map.epoch == 2:
                raise ConfigError("not this one")
            taker(shard_map)

        async with following(fenced, picky) as follower:
            await taker.until(lambda _: True)
            await fenced.publish(0)
            third = await fenced.publish(0)
            await taker.until(lambda shard_map: shard_map.epoch == third)
            assert follower.epoch == third
            assert [shard_map.epoch for shard_map in taker.maps] == [1, 3]

    run(main())


def test_a_catalog_of_a_newer_version_is_not_read(fenced: Fenced) -> None:
    async def main() -> None:
        taker = Taker()
        async with following(fenced, taker) as follower, fenced.operator() as operator:
            await taker.until(lambda _: True)
            await operator.execute(
                "INSERT INTO shardproxy.map (epoch, document, why) VALUES (9, '{\"layout\": 99}', 'later')"
            )
            follower.hurry()
            async with asyncio.timeout(10):
                while "layout 99" not in str(follower.failure):  # noqa: ASYNC110 - nothing announces it
                    await asyncio.sleep(0.01)
            assert follower.epoch == 1

    run(main())

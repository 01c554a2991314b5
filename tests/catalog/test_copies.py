"""Copies of maps on the shards: put there after the publication, taken where the catalog has none, and put back."""

import asyncio
from dataclasses import replace

import pytest

from shardproxy.backend.server import Address
from shardproxy.backend.shards import ShardSpec
from shardproxy.catalog import install, maps
from shardproxy.catalog.copies import Copies
from shardproxy.catalog.follower import Follower
from shardproxy.catalog.install import RESTORE
from shardproxy.catalog.maps import MapLost, read_copy
from tests.catalog.fenced import APP, Fenced, first_map
from tests.catalog.test_follower import Taker
from tests.support.aio import run
from tests.topology.maps import same


async def copy_on(fenced: Fenced, shard: int) -> int | None:
    async with fenced.operator(shard) as operator:
        found = await read_copy(operator)
        return None if found is None else found.epoch


def sidecar_specs(fenced: Fenced) -> list[ShardSpec]:
    """Both shards as a sidecar logs in there; the catalog's first, where nobody answers."""
    a, b = (fenced.server(each, APP) for each in fenced.primaries)
    return [ShardSpec("shard-a", replace(a, address=Address("127.0.0.1", 1))), ShardSpec("shard-b", b)]


def test_the_concerned_shards_get_copies(fenced: Fenced) -> None:
    async def main() -> None:
        assert await copy_on(fenced, 1) is None
        assert await fenced.publish(1) == 2
        assert [await copy_on(fenced, shard) for shard in (0, 1)] == [None, 2]
        assert await fenced.publish(0, 1) == 3
        assert [await copy_on(fenced, shard) for shard in (0, 1)] == [3, 3]
        async with fenced.operator() as catalog, fenced.app(1) as app:
            found = await read_copy(app)
            assert found is not None
            assert same(found, await maps.read(catalog))

    run(main())


def test_a_copy_that_cannot_be_put_does_not_undo_the_publication(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator(1) as operator, operator.transaction():
            await operator.execute(
                "LOCK TABLE shardproxy.map_copy IN EXCLUSIVE MODE"
            )  # as long as this block
            assert await fenced.publish(1) == 2
        assert await copy_on(fenced, 1) is None

    run(main())


def test_who_wants_a_newer_map_gets_the_copy_while_the_catalog_is_away(fenced: Fenced) -> None:
    async def main() -> None:
        epoch = await fenced.publish(0, 1)
        taker = Taker()
        catalog, other = sidecar_specs(fenced)
        follower = Follower(catalog, taker)
        copies = Copies(follower)
        follower.start()
        try:
            copies.want([other])
            assert (await taker.until(lambda _: True)).epoch == epoch
            assert follower.epoch == epoch
            newer = await fenced.publish(1)
            copies.want([other])
            await taker.until(lambda shard_map: shard_map.epoch == newer)
        finally:
            await copies.stop()
            await follower.stop()

    run(main())


def test_a_catalog_that_lost_a_map_publishes_nothing_until_init_has_put_it_back(fenced: Fenced) -> None:
    async def main() -> None:
        assert await fenced.publish(1) == 2
        async with fenced.operator() as catalog:
            lost = await maps.read(catalog)
            await catalog.execute("DELETE FROM shardproxy.map WHERE epoch = 2")
            with pytest.raises(MapLost, match="shard shard-b has a copy of that of epoch 2"):
                await fenced.publish(0, 1)
            assert await maps.newest_epoch(catalog) == 1
            plan = await install.plan(fenced.targets, "shard-a")
            assert [(step.shard, step.what) for step in plan.steps] == [("shard-a", RESTORE)]
            assert str(plan.steps[0]) == "shard-a: put back the map of epoch 2, which the catalog has lost"
            await install.install(plan, fenced.targets, first_map())
            assert same(await maps.read(catalog), lost)
            assert (await install.plan(fenced.targets, "shard-a")).steps == ()
        assert await fenced.publish(0, 1) == 3

    run(main())


def test_whoever_starts_with_a_catalog_that_lost_a_map_takes_the_copy_and_says_so(
    fenced: Fenced, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        assert await fenced.publish(1) == 2
        async with fenced.operator() as catalog:
            await catalog.execute("DELETE FROM shardproxy.map WHERE epoch = 2")
        taker = Taker()
        shards = [
            ShardSpec(name, fenced.server(each, APP))
            for name, each in zip(("shard-a", "shard-b"), fenced.primaries, strict=True)
        ]
        follower = Follower(shards[0], taker)
        follower.start()
        try:
            await taker.until(lambda shard_map: shard_map.epoch == 1)
            async with asyncio.timeout(10):
                await Copies(follower).compare(shards)
            assert taker.maps[-1].epoch == follower.epoch == 2
            assert "the catalog has lost epoch 2: its newest is 1" in caplog.text
        finally:
            await follower.stop()

    run(main())

"""Publishing maps: one number each, one winner of a race, and the shards hear of it first."""

import asyncio

import asyncpg
import pytest

from shardproxy.catalog import maps
from shardproxy.errors import ShardproxyError
from tests.catalog.fenced import Fenced, first_map, placed, until
from tests.support.aio import run
from tests.topology.maps import same


def test_the_installed_map_is_the_first(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator() as catalog:
            shard_map = await maps.read(catalog)
            assert shard_map.epoch == 1
            assert shard_map.shard_epochs == (1, 1)
            assert shard_map.owners == first_map().owners
            assert [entry.why for entry in await maps.history(catalog)] == ["shardproxy init"]

    run(main())


def test_a_published_map_is_in_force_and_only_concerned_shards_change_their_epoch(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator() as catalog, fenced.operator(1) as b:
            published = await maps.publish(
                catalog, lambda old: placed(old, "acme", 1), "acme lives on shard-b", {"shard-b": b}
            )
            assert (published.epoch, published.shard_epochs) == (2, (1, 2))
            assert same(await maps.read(catalog), published)
            assert await maps.newest_epoch(catalog) == 2
            assert await b.fetchval("SELECT newest_epoch FROM shardproxy.shard") == 2
            assert await catalog.fetchval("SELECT newest_epoch FROM shardproxy.shard") == 1

    run(main())


def test_whoever_listens_hears_of_it(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.app() as follower:
            heard: asyncio.Queue[str] = asyncio.Queue()
            await follower.add_listener(maps.CHANNEL, lambda *told: heard.put_nowait(told[3]))
            epoch = await fenced.publish(0)
            assert await heard.get() == str(epoch)

    run(main())


def test_of_two_publishers_that_stand_on_one_map_one_wins_and_the_other_is_told(fenced: Fenced) -> None:
    async def attempt(tenant: str) -> int:
        async with fenced.operator() as catalog, fenced.operator(0) as a, fenced.operator(1) as b:
            concerned = {"shard-a": a, "shard-b": b}
            published = await maps.publish(
                catalog, lambda old: placed(old, tenant, 1), tenant, concerned, base=1
            )
            return published.epoch

    async def main() -> None:
        outcomes = await asyncio.gather(
            *(attempt(f"tenant-{number}") for number in range(6)), return_exceptions=True
        )
        won = [outcome for outcome in outcomes if isinstance(outcome, int)]
        lost = [outcome for outcome in outcomes if isinstance(outcome, maps.MapChanged)]
        assert (len(won), len(lost)) == (1, 5)
        async with fenced.operator() as catalog:
            assert len((await maps.read(catalog)).placements) == 1

    run(main())


def test_changes_that_stand_on_nothing_are_all_made_one_after_the_other(fenced: Fenced) -> None:
    async def attempt(tenant: str) -> int:
        async with fenced.operator() as catalog, fenced.operator(0) as a:
            change = await maps.publish(catalog, lambda old: placed(old, tenant, 1), tenant, {"shard-a": a})
            return change.epoch

    async def main() -> None:
        epochs = await asyncio.gather(*(attempt(f"tenant-{number}") for number in range(6)))
        assert sorted(epochs) == [2, 3, 4, 5, 6, 7]
        async with fenced.operator() as catalog:
            assert len((await maps.read(catalog)).placements) == 6

    run(main())


def test_a_number_that_a_shard_has_heard_of_is_not_used_again(fenced: Fenced) -> None:
    """A publisher died between telling the shards and the catalog: a replica may know its number already."""

    async def main() -> None:
        async with fenced.operator(1) as b:
            await b.execute("UPDATE shardproxy.shard SET newest_epoch = 2")
        assert await fenced.publish(1) == 3
        assert await fenced.publish(0) == 4

    run(main())


def test_a_publisher_that_came_between_makes_the_number_a_newer_one(fenced: Fenced) -> None:
    """Its lock on the catalog is gone, and it still tells a shard."""

    async def main() -> None:
        async with fenced.operator() as catalog, fenced.operator(1) as b, fenced.operator(1) as other:
            async with other.transaction():
                await other.execute("UPDATE shardproxy.shard SET newest_epoch = 2")
                publishing = asyncio.create_task(
                    maps.publish(catalog, lambda old: old, "later", {"shard-b": b})
                )
                waits = (
                    "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid')"
                )
                await until(lambda: other.fetchval(waits))
            assert (await publishing).epoch == 3

    run(main())


def test_a_change_that_fails_publishes_nothing(fenced: Fenced) -> None:
    def change(_: object) -> object:
        raise ShardproxyError("no")

    async def main() -> None:
        async with fenced.operator() as catalog, fenced.operator(1) as b:
            with pytest.raises(ShardproxyError, match="no"):
                await maps.publish(catalog, change, "no", {"shard-b": b})  # type: ignore[arg-type]
            assert await maps.newest_epoch(catalog) == 1

    run(main())


def test_the_sidecars_role_reads_and_does_not_publish(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.app() as app:
            assert (await maps.read(app)).epoch == 1
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await maps.publish(app, lambda old: old, "mine", {})

    run(main())

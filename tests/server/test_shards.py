"""Shards that come and go while clients are connected, and files that have others than the map."""

import asyncio
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import asyncpg
import pytest

from shardproxy.catalog import maps
from shardproxy.catalog.journal import Keys
from shardproxy.catalog.sidecars import sidecars as sidecars_of
from shardproxy.demo.postgres import Install, Run
from shardproxy.rebalance import membership
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.obstacles import Obstructed
from shardproxy.rebalance.options import MoveOptions
from shardproxy.topology.numbering import renumbered
from shardproxy.topology.shard_map import ShardMap
from tests.server.load import loads
from tests.support import rest
from tests.support.aio import run
from tests.support.growing import NEW, Growing
from tests.support.proxy import Proxy

ABC = ("shard-a", "shard-b", "shard-c")
QUICK = MoveOptions(grace=1.0, patience=30.0)
COUNT = "SELECT count(*) FROM orders WHERE tenant_id = $1"
PER_TENANT = "SELECT tenant_id, count(*) FROM orders GROUP BY tenant_id"


@pytest.fixture
def growing(install: Install) -> Iterator[Growing]:
    with Run(install) as run:
        yield Growing.start(run, settings={"wal_level": "logical"})


def epoch(proxy: Proxy) -> float:
    return rest.metric(proxy, "shardproxy_map_epoch")


def reload(proxy: Proxy, config: dict[str, object], expect: str = r"\breloaded") -> str:
    """SIGHUP with another file; what was logged."""
    proxy.config = {**proxy.config, **config}
    proxy.write_config()
    offset = len(proxy.log)
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log(expect, after=offset)
    return proxy.log[offset:]


async def followed(proxy: Proxy, shard_map: ShardMap) -> None:
    await asyncio.to_thread(rest.wait_until, lambda: epoch(proxy) == shard_map.epoch, "the map is followed")


def test_a_shard_is_added_used_and_removed_under_load(growing: Growing) -> None:
    tenants = [growing.installed.cluster.tenants_of(shard)[0] for shard in range(3)]
    with Proxy(growing.config(*ABC, pool={"size": 4})) as proxy:

        async def main() -> None:
            async with loads(proxy.dsn(), tenants) as each, growing.installed.operator() as catalog:
                with pytest.raises(Obstructed) as obstructed:
                    await growing.add()
                (obstacle,) = obstructed.value.obstacles
                assert obstacle.what.endswith(f"with pid {proxy.pid} does not know {NEW}")
                log = await asyncio.to_thread(reload, proxy, growing.config())
                assert "needs a restart" not in log
                await asyncio.to_thread(
                    rest.wait_until,
                    lambda: run_in_thread(knows(growing)) == {*ABC, NEW},
                    "the catalog knows what the sidecar knows",
                )
                added = await growing.add(weight=2)
                shard_map = await maps.read(catalog)
                assert (shard_map.epoch, shard_map.shards) == (added.epoch, (*ABC, NEW))
                assert shard_map.weights[-1] == 2
                assert 3 not in shard_map.owners
                await followed(proxy, shard_map)
                await rebalance.move(growing.installation, Keys("tenant", (tenants[1],)), NEW, QUICK)
                began = time.monotonic()
                for load in each:
                    await load.until(lambda load=load: load.succeeded_since(began) > 20)
                assert int(growing.query(f"SELECT count(*) FROM orders WHERE tenant_id = '{tenants[1]}'")) > 0
                client = await asyncpg.connect(proxy.dsn())
                totals = dict(await client.fetch(PER_TENANT))
                with pytest.raises(Obstructed, match="cannot be removed"):
                    await membership.remove(growing.installation, NEW)
                await rebalance.move(growing.installation, Keys("tenant", (tenants[1],)), "shard-b", QUICK)
                removed = await membership.remove(growing.installation, NEW, grace=5)
                await followed(proxy, replace(shard_map, epoch=removed.epoch or 0))
                assert growing.query("SELECT count(*) FROM pg_namespace WHERE nspname = 'shardproxy'") == "0"
                began = time.monotonic()
                for load in each:
                    await load.until(lambda load=load: load.succeeded_since(began) > 20)
                assert dict(await client.fetch(PER_TENANT)) == totals
                await client.close()
                log = await asyncio.to_thread(reload, proxy, growing.config(*ABC))
                assert [load.errors for load in each] == [[]] * 3

        run(main(), timeout=120)
        assert not rest.samples(proxy, "shardproxy_pool_connections") or all(
            labels["shard"] != NEW for labels, _ in rest.samples(proxy, "shardproxy_pool_connections")
        )


def run_in_thread(work: "asyncio.Future[object] | object") -> object:
    return asyncio.run(work)  # type: ignore[arg-type]


async def knows(growing: Growing) -> set[str]:
    """What the one sidecar has told that it knows."""
    async with growing.installed.operator() as catalog:
        (found,) = await sidecars_of(catalog)
        return set(found.shards or ())


def test_a_map_that_lists_a_shard_which_the_file_lacks_is_followed_without_it(growing: Growing) -> None:
    """As with a sidecar that could not be seen when the shard was added."""
    there, here = growing.installed.cluster.tenants_of(1)[:2]
    with Proxy(growing.config(*ABC)) as proxy:

        async def main() -> None:
            async with growing.installed.operator() as catalog:
                client = await asyncpg.connect(proxy.dsn())
                totals = dict(await client.fetch(PER_TENANT))
                await catalog.execute("DELETE FROM shardproxy.sidecar")
                await growing.add()
                added = await maps.read(catalog)
                await followed(proxy, added)
                assert f"the map lists shards that the configuration does not ({NEW})" in proxy.log
                await rebalance.move(growing.installation, Keys("tenant", (there,)), NEW, QUICK)
                for sql, values in ((COUNT, (there,)), (PER_TENANT, ())):
                    with pytest.raises(asyncpg.CannotConnectNowError, match=f'shard "{NEW}" is in the map'):
                        await client.fetch(sql, *values)
                assert await client.fetchval(COUNT, here) == totals[here]
                assert await client.fetchval("SELECT count(*) FROM currencies") > 0
                await asyncio.to_thread(reload, proxy, growing.config())
                assert await client.fetchval(COUNT, there) == totals[there]
                assert dict(await client.fetch(PER_TENANT)) == totals
                await client.close()

        run(main(), timeout=60)


def test_a_shard_that_the_map_does_not_list_is_not_used(growing: Growing) -> None:
    with Proxy(growing.config(NEW, *reversed(ABC))) as proxy:
        assert f"not in the catalog yet, and not used: {NEW}" in proxy.log

        async def main() -> None:
            client = await asyncpg.connect(proxy.dsn())
            assert await client.fetchval("SHOW shardproxy.shards") == ", ".join(ABC)
            for tenant in growing.installed.cluster.tenants_of(2):
                assert await client.fetchval(COUNT, tenant) > 0
            assert len(await client.fetch(PER_TENANT)) > 10
            await client.close()

        run(main())
        assert growing.query(rest.SERVING.replace("SELECT pid, state, client_port", "SELECT count(*)")) == "0"
        asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'shardproxy %'"
        assert growing.query(asked) == "0"


def test_sessions_know_their_shard_whatever_the_order_in_the_map(growing: Growing) -> None:
    """A map that lists shards in another order does not lead an open transaction elsewhere."""
    tenants = [growing.installed.cluster.tenants_of(shard)[0] for shard in range(3)]

    def turned(old: ShardMap) -> ShardMap:
        return renumbered(old, (*old.shards[1:], old.shards[0]))

    with Proxy(growing.config(*ABC)) as proxy:

        async def main() -> None:
            async with loads(proxy.dsn(), tenants) as each:
                clients = [await asyncpg.connect(proxy.dsn()) for _ in tenants]
                counts = [
                    await client.fetchval(COUNT, tenant)
                    for client, tenant in zip(clients, tenants, strict=True)
                ]
                for _ in range(3):
                    for client, tenant in zip(clients, tenants, strict=True):
                        await client.execute(f"BEGIN; SELECT FROM orders WHERE tenant_id = '{tenant}'")
                    published = await growing.installed.publish(turned, 0, 1, 2)
                    await followed(proxy, published)
                    for client, tenant, count in zip(clients, tenants, counts, strict=True):
                        assert await client.fetchval(COUNT, tenant) == count
                        await client.execute("COMMIT")
                        assert await client.fetchval(COUNT, tenant) == count
                assert [load.errors for load in each] == [[]] * 3
                for client in clients:
                    await client.close()

        run(main(), timeout=60)


def test_an_installation_of_a_newer_version_is_refused(growing: Growing) -> None:
    growing.installed.cluster.shards[1].primary.query(
        "UPDATE shardproxy.shard SET version = 99", dbname="shop"
    )
    proxy = Proxy(growing.config(*ABC))
    try:
        proxy.launch()
        assert proxy.process is not None
        assert proxy.process.wait(20) == 1
        assert "the installation is of version 99, and this shardproxy knows none after" in proxy.log
    finally:
        proxy.kill()
        proxy.directory.cleanup()

"""The catalog's server fails over to its replica: sidecars and a move in progress go on, and nothing is forgotten."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest

from shardproxy.backend.server import Address
from shardproxy.backend.shards import ServerSpec
from shardproxy.catalog import maps
from shardproxy.catalog.connect import connect
from shardproxy.catalog.journal import Keys
from shardproxy.catalog.maps import MapLost
from shardproxy.demo.postgres import Install, Run
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.progress import Progress
from tests.server.truth import Client, Truth, living
from tests.support import cluster as clusters
from tests.support import rest
from tests.support.aio import run
from tests.support.installed import Installed, unchanged
from tests.support.proxy import Proxy
from tests.support.relay import Relay

OPTIONS = MoveOptions(grace=1.0, patience=30.0)


@pytest.fixture
def installed(install: Install) -> Iterator[Installed]:
    with Run(install) as run:
        yield Installed.make(clusters.start(run, replicas=1, checks=False, settings={"wal_level": "logical"}))


def behind(installed: Installed, relay: Relay) -> Installation:
    """As an operator sees it whose address of the catalog follows the failover."""
    specs = {spec.name: spec for spec in installed.specs}
    primary = replace(specs["shard-a"].primary, address=Address("127.0.0.1", relay.port))
    return Installation(specs | {"shard-a": replace(specs["shard-a"], primary=primary)}, "shard-a")


def test_sidecars_and_a_move_in_progress_go_on(installed: Installed) -> None:
    truth = Truth(installed.cluster.tenants_of(1)[0])
    catalog = installed.cluster.shards[0]
    failed_over: list[float] = []
    with Relay(catalog.primary.port) as relay, Proxy(installed.config()) as proxy:

        def fail_over(progress: Progress) -> None:
            if progress.step == "copy" and progress.begins and not failed_over:
                catalog.replicas[0].wait_for_replay(catalog.primary)
                catalog.primary.kill()
                catalog.replicas[0].promote()
                relay.to = ("127.0.0.1", catalog.replicas[0].port)
                failed_over.append(time.monotonic())

        async def main() -> None:
            client = Client(proxy.dsn(), truth)
            async with living(client):
                what = Keys("tenant", (truth.tenant,))
                [outcome] = await rebalance.move(
                    behind(installed, relay), what, "shard-c", OPTIONS, fail_over
                )
                assert outcome.state == "done"
                assert failed_over
                await client.turns(50)
                assert client.states == []
                assert truth.wrong == []

        run(main(), timeout=90)
        assert rest.metric(proxy, "shardproxy_catalog_age_seconds") < 5
    on_target = installed.cluster.shards[2].primary.query(
        f"SELECT count(*) FROM coupons WHERE tenant_id = '{truth.tenant}' AND code LIKE 'truth-%'",
        dbname="shop",
    )
    assert int(on_target) >= len(truth.acknowledged)


def test_a_replica_that_lacks_the_newest_map_is_not_believed(installed: Installed) -> None:
    catalog = installed.cluster.shards[0]
    replica = catalog.replicas[0]

    def fail_over() -> None:
        catalog.primary.kill()
        replica.start()
        replica.promote()

    with Relay(catalog.primary.port) as relay, Proxy(installed.config()) as running:

        async def main() -> None:
            await asyncio.to_thread(replica.stop)
            lost = await installed.publish(unchanged, 1)
            await asyncio.to_thread(
                rest.wait_until, lambda: epoch(running) == lost.epoch, "the map is followed"
            )
            await asyncio.to_thread(fail_over)
            relay.to = ("127.0.0.1", replica.port)
            said = rf"the catalog has lost epoch {lost.epoch}: its newest is {lost.epoch - 1}"
            await asyncio.to_thread(running.wait_for_log, said)
            with Proxy(installed.config()) as later:
                later.wait_for_log(said)
                assert epoch(later) == epoch(running) == lost.epoch
            specs = behind(installed, relay).shards
            async with (
                connected(specs["shard-a"].primary) as promoted,
                installed.operator(1) as shard,
            ):
                with pytest.raises(MapLost):
                    await maps.publish(promoted, unchanged, "a test", {"shard-b": shard})

        run(main(), timeout=90)


def epoch(proxy: Proxy) -> float:
    return rest.metric(proxy, "shardproxy_map_epoch")


@asynccontextmanager
async def connected(server: ServerSpec) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(server, "operator")
    try:
        yield connection
    finally:
        connection.terminate()

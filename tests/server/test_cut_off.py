"""Sidecars that cannot reach the catalog, or slept, while a tenant moved: nothing is written or read where it was."""

import signal
import time
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from shardproxy.catalog.journal import Keys
from shardproxy.demo.cluster import DATABASE
from shardproxy.demo.postgres import Install, Run
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.options import MoveOptions
from tests.server.truth import CODES, Client, Truth, living
from tests.support import cluster as clusters
from tests.support import rest
from tests.support.aio import run
from tests.support.installed import Installed
from tests.support.proxy import Proxy
from tests.support.relay import Relay

QUICK = MoveOptions(grace=1.0, patience=30.0)
RECOVERY = 1.0
"""Seconds in which a sidecar works again."""


@pytest.fixture(scope="module")
def installed(install: Install) -> Iterator[Installed]:
    with Run(install) as run:
        yield Installed.make(clusters.start(run, checks=False, settings={"wal_level": "logical"}))


async def move(installed: Installed, tenant: str, target: str) -> None:
    specs = {spec.name: spec for spec in installed.specs}
    await rebalance.move(Installation(specs, "shard-a"), Keys("tenant", (tenant,)), target, QUICK)


def codes_on(installed: Installed, shard: int, tenant: str) -> set[str]:
    """What is on a shard itself."""
    said = installed.cluster.shards[shard].primary.query(CODES.replace("$1", f"'{tenant}'"), dbname=DATABASE)
    return set(said.split())


def check(installed: Installed, truth: Truth, *, source: int, target: int) -> None:
    """All that was acknowledged is on the target, and nothing is on the source."""
    assert truth.wrong == []
    assert truth.acknowledged <= codes_on(installed, target, truth.tenant)
    assert codes_on(installed, source, truth.tenant) == set()
    assert len(truth.acknowledged) > 100


def through(installed: Installed, relay: Relay) -> dict[str, Any]:
    """A configuration that has the catalog's server behind the relay."""
    config = installed.config(pool={"size": 4})
    config["shards"][0]["primary"] = f"127.0.0.1:{relay.port}"
    return config


@pytest.mark.parametrize("how", ["refused", "hanging"])
def test_a_sidecar_that_is_cut_off_from_the_catalog_recovers_by_the_shards_copies(
    installed: Installed, how: str
) -> None:
    source, target = (1, 2) if how == "refused" else (2, 1)
    truth = Truth(installed.cluster.tenants_of(1)[0])
    with (
        Relay(installed.cluster.shards[0].primary.port) as relay,
        Proxy(through(installed, relay)) as cut_off,
        Proxy(installed.config(pool={"size": 4})) as healthy,
    ):

        async def main() -> None:
            mine, other = Client(cut_off.dsn(), truth), Client(healthy.dsn(), truth)
            async with living(mine, other):
                if how == "hanging":
                    relay.hanging = True
                else:
                    relay.stop()
                began = time.monotonic()
                await move(installed, truth.tenant, f"shard-{'abc'[target]}")
                await mine.turns(50)
                await other.turns(50)
                assert mine.longest_gap(began) < RECOVERY
                assert other.longest_gap(began) < RECOVERY
                assert "has a copy of a newer map" in cut_off.log

        run(main(), timeout=60)
    check(installed, truth, source=source, target=target)


def test_a_sidecar_that_slept_across_a_whole_move_recovers_at_once(installed: Installed) -> None:
    truth = Truth(installed.cluster.tenants_of(1)[1])
    with Proxy(installed.config(pool={"size": 4})) as asleep, Proxy(installed.config()) as awake:

        async def main() -> None:
            mine, other = Client(asleep.dsn(), truth), Client(awake.dsn(), truth)
            async with living(mine, other):
                asleep.signal(signal.SIGSTOP)
                try:
                    await move(installed, truth.tenant, "shard-c")
                    await other.turns(50)
                finally:
                    asleep.signal(signal.SIGCONT)
                continued = time.monotonic()
                await mine.turns(50)
                assert mine.longest_gap(continued) < RECOVERY
                newest = rest.metric(awake, "shardproxy_map_epoch")
                assert rest.metric(asleep, "shardproxy_map_epoch") == newest

        run(main(), timeout=60)
    check(installed, truth, source=1, target=2)


def test_a_sidecar_that_slept_in_the_middle_of_transactions_commits_nothing_on_the_source(
    installed: Installed,
) -> None:
    """What it had begun is ended by the servers, and it says so; nothing of it is anywhere."""
    truth = Truth(installed.cluster.tenants_of(1)[2])
    with Proxy(installed.config(pool={"size": 4})) as asleep:

        async def main() -> None:
            client = await asyncpg.connect(asleep.dsn())
            await client.execute("BEGIN")
            await client.execute(
                "INSERT INTO coupons (tenant_id, code, percent) VALUES ($1, 'truth-open', 5)", truth.tenant
            )
            asleep.signal(signal.SIGSTOP)
            try:
                await move(installed, truth.tenant, "shard-c")
            finally:
                asleep.signal(signal.SIGCONT)
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
                await client.execute("COMMIT")
            client.terminate()
            fresh = await asyncpg.connect(asleep.dsn())
            began = time.monotonic()
            assert await fresh.fetch(CODES, truth.tenant) == []
            assert time.monotonic() - began < RECOVERY
            await fresh.close()

        run(main(), timeout=60)
    assert codes_on(installed, 1, truth.tenant) == codes_on(installed, 2, truth.tenant) == set()

"""Tenants move to and fro between shards while applications work on them, and nobody can tell."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from random import Random

import pytest

from shardproxy.backend.server import Address, Login
from shardproxy.backend.shards import ServerSpec, ShardSpec
from shardproxy.catalog import install
from shardproxy.catalog.journal import Keys
from shardproxy.demo.cluster import APP_USER, DATABASE
from shardproxy.demo.postgres import Install, Run, Server
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.move import Outcome
from shardproxy.rebalance.options import MoveOptions
from shardproxy.secret import Secret
from tests.histories import runner
from tests.histories import shards as clusters
from tests.histories.runner import Plan, Progress
from tests.histories.shards import OPERATOR, OPERATOR_PASSWORD, TABLES, TENANTS, Shards
from tests.support import aio, chaos
from tests.support.proxy import Proxy

LONGEST_PAUSE = 2.0
"""Seconds that a cut-over may take on a machine that does everything else besides."""


@dataclass(frozen=True)
class Installed:
    """Shards with fences and a catalog on the first, and the sidecars in front of them."""

    shards: Shards
    sidecars: Sequence[Proxy]

    @property
    def installation(self) -> Installation:
        """As an operator sees it."""
        return Installation(
            {shard.name: spec(shard.name, shard.primary) for shard in self.shards.shards}, "shard-a"
        )

    def names(self) -> tuple[str, ...]:
        """The shards."""
        return tuple(shard.name for shard in self.shards.shards)

    def left_behind(self) -> dict[str, str]:
        """What moves may not leave, by shard: slots, publications, subscriptions, states, markers."""
        found = {}
        for shard in self.shards.shards:
            rows = shard.primary.query(
                "SELECT slot_name FROM pg_replication_slots UNION ALL SELECT pubname FROM pg_publication "
                "UNION ALL SELECT subname FROM pg_subscription UNION ALL SELECT 'marker' FROM shardproxy.marker "
                "UNION ALL SELECT 'moving' FROM shardproxy.moving UNION ALL SELECT gid FROM pg_prepared_xacts",
                dbname=DATABASE,
            )
            if rows:
                found[shard.name] = rows
        return found


def spec(name: str, server: Server) -> ShardSpec:
    login = Login(OPERATOR, DATABASE, Secret(OPERATOR_PASSWORD))
    return ShardSpec(name, ServerSpec(Address("127.0.0.1", server.port), login))


@pytest.fixture(scope="module")
def installed(install: Install) -> Iterator[Installed]:
    with Run(install) as run:
        shards = clusters.start(run)
        aio.run(_install(shards))
        with shards.sidecars(2) as sidecars:
            yield Installed(shards, sidecars)


async def _install(shards: Shards) -> None:
    targets = [
        install.Target(shard.name, spec(shard.name, shard.primary).primary, APP_USER)
        for shard in shards.shards
    ]
    await install.install(await install.plan(targets, "shard-a"), targets, shards.map)


class ToAndFro:
    """A disturbance: ``times`` moves of some tenants to the next shard, one after the other."""

    def __init__(self, installed: Installed, random: Random, times: int) -> None:
        self.installed = installed
        self.random = random
        self.times = times
        self.at = {tenant: installed.shards.owner(tenant) for tenant in TENANTS}
        self.outcomes: list[Outcome] = []

    async def __call__(self, progress: Progress) -> None:
        names = self.installed.names()
        for first in [tenant for tenant, _ in zip(cycle(TENANTS), range(self.times), strict=False)]:
            await progress.more(20)
            beside = [t for t in TENANTS if self.at[t] == self.at[first] and self.random.random() < 0.3]
            tenants = sorted({first, *beside})
            target = (self.at[first] + self.random.randint(1, 2)) % len(names)
            self.outcomes += await rebalance.move(
                self.installed.installation,
                Keys("tenant", tuple(tenants)),
                names[target],
                MoveOptions(grace=20.0),
            )
            self.at |= dict.fromkeys(tenants, target)


@pytest.mark.chaos
def test_nobody_can_tell_that_tenants_move(installed: Installed) -> None:
    for seed in chaos.rounds():
        installed.shards.clear()
        moves = ToAndFro(installed, Random(seed), 12)
        plan = Plan(TENANTS, transactions=2_000, seed=seed, limit=120)
        report = aio.run(
            runner.run([sidecar.dsn() for sidecar in installed.sidecars], plan, moves), timeout=180
        )
        assert report.anomalies == [], (seed, report)
        assert not report.errors, (seed, report)
        assert len(moves.outcomes) >= 12
        assert max(outcome.pause or 0 for outcome in moves.outcomes) < LONGEST_PAUSE
        assert installed.left_behind() == {}
        for tenant in TENANTS:
            held = installed.shards.holders(tenant)
            assert {tuple(held[table]) for table in TABLES} <= {(moves.at[tenant],), ()}, (seed, tenant, held)

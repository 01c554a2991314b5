"""Tenants move to and fro between shards while applications work on them, and nobody can tell."""

from collections.abc import Iterator
from itertools import cycle
from random import Random

import pytest

from shardproxy.catalog.journal import Keys
from shardproxy.demo.postgres import Install, Run
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.move import Outcome
from shardproxy.rebalance.options import MoveOptions
from shardproxy.topology.keys import KeyFamily
from tests.histories import runner
from tests.histories.installed import Installed
from tests.histories.installed import installed as start
from tests.histories.runner import Plan, Progress
from tests.histories.shards import TABLES, TENANTS
from tests.support import aio, chaos

LONGEST_PAUSE = 2.0
"""Seconds that a cut-over may take on a machine that does everything else besides."""


@pytest.fixture(scope="module")
def installed(install: Install) -> Iterator[Installed]:
    with Run(install) as run, start(run) as installed:
        yield installed


class ToAndFro:
    """A disturbance: ``times`` moves of some tenants to another shard, one after the other; every fourth is
    offline.
    """

    def __init__(self, installed: Installed, random: Random, times: int) -> None:
        self.installed = installed
        self.random = random
        self.times = times
        self.at = {tenant: installed.shards.owner(tenant) for tenant in TENANTS}
        self.outcomes: list[Outcome] = []

    async def __call__(self, progress: Progress) -> None:
        names = self.installed.names()
        for number, first in zip(range(self.times), cycle(TENANTS), strict=False):
            await progress.more(20)
            beside = [t for t in TENANTS if self.at[t] == self.at[first] and self.random.random() < 0.3]
            tenants = sorted({first, *beside})
            target = (self.at[first] + self.random.randint(1, 2)) % len(names)
            self.outcomes += await rebalance.move(
                self.installed.installation,
                Keys("tenant", tuple(tenants)),
                names[target],
                MoveOptions(grace=20.0, offline=number % 4 == 3),
            )
            self.at |= dict.fromkeys(tenants, target)


@pytest.mark.chaos
@pytest.mark.timeout(300)
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
        held = installed.shards.holders()
        for table in TABLES:
            for tenant in TENANTS:
                assert held.get((table, tenant), []) in ([moves.at[tenant]], []), (seed, table, tenant)


class AwayAndBack:
    """A disturbance: ``times`` moves of a tenant that are rolled back while it is used on the other shard."""

    def __init__(self, installed: Installed, times: int) -> None:
        self.installed = installed
        self.times = times
        shard_map = installed.map()
        self.home = {t: shard_map.owner("tenant", KeyFamily.TEXT, t.encode()) for t in TENANTS}
        self.outcomes: list[Outcome] = []

    async def __call__(self, progress: Progress) -> None:
        names = self.installed.names()
        options = MoveOptions(grace=20.0, rollback_window=3600.0)
        for tenant, _ in zip(cycle(TENANTS), range(self.times), strict=False):
            await progress.more(20)
            target = names[(self.home[tenant] + 1) % len(names)]
            what = Keys("tenant", (tenant,))
            [moved] = await rebalance.move(self.installed.installation, what, target, options)
            await progress.more(40)
            back = await rebalance.roll_back(self.installed.installation, moved.number)
            self.outcomes += [moved, back]


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_nobody_can_tell_that_moves_are_rolled_back(installed: Installed) -> None:
    for seed in chaos.rounds():
        installed.shards.clear()
        moves = AwayAndBack(installed, 5)
        plan = Plan(TENANTS, transactions=1_500, seed=seed, limit=120)
        report = aio.run(
            runner.run([sidecar.dsn() for sidecar in installed.sidecars], plan, moves), timeout=180
        )
        assert report.anomalies == [], (seed, report)
        assert not report.errors, (seed, report)
        assert [outcome.verified for outcome in moves.outcomes] == ["exact"] * 10
        assert max(outcome.pause or 0 for outcome in moves.outcomes) < LONGEST_PAUSE
        assert installed.left_behind() == {}
        held = installed.shards.holders()
        for table in TABLES:
            for tenant in TENANTS:
                assert held.get((table, tenant), []) in ([moves.home[tenant]], []), (seed, table, tenant)

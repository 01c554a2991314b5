"""A shard is drained, and added to three others, while applications work on every tenant, and nobody can tell."""

from collections.abc import Iterator

import pytest

from shardproxy.demo.postgres import Install, Run
from shardproxy.rebalance.aims import set_weight
from shardproxy.rebalance.drain import drain
from shardproxy.rebalance.move import Outcome
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.progress import silent
from shardproxy.rebalance.ring import Limits, to_aim
from shardproxy.rebalance.series import Manner, run_series
from shardproxy.topology.keys import BUCKETS
from tests.histories import runner
from tests.histories.installed import Installed
from tests.histories.installed import installed as start
from tests.histories.runner import Plan, Progress
from tests.histories.shards import TENANTS
from tests.support import aio, chaos

LONGEST_PAUSE = 2.0
"""Seconds that a cut-over may take on a machine that does everything else besides."""


@pytest.fixture(scope="module")
def installed(install: Install) -> Iterator[Installed]:
    with Run(install) as run, start(run, count=4) as installed:
        yield installed


class DrainedAndAdded:
    """A disturbance: each of some shards is drained, and gets its weight back, two moves at a time."""

    def __init__(self, installed: Installed, names: tuple[str, ...]) -> None:
        self.installation = installed.installation
        self.names = names
        self.outcomes: list[Outcome] = []

    async def __call__(self, progress: Progress) -> None:
        manner = Manner(MoveOptions(grace=20.0), Limits(buckets=BUCKETS), parallel=2)
        for name in self.names:
            await progress.more(50)
            drained = await drain(self.installation, name, manner, silent)
            assert drained.rows == ()
            await progress.more(50)
            await set_weight(self.installation, name, 1)
            self.outcomes += [*drained.moves, *await run_series(self.installation, to_aim, manner)]


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_nobody_can_tell_that_the_ring_changes(installed: Installed) -> None:
    """The tenants of the drained shards move away and back again; totals of all tenants stay what they are."""
    homes = {tenant: installed.shards.owner(tenant) for tenant in TENANTS}
    for seed in chaos.rounds():
        installed.shards.clear()
        changes = DrainedAndAdded(installed, ("shard-d", "shard-b"))
        plan = Plan(TENANTS, transactions=2_000, seed=seed, limit=150)
        report = aio.run(
            runner.run([sidecar.dsn() for sidecar in installed.sidecars], plan, changes), timeout=200
        )
        assert report.anomalies == [], (seed, report)
        assert not report.errors, (seed, report)
        assert len(changes.outcomes) == 12
        assert sum(outcome.rows for outcome in changes.outcomes) > 0
        assert max(outcome.pause or 0 for outcome in changes.outcomes) < LONGEST_PAUSE
        assert installed.left_behind() == {}
        for (table, tenant), held in installed.shards.holders().items():
            assert held == [homes[tenant]], (seed, table, tenant)

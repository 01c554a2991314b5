"""Tenants move to and fro between shards while applications work on them, and nobody can tell."""

from collections.abc import Iterator
from random import Random

import pytest

from shardproxy.demo.postgres import Install, Run
from shardproxy.rebalance import announce, cut_over
from shardproxy.rebalance import run as steps
from shardproxy.rebalance.drive import Drive
from shardproxy.rebalance.options import MoveOptions
from tests.histories import runner
from tests.histories.checkers.anomaly import Kind
from tests.histories.disturbances import crashes, stopped_sidecars, terminations, together
from tests.histories.installed import Installed
from tests.histories.installed import installed as start
from tests.histories.runner import Disturbance, Plan, Report
from tests.histories.shards import TABLES, TENANTS
from tests.histories.test_runs import LOST, codes
from tests.histories.to_and_fro import AwayAndBack, ToAndFro
from tests.support import aio, chaos, rest

LONGEST_PAUSE = 2.0
"""Seconds that a cut-over may take on a machine that does everything else besides."""


@pytest.fixture(scope="module")
def installed(install: Install) -> Iterator[Installed]:
    with Run(install) as run, start(run) as installed:
        yield installed


@pytest.fixture(scope="module")
def with_replicas(install: Install) -> Iterator[Installed]:
    """Each shard has a replica, which is always a bit behind."""
    with Run(install) as run, start(run, replicas=1, reads={"probe_interval": "100ms"}) as installed:
        for shard in installed.shards.shards:
            (replica,) = shard.replicas
            replica.configure({"recovery_min_apply_delay": "100ms"})
            replica.reload()
        for sidecar in installed.sidecars:
            rest.wait_until(
                lambda sidecar=sidecar: rest.metric(sidecar, "shardproxy_replica_in_rotation") == 3,
                "replicas are read",
                30.0,
            )
        yield installed


def played(installed: Installed, plan: Plan, disturbance: Disturbance) -> Report:
    dsns = [sidecar.dsn() for sidecar in installed.sidecars]
    return aio.run(runner.run(dsns, plan, disturbance), timeout=plan.limit + 60)


def check_nothing_is_left(installed: Installed, seed: int) -> None:
    assert installed.left_behind() == {}
    at = aio.run(installed.owners())
    held = installed.shards.holders()
    names = installed.names()
    for table in TABLES:
        for tenant in TENANTS:
            assert held.get((table, tenant), []) in ([names.index(at[tenant])], []), (seed, table, tenant)


@pytest.mark.chaos
@pytest.mark.timeout(chaos.timeout(300))
def test_nobody_can_tell_that_tenants_move(installed: Installed) -> None:
    for seed in chaos.rounds():
        installed.shards.clear()
        moves = ToAndFro(installed, Random(seed), chaos.moves(18))
        report = played(installed, Plan(TENANTS, transactions=6_000, seed=seed, limit=240), moves)
        assert report.anomalies == [], (seed, report)
        assert not report.errors, (seed, report)
        assert len(moves.outcomes) >= moves.times
        assert max(outcome.pause or 0 for outcome in moves.outcomes) < LONGEST_PAUSE
        check_nothing_is_left(installed, seed)


@pytest.mark.chaos
@pytest.mark.timeout(chaos.timeout(300))
def test_nor_can_who_reads_from_replicas_what_it_has_written(with_replicas: Installed) -> None:
    for seed in chaos.rounds():
        with_replicas.shards.clear()
        moves = ToAndFro(with_replicas, Random(seed), chaos.moves(12))
        plan = Plan(TENANTS, transactions=4_000, seed=seed, reads="causal", limit=240)
        report = played(with_replicas, plan, moves)
        assert report.anomalies == [], (seed, report)
        assert not report.errors, (seed, report)
        assert len(moves.outcomes) >= moves.times
        check_nothing_is_left(with_replicas, seed)
    read = [
        rest.metric(sidecar, "shardproxy_queries_total", role="replica") for sidecar in with_replicas.sidecars
    ]
    assert min(read) > 0, "else no replica was read, and this test is empty"


@pytest.mark.chaos
@pytest.mark.timeout(chaos.timeout(300))
def test_nobody_can_tell_that_moves_are_rolled_back(installed: Installed) -> None:
    for seed in chaos.rounds():
        installed.shards.clear()
        moves = AwayAndBack(installed, 5)
        home = aio.run(installed.owners())
        report = played(installed, Plan(TENANTS, transactions=1_500, seed=seed, limit=120), moves)
        assert report.anomalies == [], (seed, report)
        assert not report.errors, (seed, report)
        assert [outcome.verified for outcome in moves.outcomes] == ["exact"] * 10
        assert max(outcome.pause or 0 for outcome in moves.outcomes) < LONGEST_PAUSE
        assert aio.run(installed.owners()) == home
        check_nothing_is_left(installed, seed)


@pytest.mark.timeout(240)
def test_a_cut_over_that_waits_for_nobody_is_found_out(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the drain of the fence, transactions that are open on the rows then are lost: the triggers on the tables
    and the verification say so, and without them the checkers do.
    """

    async def nothing(_: Drive) -> None:
        pass

    monkeypatch.setattr(cut_over, "_DRAIN", "SELECT $1::int8 + $2::int8")
    monkeypatch.setattr(announce, "put_up", nothing)
    monkeypatch.setattr(steps, "verify", nothing)
    installed.shards.clear()
    plan = Plan(TENANTS, transactions=500, clients=24, limit=120)
    report = played(installed, plan, ToAndFro(installed, Random(1), 9))
    assert Kind.LOST in {anomaly.kind for anomaly in report.anomalies}, report


@pytest.mark.chaos
@pytest.mark.timeout(chaos.timeout(300))
def test_nothing_is_lost_when_everything_fails_beside(installed: Installed) -> None:
    """Shards, the catalog's among them, are killed, connections terminated, sidecars stopped and continued."""
    for seed in chaos.rounds():
        installed.shards.clear()
        random = Random(seed)
        primaries = [shard.primary for shard in installed.shards.shards]
        moves = ToAndFro(
            installed, random, chaos.moves(6), hindered=True, options=MoveOptions(grace=3.0, patience=20.0)
        )
        disturbance = together(
            moves,
            terminations(installed.shards, random, every=150),
            crashes(primaries, random, times=3, every=150),
            stopped_sidecars(installed.sidecars, random, times=3, every=150),
        )
        report = played(installed, Plan(TENANTS, transactions=2_000, seed=seed, limit=240), disturbance)
        assert report.anomalies == [], (seed, report)
        assert codes(report) <= LOST, (seed, report)
        check_nothing_is_left(installed, seed)

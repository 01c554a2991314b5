"""The workloads find nothing on PostgreSQL itself nor through sidecars, and do find what is wrong."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from shardproxy.demo.cluster import DATABASE
from shardproxy.demo.postgres import Run
from tests.histories import client, runner
from tests.histories import shards as clusters
from tests.histories.checkers.anomaly import Kind
from tests.histories.client import POLITE, Manners
from tests.histories.disturbances import crashes, terminations, together
from tests.histories.history import Isolation
from tests.histories.runner import Disturbance, Plan, Progress, Report
from tests.histories.shards import TABLES, TENANTS, Shards
from tests.histories.workloads.bank import Bank
from tests.histories.workloads.lists import Arrays, Rows
from tests.histories.workloads.registers import Counters, Registers
from tests.histories.workloads.sets import Sets
from tests.histories.workloads.workload import Workload
from tests.support import aio, chaos, rest
from tests.support.proxy import Proxy

AMOUNT = 10_000 if chaos.LONG else 1_500
LOST = {"08000", "08001", "08003", "08006", "08007", "57P01", "57P02", "57P03"}
"""What clients are told whose server goes away."""


def played(dsns: Sequence[str], plan: Plan, disturbance: Disturbance = runner.nothing) -> Report:
    return aio.run(runner.run(dsns, plan, disturbance), timeout=plan.limit + 30)


def codes(report: Report) -> set[str]:
    """The errors that clients of PostgreSQL alone do not get, without who got them."""
    return {error.rpartition(": ")[2] for error in report.errors}


@pytest.mark.chaos
def test_postgresql_alone(shards: Shards) -> None:
    for seed in chaos.rounds():
        report = played([shards.dsn(0)], Plan(TENANTS, transactions=AMOUNT, seed=seed))
        assert report.anomalies == [], (seed, report)
        assert not report.errors, (seed, report)


@pytest.mark.chaos
def test_two_sidecars(shards: Shards, sidecars: Sequence[Proxy]) -> None:
    for seed in chaos.rounds():
        report = played(
            [sidecar.dsn() for sidecar in sidecars], Plan(TENANTS, transactions=AMOUNT, seed=seed)
        )
        assert report.anomalies == [], (seed, report)
        assert not report.errors, (seed, report)
    holders = shards.holders()
    assert holders == {(table, tenant): [shards.owner(tenant)] for table, tenant in holders}
    assert {("counters", tenant) for tenant in TENANTS} <= holders.keys()


@pytest.mark.chaos
def test_terminated_connections_and_crashed_shards(shards: Shards, sidecars: Sequence[Proxy]) -> None:
    for seed in chaos.rounds():
        random = Random(seed)
        primaries = [shard.primary for shard in shards.shards]
        disturbance = together(terminations(shards, random), crashes(primaries, random, times=3))
        plan = Plan(TENANTS, transactions=AMOUNT, seed=seed)
        report = played([sidecar.dsn() for sidecar in sidecars], plan, disturbance)
        assert report.anomalies == [], (seed, report)
        assert codes(report) <= LOST, (seed, report)


def test_the_clients_go_on_as_long_as_the_disturbance_needs(shards: Shards) -> None:
    seen: list[int] = []

    async def slow(progress: Progress) -> None:
        while progress.committed < 400:
            await progress.more(50)
            seen.append(progress.committed)

    report = played([shards.dsn(0)], Plan(TENANTS, transactions=10), slow)
    assert sum(report.outcomes.values()) > 400
    assert len(seen) > 4


@pytest.mark.parametrize("workload", runner.WORKLOADS)
def test_each_workload_finds_out_a_move_without_a_fence(shards: Shards, workload: type[Workload]) -> None:
    """The rows are copied, and whoever connects later uses the copy; connections that were there stay."""
    source, target = (shard.primary for shard in shards.shards[:2])
    dsns = [shards.dsn(0)]

    async def move(progress: Progress) -> None:
        await progress.more(100)
        for table in TABLES:
            rows = await asyncio.to_thread(source.query, f"COPY {table} TO STDOUT", dbname=DATABASE)
            copy = f"COPY {table} FROM stdin;\n{rows}\n\\.\n" if rows else ""
            await asyncio.to_thread(target.query, copy, dbname=DATABASE)
        dsns[:] = [shards.dsn(1)]

    plan = Plan(TENANTS[:2], transactions=400, workloads=(workload,), manners=Manners(reconnect=5))
    kinds = {anomaly.kind for anomaly in played(dsns, plan, move).anomalies}
    assert Kind.LOST in kinds


@pytest.mark.parametrize(
    ("said", "meant", "workload", "kind"),
    [
        (Isolation.REPEATABLE_READ, Isolation.READ_COMMITTED, Bank, Kind.UNBALANCED),
        (Isolation.REPEATABLE_READ, Isolation.READ_COMMITTED, Arrays, Kind.SNAPSHOT_CYCLE),
        (Isolation.REPEATABLE_READ, Isolation.READ_COMMITTED, Counters, Kind.FORKED),
        (Isolation.REPEATABLE_READ, Isolation.READ_COMMITTED, Registers, Kind.FORKED),
        (Isolation.SERIALIZABLE, Isolation.REPEATABLE_READ, Arrays, Kind.SERIAL_CYCLE),
        (Isolation.SERIALIZABLE, Isolation.REPEATABLE_READ, Rows, Kind.SERIAL_CYCLE),
    ],
)
def test_a_level_that_is_less_than_it_says_is_found_out(
    shards: Shards,
    monkeypatch: pytest.MonkeyPatch,
    said: Isolation,
    meant: Isolation,
    workload: type[Workload],
    kind: Kind,
) -> None:
    monkeypatch.setitem(client.BEGIN, said, client.BEGIN[meant])
    plan = Plan(
        TENANTS[:1], transactions=200, clients=8, workloads=(workload,), levels=(said,), manners=POLITE
    )
    reports = (played([shards.dsn(0)], replace(plan, seed=seed)) for seed in range(10))
    assert any(kind in {anomaly.kind for anomaly in report.anomalies} for report in reports)


def test_a_replica_that_is_behind_is_found_out_by_who_has_just_written(run: Run) -> None:
    """shardproxy.read = 'replica' promises nothing; what promises that one sees one's own writes is held to it."""
    shards = clusters.start(run, count=1, replicas=1)
    replica = shards.shards[0].replicas[0]
    replica.configure({"recovery_min_apply_delay": "300ms"})
    replica.reload()
    plan = Plan(TENANTS[:2], transactions=200, workloads=(Arrays, Sets), reads="replica")
    with shards.sidecars(1) as (sidecar,):
        rest.wait_until(
            lambda: rest.metric(sidecar, "shardproxy_replica_in_rotation") == 1, "the replica is read"
        )
        report = played([sidecar.dsn()], plan)
    kinds = {anomaly.kind for anomaly in report.anomalies}
    assert Kind.STALE in kinds, report
    assert kinds <= {Kind.STALE, Kind.RETURNED}, report

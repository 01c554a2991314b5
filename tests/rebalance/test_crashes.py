"""Whatever is killed, paused or cancelled at whatever step: the move ends or is undone, and nothing is left
or lost.

Every step meets every fault at one of its fail points, and the mover is killed at each of them. Every third
case is in the ordinary suite, so that every step is; SHARDPROXY_CHAOS=1 (``make chaos``) runs all.
"""

import os
import time
from collections.abc import Callable, Iterator

import pytest

from shardproxy.catalog.journal import Keys
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.fail_points import ADOPTED, POINTS
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.steps import OFFLINE, ORDER, Step
from tests.rebalance.installed import Installed
from tests.rebalance.mover import Mover
from tests.rebalance.writer import Writer
from tests.support.aio import run
from tests.support.relay import Relay
from tests.support.rest import wait_until

SOAKING = MoveOptions(grace=1.0, rollback_window=3600.0)
HEALED_WITHIN = 15.0
PAUSE = 3.0
HELD = (Step.HOLD, Step.CARRY, Step.COMPARE)
FAULTS = (
    "mover killed",
    "source killed",
    "target killed",
    "source paused",
    "target paused",
    "cancelled",
    "catalog killed",
    "source cut off",
    "target cut off",
    "catalog cut off",
)
LOSES_THE_SNAPSHOT = ("target killed", "target cut off", "cancelled")
ALL = os.environ.get("SHARDPROXY_CHAOS") == "1"


def cases() -> Iterator[tuple[int, Step, str, str]]:
    """Every case, with a number by which each third is taken."""
    for i, (step, points) in enumerate(POINTS.items()):
        for k, point in enumerate(points):
            yield i + k, step, "mover killed", point
        for j, fault in enumerate(FAULTS[1:]):
            yield i + j, step, fault, points[j % len(points)]


def rollback_cases() -> Iterator[tuple[int, Step, str, str]]:
    """The same for a rollback: the mover is killed where a step begins and where it has adopted its stream."""
    steps = [step for step in POINTS if step in ORDER and step not in (Step.WAY_BACK, Step.SOAK)]
    steps.append(Step.ABORT)
    for i, step in enumerate(steps):
        point = ADOPTED if step is Step.COPY else POINTS[step][0]
        for j, fault in enumerate(FAULTS):
            yield i + j, step, fault, point


CASES = [case for number, *case in cases() if ALL or number % 3 == 0]
ROLLBACK_CASES = [case for number, *case in rollback_cases() if ALL or number % 7 == 0]


def test_every_step_has_a_crash_case() -> None:
    steps = {step for step, _, _ in CASES}
    assert steps == {*ORDER, *OFFLINE, Step.ABORT} - {Step.DONE}
    assert {fault for _, fault, _ in CASES} == set(FAULTS)
    assert {step for _, step, _, _ in rollback_cases()} == steps - {Step.WAY_BACK, Step.SOAK, *HELD}
    assert {fault for _, fault, _ in ROLLBACK_CASES} == set(FAULTS)


@pytest.fixture
def tenant(installed: Installed) -> Iterator[str]:
    """One that lives on shard-b or shard-c: the catalog's server is not the one that is killed."""
    found = [
        tenant
        for tenant in installed.cluster.tenants_of(1)
        if installed.where(tenant) in ("shard-b", "shard-c")
    ]
    yield found[0]
    installed.end_moves()


@pytest.mark.parametrize(("step", "fault", "point"), CASES, ids=lambda value: str(value).replace(" ", "-"))
def test_a_move_survives(installed: Installed, tenant: str, step: Step, fault: str, point: str) -> None:
    source = installed.where(tenant)
    target = "shard-c" if source == "shard-b" else "shard-b"
    # Where the target's snapshot is lost, a row that is gone there may have been deleted since, or lost: the
    # move stops and asks (test_verify.py).
    loses_the_snapshot = step in (Step.FLIP, Step.VERIFY) and fault in LOSES_THE_SNAPSHOT
    with Writer(installed, tenant, deletes=not loses_the_snapshot) as writer:
        writer.wait_for(3)
        if step is Step.ABORT:
            number = unfinished(installed, tenant, target)
            verb = ("moves", "abort", str(number))
        else:
            verb = ("tenant", "move", tenant, "--to", target, "--grace", "1")
        if step in HELD:
            verb = (*verb, "--offline")
        if step is Step.SOAK:
            verb = (*verb, "--rollback-window", "10ms", "--wait")
        healed_since = strike(installed, verb, fault, point, source, target)
        assert time.monotonic() - healed_since < HEALED_WITHIN
        writer.wait_for(3)
    owner = source if step is Step.ABORT else target
    assert installed.where(tenant) == owner
    assert installed.rows(owner, tenant) == installed.rows("oracle", tenant)
    for shard in {"shard-a", "shard-b", "shard-c"} - {owner}:
        assert set(installed.counts(shard, tenant).values()) == {0}
    wait_until(lambda: not installed.left_behind(), "nothing is left behind")


@pytest.mark.parametrize(
    ("step", "fault", "point"), ROLLBACK_CASES, ids=lambda value: str(value).replace(" ", "-")
)
def test_a_rollback_survives(installed: Installed, tenant: str, step: Step, fault: str, point: str) -> None:
    home = installed.where(tenant)
    away = "shard-c" if home == "shard-b" else "shard-b"
    loses_the_snapshot = step in (Step.FLIP, Step.VERIFY) and fault in LOSES_THE_SNAPSHOT
    with Writer(installed, tenant, deletes=not loses_the_snapshot) as writer:
        writer.wait_for(3)
        run(rebalance.move(installed.installation, Keys("tenant", (tenant,)), away, SOAKING), 60)
        first = installed.newest_move()
        writer.wait_for(3)
        verb = ("moves", "rollback", str(first))
        if step is Step.ABORT:
            with Mover(installed, *verb, fail="follow:kill") as mover:
                mover.wait_until_killed()
            verb = ("moves", "abort", str(installed.newest_move()))
        healed_since = strike(installed, verb, fault, point, away, home)
        assert time.monotonic() - healed_since < HEALED_WITHIN
        writer.wait_for(3)
    if step is Step.ABORT:
        assert [(move.number, move.moved) for move in installed.map().moves] == [(first, True)]
        with Mover(installed, "moves", "finish", str(first)) as mover:
            mover.result()
    owner = away if step is Step.ABORT else home
    assert installed.where(tenant) == owner
    assert installed.rows(owner, tenant) == installed.rows("oracle", tenant)
    for shard in {"shard-a", "shard-b", "shard-c"} - {owner}:
        assert set(installed.counts(shard, tenant).values()) == {0}
    wait_until(lambda: not installed.left_behind(), "nothing is left behind")


def unfinished(installed: Installed, tenant: str, target: str) -> int:
    """A move that was killed while the target followed; its number."""
    arguments = ("tenant", "move", tenant, "--to", target, "--grace", "1")
    with Mover(installed, *arguments, fail="follow:kill") as mover:
        mover.wait_until_killed()
    return installed.newest_move()


def strike(
    installed: Installed, verb: tuple[str, ...], fault: str, point: str, source: str, target: str
) -> float:
    """Let the fault happen when the mover comes to the point, and the move end; since when it could heal."""
    if fault == "mover killed":
        with Mover(installed, *verb, fail=f"{point}:kill") as mover:
            mover.wait_until_killed()
        since = time.monotonic()
        how = "abort" if verb[1] == "abort" else "resume"
        with Mover(installed, "moves", how, str(installed.newest_move())) as mover:
            mover.result()
        return since
    if fault in CUT_OFF:
        return cut_off(installed, verb, point, CUT_OFF[fault](source, target))
    with Mover(installed, *verb, fail=f"{point}:stop") as mover:
        mover.wait_until_stopped()
        since = STRIKES[fault](installed, mover, source, target)
        mover.result()
    return since


def cut_off(installed: Installed, verb: tuple[str, ...], point: str, shard: str) -> float:
    """Cut the network between a shard on one side and the mover and the other shards on the other, for some
    seconds.
    """
    with (
        Relay(installed.primary(shard).port) as relay,
        Mover(installed, *verb, fail=f"{point}:stop", ports={shard: relay.port}) as mover,
    ):
        mover.wait_until_stopped()
        relay.hanging = True
        mover.go_on()
        time.sleep(PAUSE)  # the fault lasts as long as it lasts
        relay.reset()
        relay.hanging = False
        since = time.monotonic()
        mover.result()
    return since


def kill(installed: Installed, mover: Mover, shard: str) -> float:
    """Kill a shard's server, and start it again."""
    server = installed.primary(shard)
    server.kill()
    mover.go_on()
    server.start()
    return time.monotonic()


def pause(installed: Installed, mover: Mover, shard: str) -> float:
    """Stop all of a shard's server for some seconds."""
    server = installed.primary(shard)
    server.pause()
    mover.go_on()
    time.sleep(PAUSE)  # the fault lasts as long as it lasts
    server.resume()
    return time.monotonic()


def cancel(installed: Installed, mover: Mover) -> float:
    """End every session of the mover, on every server."""
    for shard in ("shard-a", "shard-b", "shard-c"):
        installed.query(
            shard,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name ~ '^shardproxy (move|mover|snapshot|retire|moves|plan)'",
        )
    mover.go_on()
    return time.monotonic()


CUT_OFF: dict[str, Callable[[str, str], str]] = {
    "source cut off": lambda source, _: source,
    "target cut off": lambda _, target: target,
    "catalog cut off": lambda _source, _target: "shard-a",
}
STRIKES: dict[str, Callable[[Installed, Mover, str, str], float]] = {
    "source killed": lambda installed, mover, source, _: kill(installed, mover, source),
    "target killed": lambda installed, mover, _, target: kill(installed, mover, target),
    "source paused": lambda installed, mover, source, _: pause(installed, mover, source),
    "target paused": lambda installed, mover, _, target: pause(installed, mover, target),
    "cancelled": lambda installed, mover, _source, _target: cancel(installed, mover),
    "catalog killed": lambda installed, mover, _source, _target: kill(installed, mover, "shard-a"),
}

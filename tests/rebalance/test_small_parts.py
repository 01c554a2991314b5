"""The parts of a mover that need no server."""

import asyncio
import signal
import subprocess
import sys
from typing import Any

import pytest

from shardproxy.cli.progress import figures
from shardproxy.rebalance.fail_points import POINTS, VARIABLE, FailPointError, fail_point
from shardproxy.rebalance.obstacles import of_source, of_target
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.progress import Progress
from shardproxy.rebalance.sequences import HEADROOM, Sequence
from shardproxy.rebalance.steps import OFFLINE, ORDER, SAYS, Step
from shardproxy.rebalance.throttle import Throttle
from tests.support.aio import run
from tests.support.proxy import ROOT


def test_every_step_has_a_fail_point_where_it_begins_and_words() -> None:
    for step in {*ORDER, *OFFLINE, Step.ABORT} - {Step.DONE}:
        assert POINTS[step][0] == step
        assert SAYS[step]


def test_every_fail_point_is_in_the_code() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "shardproxy/rebalance").glob("*.py"))
    for step, points in POINTS.items():
        for point in points:
            assert f'fail_point("{point}")' in code or point == step
    assert "fail_point(ADOPTED)" in code


def test_a_fail_point_does_what_the_environment_says_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_point("copy.slot")
    monkeypatch.setenv(VARIABLE, "copy:kill,copy.slot:error,planned:dance")
    with pytest.raises(FailPointError):
        fail_point("copy.slot")
    fail_point("copy.slot")
    with pytest.raises(FailPointError):
        fail_point("planned")
    with pytest.raises(AssertionError):
        fail_point("no such point")


def test_a_fail_point_can_kill() -> None:
    code = "from shardproxy.rebalance.fail_points import fail_point; fail_point('copy')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={VARIABLE: "copy:kill"}, check=False)
    assert done.returncode == -signal.SIGKILL


def test_options_survive_the_journal_and_other_versions() -> None:
    options = MoveOptions(max_rate=7, max_pause=0.5)
    assert MoveOptions.from_json(options.to_json()) == options
    assert MoveOptions.from_json({"max_rate": 7, "max_pause": 0.5, "of another version": 1}) == options


def sequence(**fields: Any) -> Sequence:
    return Sequence("public", "s", **{"last_value": None, "step": 1, "least": 1, "most": 2**63 - 1} | fields)


def test_a_sequence_goes_beyond_both_with_room_to_spare() -> None:
    assert sequence(last_value=5).beyond(500) == 500 + HEADROOM
    assert sequence(last_value=700).beyond(500) == 700 + HEADROOM
    assert sequence(last_value=None, step=10).beyond(500) == 500 + 10 * HEADROOM
    assert sequence(last_value=5, most=1000).beyond(500) == 505
    assert sequence(last_value=5, most=500).beyond(500) == 500
    assert sequence(last_value=-5, step=-1, least=-(2**31), most=-1).beyond(-500) == -500 - HEADROOM


def test_a_sequence_is_behind_if_it_could_repeat_a_value() -> None:
    assert sequence(last_value=None).is_behind(1)
    assert sequence(last_value=5).is_behind(6)
    assert not sequence(last_value=6).is_behind(6)
    assert sequence(last_value=-5, step=-1).is_behind(-6)
    assert not sequence(last_value=-7, step=-1).is_behind(-6)


def test_a_throttle_lets_a_rate_through() -> None:
    async def seconds(throttle: Throttle, pieces: int, **piece: int) -> float:
        clock = asyncio.get_running_loop().time
        began = clock()
        for _ in range(pieces):
            await throttle.take(**piece)
        return clock() - began

    assert run(seconds(Throttle(), 1000, rows=1_000_000, bytes=10**9)) < 1
    assert 0.28 < run(seconds(Throttle(rows=1000), 31, rows=10)) < 1
    assert 0.28 < run(seconds(Throttle(rows=10**9, bytes=1000), 31, rows=1, bytes=10)) < 1


GOOD = {
    "standby": False,
    "version": 180_000,
    "wal_level": "logical",
    "user": "op",
    "database": "shop",
    "superuser": False,
    "replication": True,
    "may_subscribe": True,
    "may_signal": True,
    "may_see": True,
    "may_create": True,
    "may_replicate": True,
    "free_slots": 1,
    "free_senders": 2,
    "free_origins": 1,
    "free_workers": 1,
    "prepared": [],
    "large_objects": False,
}


def test_a_server_with_everything_has_no_obstacle() -> None:
    assert of_source("a", GOOD) == of_target("a", GOOD) == []


@pytest.mark.parametrize(
    ("look", "facts", "said"),
    [
        (of_source, {"standby": True}, "shard a: the primary's address leads to a standby"),
        (of_source, {"wal_level": "replica"}, "wal_level is replica: set wal_level = logical"),
        (of_source, {"free_slots": 0}, "no replication slot is free: raise max_replication_slots"),
        (of_source, {"free_senders": 1}, "two free WAL senders: raise max_wal_senders"),
        (of_source, {"prepared": ["x", "y"]}, "prepared transactions: x, y"),
        (of_source, {"replication": False}, 'ALTER ROLE "op" REPLICATION'),
        (of_target, {"free_workers": 0}, "raise max_logical_replication_workers"),
        (of_target, {"free_origins": 0}, "raise max_active_replication_origins"),
        (of_target, {"free_origins": 0, "version": 170_000}, "raise max_replication_slots"),
        (of_target, {"may_subscribe": False}, 'GRANT pg_create_subscription TO "op"'),
        (of_target, {"version": 150_000}, "PostgreSQL 15 lets only superusers subscribe"),
        (of_target, {"may_create": False}, 'GRANT CREATE ON DATABASE "shop" TO "op"'),
    ],
)
def test_what_a_server_lacks_is_said_with_a_remedy(look: Any, facts: dict[str, Any], said: str) -> None:
    [obstacle] = look("a", GOOD | facts)
    assert said in str(obstacle)


def test_figures_for_people() -> None:
    progress = Progress("copy", "copying", rows=2000, total_rows=10_000, bytes=1_500_000)
    assert figures(progress, 2.0) == "2,000 of 10,000 rows, 1.5 MB, 1,000 rows/s, 0:08 to go"
    assert (
        figures(Progress("follow", "following", lag=0.0123, lag_bytes=2000), 1.0)
        == "lag 12 ms, 2.0 kB behind"
    )
    assert figures(Progress("flip", "flips"), 1.0) == ""
    assert Progress("flip", "flips", 7).to_json() == {
        "step": "flip",
        "what": "flips",
        "move": 7,
        "begins": False,
    }

"""``shardproxy tenant`` and ``shardproxy moves``: what they print, for people and as JSON, and how they end."""

import json
import os
import signal
from collections.abc import Callable

import pytest
from typer.testing import Result

from tests.rebalance.installed import Installed, next_shard
from tests.rebalance.mover import Mover
from tests.support.rest import wait_until

Shardproxy = Callable[..., Result]
TENANT = "initech"


def test_tenants_are_listed_with_their_shard_and_size(installed: Installed, shardproxy: Shardproxy) -> None:
    result = shardproxy("tenant", "list", "--json", "-n", "1000")
    found = {each["tenant"]: each for each in json.loads(result.stdout)["tenants"]}
    assert set(found) == set(
        installed.cluster.tenants_of(0) + installed.cluster.tenants_of(1) + installed.cluster.tenants_of(2)
    )
    for name, each in found.items():
        assert each["shard"] == installed.where(name)
        assert each["rows"] == sum(installed.counts(each["shard"], name).values())
        assert each["on_other_shards"] == {}
    lines = shardproxy("tenant", "list", "-n", "3").stdout.splitlines()
    assert len(lines) == 4
    assert lines[1].split()[:2] == ["acme", installed.where("acme")]
    only = json.loads(shardproxy("tenant", "list", "--shard", "shard-b", "--json").stdout)["tenants"]
    assert {each["shard"] for each in only} == {"shard-b"}
    assert shardproxy("tenant", "list", "--shard", "nowhere").exit_code == 1
    devices = json.loads(shardproxy("tenant", "list", "--group", "device", "--json").stdout)["tenants"]
    assert "-32768" in {each["tenant"] for each in devices}


def test_a_tenant_is_shown_with_what_is_misplaced(installed: Installed, shardproxy: Shardproxy) -> None:
    home = installed.where(TENANT)
    lost = next_shard(home)
    installed.query(
        lost, "INSERT INTO tenants (tenant_id, name, plan, currency) VALUES (%s, 'x', 'free', 'EUR')", TENANT
    )
    try:
        text = shardproxy("tenant", "show", TENANT).stdout
        assert f"{TENANT}: shard {home}" in text
        assert f"1 rows misplaced on {lost}" in text
        said = json.loads(shardproxy("tenant", "show", TENANT, "--json").stdout)
        assert said["on_other_shards"] == {lost: 1}
        assert said["tables"]["orders"]["rows"] == installed.counts(home, TENANT)["orders"]
    finally:
        installed.query(lost, "DELETE FROM tenants WHERE tenant_id = %s", TENANT)
    assert "bucket" in shardproxy("tenant", "show", "nobody").stdout


def test_a_dry_run_says_what_would_move_and_changes_nothing(
    installed: Installed, shardproxy: Shardproxy
) -> None:
    epoch = installed.map().epoch
    home, target = installed.where(TENANT), next_shard(installed.where(TENANT))
    said = json.loads(shardproxy("tenant", "move", TENANT, "--to", target, "--dry-run", "--json").stdout)
    assert said["ok"] is True
    [move] = said["moves"]
    assert (move["source"], move["target"], move["group"]) == (home, target, "tenant")
    assert move["keys"] == [{"key": TENANT, "rows": move["rows"], "bytes": move["bytes"]}]
    assert move["rows"] == sum(installed.counts(home, TENANT).values())
    assert move["expected_seconds"] >= 2
    text = shardproxy("tenant", "move", TENANT, "--to", target, "--dry-run")
    assert f"from {home} to {target}, about 2 s:" in text.stdout
    assert "the table misc has a column tenant_id" in text.stderr
    wrong = shardproxy("tenant", "move", "nobody", "--to", target, "--dry-run", "--json")
    assert wrong.exit_code == 1
    assert "nobody has no rows" in json.loads(wrong.stdout)["moves"][0]["obstacles"][0]["what"]
    assert installed.map().epoch == epoch
    assert installed.left_behind() == []


def test_a_move_is_told_in_lines_and_as_json(installed: Installed, shardproxy: Shardproxy) -> None:
    home, target = installed.where(TENANT), next_shard(installed.where(TENANT))
    result = shardproxy("tenant", "move", TENANT, "--to", target, "--grace", "1")
    assert result.exit_code == 0
    number = installed.newest_move()
    assert result.stdout.startswith(f"move {number} done: ")
    assert f"from {home} to {target}" in result.stdout
    assert "verified: exact" in result.stdout
    assert f"move {number} copy: copying" in result.stderr
    again = shardproxy("tenant", "move", TENANT, "--to", target)
    assert again.stdout == f"{TENANT} is there already\n"
    back = shardproxy("tenant", "move", TENANT, "--to", home, "--grace", "1", "--json", "--progress", "json")
    said = json.loads(back.stdout)
    assert said["moves"][0]["state"] == "done"
    assert 0 < said["moves"][0]["pause_seconds"] < 2
    steps = [json.loads(line)["step"] for line in back.stderr.splitlines()]
    assert steps[0] == "planned"
    assert steps[-1] == "done"
    listed = json.loads(shardproxy("moves", "list", "--json").stdout)["moves"]
    assert [each["move"] for each in listed[:2]] == [number + 1, number]
    assert listed[0]["keys"] == [TENANT]
    assert shardproxy("moves", "list", "--unfinished").stdout.splitlines()[1:] == []
    shown = shardproxy("moves", "show", str(number)).stdout
    assert f"move {number}: {TENANT} from {home} to {target}: done" in shown
    assert "flipped in epoch" in shown
    log = json.loads(shardproxy("moves", "show", str(number), "--json").stdout)["log"]
    assert log[0]["step"] == "planned"
    ended = shardproxy("moves", "abort", str(number))
    assert ended.exit_code == 1
    assert "is done" in ended.stderr


def test_a_move_with_a_window_says_until_when_and_is_rolled_back(
    installed: Installed, shardproxy: Shardproxy
) -> None:
    home, target = installed.where(TENANT), next_shard(installed.where(TENANT))
    move = ("tenant", "move", TENANT, "--to", target, "--grace", "1", "--rollback-window", "2h")
    moved = shardproxy(*move)
    number = installed.newest_move()
    assert moved.exit_code == 0
    assert moved.stdout.startswith(f"move {number} has moved: ")
    assert f"shardproxy moves rollback {number}\n" in moved.stdout
    assert f"shardproxy moves finish {number}\n" in moved.stdout
    [_, line, *_] = shardproxy("moves", "list", "--unfinished").stdout.splitlines()
    assert line.split()[:3] == [str(number), "running", "soak"]
    assert "can be rolled back until" in line
    ahead = json.loads(shardproxy("moves", "resume", str(number), "--json").stdout)["moves"][0]
    assert (ahead["state"], ahead["rollback_until"] is None) == ("running", False)
    back = shardproxy("moves", "rollback", str(number))
    assert back.stdout.startswith(f"move {number + 1} done: ")
    assert f"from {target} to {home}" in back.stdout
    assert installed.where(TENANT) == home
    again = shardproxy(*move)
    assert again.exit_code == 0
    assert shardproxy("moves", "finish", str(number + 2)).stdout.startswith(f"move {number + 2} done: ")
    assert installed.where(TENANT) == target
    assert installed.left_behind() == []
    wrong = shardproxy("tenant", "move", TENANT, "--to", home, "--rollback-window", "soon")
    assert wrong.exit_code == 2


def test_the_janitor_says_what_it_finds_and_removes(installed: Installed, shardproxy: Shardproxy) -> None:
    [(number,)] = installed.query(
        "shard-a",
        "INSERT INTO shardproxy.move (source, target, what, step, state)"
        " VALUES ('shard-b', 'shard-c', '{\"buckets\": []}', 'done', 'done') RETURNING move",
    )
    assert shardproxy("moves", "janitor").stdout == "moves have left nothing\n"
    installed.query("shard-b", f"CREATE PUBLICATION shardproxy_move_{number}")
    found = f"publication shardproxy_move_{number} on shard-b: move {number}: the move is done\n"
    assert shardproxy("moves", "janitor", "--dry-run").stdout == f"to be removed: {found}"
    [said] = json.loads(shardproxy("moves", "janitor", "--json", "--dry-run").stdout)["found"]
    assert (said["shard"], said["kind"], said["move"], said["removed"]) == (
        "shard-b",
        "publication",
        number,
        False,
    )
    assert shardproxy("moves", "janitor").stdout == f"removed: {found}"
    said = json.loads(shardproxy("moves", "janitor", "--json").stdout)
    assert said == {"ok": True, "found": [], "away": {}}


def test_mistakes_end_with_one_line_and_exit_code_1(installed: Installed, shardproxy: Shardproxy) -> None:
    unknown = shardproxy("tenant", "move", TENANT, "--to", "shard-x")
    assert unknown.exit_code == 1
    assert 'the shard "shard-x" is unknown' in unknown.stderr
    assert "goes on with" not in unknown.stderr
    missing = shardproxy("moves", "resume", "99999", "--json")
    assert (missing.exit_code, json.loads(missing.stdout)["sqlstate"]) == (1, "P0002")
    obstructed = shardproxy("tenant", "move", "nobody", "--to", "shard-a")
    assert obstructed.exit_code == 1
    assert "in the way: nobody has no rows" in obstructed.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("point", ["copy.slot", "fence.drained"])
def test_a_signal_stops_it_cleanly_and_it_says_how_to_go_on(
    installed: Installed, point: str, number: signal.Signals
) -> None:
    home, target = installed.where(TENANT), next_shard(installed.where(TENANT))
    with Mover(
        installed, "tenant", "move", TENANT, "--to", target, "--grace", "1", fail=f"{point}:stop"
    ) as mover:
        mover.wait_until_stopped()
        os.kill(mover.process.pid, number)
        mover.go_on()
        _, errors = mover.process.communicate(timeout=30)
    assert mover.process.returncode == 130, errors
    move = installed.newest_move()
    assert f"shardproxy moves resume {move}" in errors.decode()
    assert f"shardproxy moves abort {move}" in errors.decode()
    wait_until(
        lambda: installed.query(home, "SELECT state FROM shardproxy.moving") == [("moving",)],
        "the rows are in use again",
    )
    with Mover(installed, "moves", "resume", str(move)) as mover:
        assert mover.result()["moves"][0]["state"] == "done"
    assert installed.where(TENANT) == target
    wait_until(lambda: not installed.left_behind(), "nothing is left behind")

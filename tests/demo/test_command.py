"""``shardproxy demo`` as a user runs it, small."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from shardproxy.demo.postgres import Install, Run
from shardproxy.demo.watchdog import postmaster_pid
from tests.demo.test_watchdog import wait_until_gone
from tests.support import aio

ROOT = Path(__file__).resolve().parents[2]
WHERE = "SELECT current_setting('cluster_name') FROM tenants WHERE tenant_id = 'acme'"
SMALL = ("--shards", "2", "--replicas", "1", "--tenants", "6", "--orders", "60")


def command(install: Install, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "shardproxy", "demo", "--pg-bin", str(install.bin_dir), *arguments]


def run_demo(install: Install, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(install, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )


def shardproxy(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "shardproxy", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def serving(install: Install, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", dict[str, Any]]]:
    """A demo that has said it is ready, and what it said; ended like Ctrl-C does unless the test ended it."""
    with subprocess.Popen(
        command(install, "--json", *arguments),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            line = process.stdout.readline()
            assert line, process.stderr.read()
            yield process, json.loads(line)
        finally:
            process.send_signal(signal.SIGINT)


def fetchval(dsn: str, sql: str) -> Any:
    async def go() -> Any:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return aio.run(go())


def test_the_tour_of_a_small_demo_is_right_in_every_step(install: Install) -> None:
    done = run_demo(install, *SMALL, "--check", "--json")
    told = json.loads(done.stdout)
    assert [step for step in told["steps"] if not step["good"]] == []
    assert (done.returncode, told["ok"], len(told["steps"])) == (0, True, 13)
    places = {step["where"] for step in told["steps"]}
    assert {"shard-a", "shard-b", "shard-a, shard-b", "no shard"} <= places
    assert any("replica" in place for place in places)


def test_a_demo_without_replicas_and_with_one_shard_has_a_tour_too(install: Install) -> None:
    done = run_demo(install, "--shards", "1", "--replicas", "0", "--tenants", "1", "--orders", "3", "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout
    assert "steps right" in done.stdout


def test_it_serves_until_ctrl_c_and_leaves_nothing(install: Install) -> None:
    with serving(install, *SMALL) as (process, told):
        directory = Path(told["directory"])
        assert [shard["name"] for shard in told["shards"]] == ["shard-a", "shard-b"]
        assert fetchval(told["dsn"], "SELECT count(*) FROM tenants WHERE tenant_id = 'acme'") == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert not directory.exists()
        with pytest.raises(ProcessLookupError):
            os.kill(told["sidecar_pid"], 0)


def test_a_named_directory_keeps_the_data_between_runs(install: Install) -> None:
    with Run(install) as outer:
        keep = ("--dir", str(outer.directory / "kept"))
        with serving(install, *SMALL, *keep) as (_, told):
            write = "UPDATE tenants SET name = 'Kept' WHERE tenant_id = 'acme' RETURNING name"
            assert fetchval(told["dsn"], write) == "Kept"
            there = fetchval(told["dsn"], WHERE)
            target = next(shard["name"] for shard in told["shards"] if shard["name"] != there)
            moved = shardproxy("tenant", "move", "acme", "--to", target, "-c", told["config"])
            assert moved.returncode == 0, moved.stderr
            assert fetchval(told["dsn"], WHERE) == target
            second = run_demo(install, *keep)
            assert second.returncode == 1
            assert "another demo is running" in second.stderr
        wrong = run_demo(install, "--shards", "3", *keep)
        assert wrong.returncode == 1
        assert "--shards 2, not 3" in wrong.stderr
        with serving(install, *keep) as (_, told):
            assert len(told["shards"]) == 2
            assert fetchval(told["dsn"], "SELECT name FROM tenants WHERE tenant_id = 'acme'") == "Kept"
            assert fetchval(told["dsn"], WHERE) == target
            replica = told["shards"][0]["replicas"][0]
            straight = f"postgresql://app:app@{replica}/shop"
            assert fetchval(straight, "SELECT pg_is_in_recovery()") is True
        again = run_demo(install, *keep, "--check", "--json")
        assert json.loads(again.stdout)["ok"], again.stdout


def test_a_killed_demo_leaves_no_process(install: Install) -> None:
    with serving(install, *SMALL) as (process, told):
        process.kill()
        process.wait()
        wait_until_gone(Path(told["directory"]), Path(f"/proc/{told['sidecar_pid']}/exe"))


def test_a_port_that_is_taken_is_named(install: Install) -> None:
    with serving(install, "--shards", "1", "--replicas", "0", "--tenants", "1", "--orders", "1") as (_, told):
        port = told["dsn"].rpartition(":")[2].partition("/")[0]
        done = run_demo(install, "--port", port)
        assert done.returncode == 1
        assert f"port {port} on 127.0.0.1 is taken" in done.stderr


@pytest.mark.parametrize("seen", ["shard-a/postmaster.pid", "shard-a-replica-1", "shardproxy.yaml"])
def test_ctrl_c_while_it_is_set_up_leaves_nothing_running(install: Install, seen: str) -> None:
    with Run(install) as outer:
        kept = outer.directory / "kept"
        keep = ("--dir", str(kept))
        with subprocess.Popen(
            command(install, *keep, "--shards", "2"), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            wait_until((kept / seen).exists, process)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (130, b""), err
        assert b"Traceback" not in err
        assert [path for path in kept.glob("*") if path.is_dir() and postmaster_pid(path) is not None] == []
        again = run_demo(install, *keep, *SMALL, "--check", "--json")
        assert json.loads(again.stdout)["ok"]


def wait_until(happened: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)

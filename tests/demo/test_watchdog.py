"""Nothing is left behind, however the process that started servers goes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shardproxy.demo.postgres import Install

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
from pathlib import Path
from shardproxy.demo.postgres import Install, Run, Server
run = Run(Install.find(Path(sys.argv[1])), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
with run:
    server = Server.create(run, "server").start()
    print(run.directory, server.pid, flush=True)
    sys.stdin.read()
"""


def start(install: Install, *arguments: str) -> tuple["subprocess.Popen[str]", Path, int]:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(install.bin_dir), *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    directory, pid = process.stdout.readline().split()
    return process, Path(directory), int(pid)


def wait_until_gone(*paths: Path) -> None:
    deadline = time.monotonic() + 15
    while any(path.exists() for path in paths):
        assert time.monotonic() < deadline, f"still there: {[path for path in paths if path.exists()]}"
        time.sleep(0.01)


def wait_until_logged(log: Path, line: str) -> None:
    """The postmaster says that it is down when it has removed its pid file, not before."""
    deadline = time.monotonic() + 15
    while line not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)


def end(process: "subprocess.Popen[str]") -> None:
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        stream.close()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_killed_parent_leaves_no_server_and_no_directory(install: Install, number: signal.Signals) -> None:
    process, directory, _ = start(install)
    process.send_signal(number)
    end(process)
    wait_until_gone(directory)


def test_a_kept_server_of_a_killed_parent_is_shut_down_cleanly(install: Install) -> None:
    process, outer, _ = start(install)
    kept, directory, _ = start(install, str(outer / "kept"))
    kept.kill()
    end(kept)
    wait_until_gone(directory / "server" / "postmaster.pid")
    wait_until_logged(directory / "server.log", "database system is shut down")
    assert (directory / "server" / "PG_VERSION").exists()
    end(process)
    wait_until_gone(outer)


def test_ctrl_c_in_the_terminal_reaches_the_parent_and_not_the_servers(install: Install) -> None:
    process, directory, pid = start(install)
    assert os.getpgid(pid) != os.getpgid(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    end(process)
    assert not directory.exists()

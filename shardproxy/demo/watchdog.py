"""A small process that ends the servers of a run when the process that started them is gone.

It reads what to guard from its standard input, one word and one path a line, and does its work at end of
file, which the kernel delivers even when the parent was killed with SIGKILL. (A parent-death signal would not
do: it belongs to the thread that started the server, and servers are started from short-lived threads.)
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import shardproxy

GRACE = 20.0
"""Seconds a server is given to shut down by itself before it is killed."""


class Watchdog:
    """Our end of the watchdog's pipe."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "shardproxy.demo.watchdog"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=our_environment(),
            cwd="/",
            start_new_session=True,
        )

    def guard_server(self, data_dir: Path) -> None:
        """End the postmaster of ``data_dir`` when we are gone."""
        self._say(f"server {data_dir}")

    def guard_directory(self, path: Path) -> None:
        """Remove ``path`` when we are gone, after its servers."""
        self._say(f"directory {path}")

    def guard_process(self, pid: int) -> None:
        """Send SIGTERM to ``pid``, a child of ours, when we are gone."""
        self._say(f"process {pid}")

    def release(self) -> None:
        """Stop guarding: the servers have ended and the directories are gone or to be kept."""
        self._say("release -")
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._process.wait()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        # One write below PIPE_BUF, so threads cannot mix their lines. A dead watchdog is no reason to fail.
        with suppress(OSError):
            os.write(self._process.stdin.fileno(), f"{line}\n".encode())


def our_environment() -> dict[str, str]:
    """The environment for a Python process of ours, which finds this package wherever we found it."""
    path = [str(Path(shardproxy.__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path)}


def postmaster_pid(data_dir: Path) -> int | None:
    """The live postmaster of ``data_dir``, or None; a stale file naming another process is not believed."""
    try:
        pid = int((data_dir / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    if not Path("/proc/self/cwd").exists():
        return pid
    with suppress(OSError):  # a process that has died and waits to be reaped has no cwd
        return pid if Path(os.readlink(f"/proc/{pid}/cwd")) == data_dir.resolve() else None
    return None


def is_alive(pid: int) -> bool:
    """Whether a process exists and is not merely waiting to be reaped."""
    if not Path("/proc/self/stat").exists():
        with suppress(ProcessLookupError):
            os.kill(pid, 0)
            return True
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def descendants(pid: int) -> list[int]:
    """The processes below ``pid``, parents before children; ``pid`` itself first."""
    children: dict[int, list[int]] = {}
    for child, parent in _all_processes():
        children.setdefault(parent, []).append(child)
    found = [pid]
    for each in found:
        found.extend(children.get(each, ()))
    return found


def _all_processes() -> Iterator[tuple[int, int]]:
    """(pid, parent pid) of every process of the machine."""
    if not Path("/proc/self/stat").exists():
        command = ["ps", "-A", "-o", "pid=,ppid="]
        listing = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
        for line in listing.stdout.splitlines():
            pid, parent = line.split()
            yield int(pid), int(parent)
        return
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                # "pid (name) state ppid ...": the name may contain anything, even ") ".
                stat = Path(entry.path, "stat").read_text()
                yield int(entry.name), int(stat.rpartition(")")[2].split()[1])


def signal_tree(pid: int, number: signal.Signals) -> list[int]:
    """Send SIGSTOP, SIGCONT or SIGKILL to ``pid`` and everything below it; returns those processes."""
    if number is signal.SIGCONT:
        tree = descendants(pid)
        signal_all(reversed(tree), number)
        return tree
    # All are stopped before any is killed, and the look is repeated, so that none forked meanwhile is missed.
    stopped: list[int] = []
    while new := [each for each in descendants(pid) if each not in stopped]:
        signal_all(new, signal.SIGSTOP)
        stopped += new
    if number is not signal.SIGSTOP:
        signal_all(stopped, number)
    return stopped


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send one signal to each process that still exists."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def main() -> None:
    """Read what to guard until end of file, then end it. Only our parent's death or release stops us."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    servers: list[Path] = []
    directories: list[Path] = []
    processes: list[int] = []
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "server":
            servers.append(Path(rest))
        elif word == "directory":
            directories.append(Path(rest))
        elif word == "process":
            processes.append(int(rest))
        elif word == "release":
            return
    signal_all(processes, signal.SIGTERM)
    _end_servers(servers, thrown_away=directories)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def _end_servers(servers: list[Path], *, thrown_away: list[Path]) -> None:
    for data_dir in servers:
        pid = postmaster_pid(data_dir)
        if pid is None:
            continue
        if any(data_dir.is_relative_to(directory) for directory in thrown_away):
            signal_tree(pid, signal.SIGKILL)
        else:
            signal_tree(pid, signal.SIGCONT)
            signal_all([pid], signal.SIGINT)
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline and any(postmaster_pid(each) for each in servers):
        time.sleep(0.05)
    for data_dir in servers:
        if (pid := postmaster_pid(data_dir)) is not None:
            signal_tree(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()

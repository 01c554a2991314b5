"""The mover as a process of its own, which can be stopped at a fail point, killed, and looked at."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from shardproxy.rebalance.fail_points import VARIABLE
from tests.rebalance.installed import OPERATOR, PASSWORD, Installed
from tests.support.proxy import ROOT


class Mover:
    """``shardproxy`` with arguments, against the installation. ``fail``: what SHARDPROXY_FAIL_POINT says.
    ``ports``: where it believes the primaries of these shards to be.
    """

    def __init__(
        self, installed: Installed, *arguments: str, fail: str = "", ports: Mapping[str, int] | None = None
    ) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="shardproxy-test-")
        config = Path(self._directory.name) / "shardproxy.yaml"
        sections = {"operator": {"user": OPERATOR, "password": PASSWORD}}
        said = installed.cluster.config(**sections)
        for shard in said["shards"]:
            if ports and shard["name"] in ports:
                shard["primary"] = f"127.0.0.1:{ports[shard['name']]}"
        config.write_text(yaml.safe_dump(said))
        config.chmod(0o600)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "shardproxy", *arguments, "-c", str(config), "--json"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {VARIABLE: fail, "TYPER_STANDARD_TRACEBACK": "1"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self._directory.cleanup()

    def wait_until_stopped(self) -> None:
        """Return when it has stopped itself at its fail point."""
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            self.process.returncode = os.waitstatus_to_exitcode(status)
            out, err = self.process.communicate()
            raise AssertionError(f"the mover did not come to its fail point: {out!r} {err!r}")

    def go_on(self) -> None:
        """Let it go on after its fail point."""
        self.process.send_signal(signal.SIGCONT)

    def wait_until_killed(self) -> None:
        """Return when it has killed itself at its fail point."""
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == -signal.SIGKILL, (self.process.returncode, out, err)

    def result(self, timeout: float = 60) -> dict[str, Any]:
        """What it says at its end, which must be a good one."""
        out, err = self.process.communicate(timeout=timeout)
        assert self.process.returncode == 0, f"exit {self.process.returncode}: {out.decode()}{err.decode()}"
        said: dict[str, Any] = json.loads(out)
        return said

"""The sidecar in front of the demo's shards: its configuration, and its process."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from shardproxy.demo.cluster import APP_PASSWORD, APP_USER, DATABASE, Shard
from shardproxy.demo.errors import DemoError
from shardproxy.demo.installation import OPERATOR
from shardproxy.demo.run import Run
from shardproxy.demo.watchdog import our_environment

_HEADER: Final = """\
# Written by shardproxy demo, anew at each start. config/shardproxy.example.yaml explains every option.
"""
_TENANT_TABLES: Final = ("tenants", "customers", "products", "orders", "order_items", "order_events")


def configuration(
    shards: Sequence[Shard], port: int, http_port: int, placed: str | None, operator: str
) -> dict[str, Any]:
    """The configuration file's content; ``placed`` is a tenant to place on the last shard, ``operator`` the
    password of the role OPERATOR.
    """
    return {
        "database": DATABASE,
        "listen": [f"127.0.0.1:{port}"],
        "http": {"host": "127.0.0.1", "port": http_port},
        "auth": {"method": "scram", "users": [{"name": APP_USER, "password": APP_PASSWORD}]},
        "console": {"admins": [APP_USER]},
        "server": {"user": APP_USER, "password": APP_PASSWORD},
        "operator": {"user": OPERATOR, "password": operator},
        "shards": [
            {
                "name": shard.name,
                "primary": f"127.0.0.1:{shard.primary.port}",
                "replicas": [f"127.0.0.1:{replica.port}" for replica in shard.replicas],
            }
            for shard in shards
        ],
        "groups": {"tenant": "text"},
        "placements": {} if placed is None else {placed: shards[-1].name},
        "tables": {"currencies": "reference"} | {name: {"key": "tenant_id"} for name in _TENANT_TABLES},
        "timeouts": {"drain": "3s"},
    }


def write_configuration(path: Path, content: dict[str, Any]) -> None:
    """Write the file; it has a password, so only its owner may read it."""
    path.touch(mode=0o600)
    path.write_text(_HEADER + yaml.safe_dump(content, sort_keys=False))


class Sidecar:
    """``shardproxy serve`` in a process of its own, which ends with the run."""

    def __init__(self, run: Run, config: Path, http_port: int) -> None:
        """Start it; see :meth:`wait_until_ready`."""
        self.http_port = http_port
        self.log_file = run.directory / "shardproxy.log"
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", "shardproxy", "serve", "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=our_environment(),
                start_new_session=True,
            )
        run.watchdog.guard_process(self._process.pid)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def wait_until_ready(self, timeout: float = 20.0) -> None:
        """Return when it answers /readyz with 200. :raises DemoError: it ended, or did not in time."""
        deadline = time.monotonic() + timeout
        url = f"http://127.0.0.1:{self.http_port}/readyz"
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(url, timeout=1) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.02)
        raise DemoError(f"the sidecar did not become ready:\n{self.log_tail()}")

    def wait(self) -> int:
        """Wait until it ends by itself; its exit status."""
        return self._process.wait()

    def stop(self, timeout: float = 10.0) -> None:
        """SIGTERM, which drains; SIGKILL after ``timeout`` seconds."""
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])

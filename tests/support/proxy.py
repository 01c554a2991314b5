"""The proxy as a process of its own, in front of a cluster."""

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from shardproxy.demo.cluster import APP_PASSWORD, APP_USER, DATABASE

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT = 30.0


class Proxy:
    """``shardproxy serve`` with ``config`` (a mapping as YAML has it) on a free loopback port.

    ``port`` and ``http_port`` are known after :meth:`start`; ``log`` is everything it wrote.
    """

    def __init__(self, config: dict[str, Any], *, socket_dir: Path | None = None) -> None:
        self.directory = tempfile.TemporaryDirectory(prefix="shardproxy-test-")
        self.path = Path(self.directory.name) / "shardproxy.yaml"
        self.log_path = Path(self.directory.name) / "log"
        self.config: dict[str, Any] = {
            "listen": ["127.0.0.1:0"],
            "http": {"host": "127.0.0.1", "port": 0},
            **config,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.http_port = 0

    def start(self) -> Self:
        """Start it, and return when it listens."""
        self.launch()
        match = self.wait_for_log(r"listening on [^\n]*?127\.0\.0\.1:(\d+)")
        self.port = int(match[1])
        return self

    def launch(self) -> None:
        """Start it, and return when it answers probes."""
        self.write_config()
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "shardproxy", "serve", "-c", str(self.path)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
        match = self.wait_for_log(r"http on 127\.0\.0\.1:(\d+)")
        self.http_port = int(match[1])

    def write_config(self) -> None:
        """Write the configuration file again."""
        self.path.write_text(yaml.safe_dump(self.config, sort_keys=False))
        self.path.chmod(0o600)

    @property
    def log(self) -> str:
        """What it has logged."""
        return self.log_path.read_text()

    def wait_for_log(self, pattern: str, timeout: float = START_TIMEOUT, *, after: int = 0) -> re.Match[str]:
        """Wait until the log matches ``pattern`` behind offset ``after``."""
        deadline = time.monotonic() + timeout
        assert self.process is not None
        while time.monotonic() < deadline:
            match = re.compile(pattern).search(self.log, after)
            if match is not None:
                return match
            if self.process.poll() is not None:
                raise AssertionError(f"shardproxy ended with {self.process.returncode}:\n{self.log}")
            select.select([], [], [], 0.02)
        raise AssertionError(f"{pattern!r} did not appear in the log:\n{self.log}")

    def dsn(self, *, user: str = APP_USER, password: str = APP_PASSWORD, database: str = DATABASE) -> str:
        """Where applications connect."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int:
        """The process."""
        assert self.process is not None
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def stop(self, timeout: float = 20.0) -> int:
        """SIGTERM, and its exit status; killed if it does not end."""
        process, self.process = self.process, None
        if process is None:
            return 0
        if process.poll() is None:
            process.terminate()
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"shardproxy did not end within {timeout} s:\n{self.log}") from None

    def kill(self) -> None:
        """SIGKILL."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.process is not None and self.process.poll() not in (None, 0):
                raise AssertionError(f"shardproxy ended with {self.process.returncode}:\n{self.log}")
            if error is not None:
                self.process is None or self.process.terminate()
            else:
                self.stop()
        finally:
            self.kill()
            self.directory.cleanup()

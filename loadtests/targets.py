"""What pgbench connects to: PostgreSQL itself, PgBouncer in front of it, or shardproxy in front of it."""

import json
import re
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtests.database import DATABASE, KEY, TABLES, USER
from loadtests.errors import BenchError
from loadtests.pgbench import Mode
from shardproxy.demo.errors import DemoError
from shardproxy.demo.os_user import OsUser
from shardproxy.demo.ports import PortLease
from shardproxy.demo.postgres import Server

_START_SECONDS = 20.0
_STOP_SECONDS = 10.0
_PREPARED_SINCE: Final = (1, 21)
"""The first PgBouncer that keeps protocol-level prepared statements in transaction pooling."""


class Target(ABC):
    """Something with a port. ``pid`` is the process whose processor time counts; None for the server
    itself.
    """

    name: str
    pid: int | None = None

    def __init__(self, server: Server) -> None:
        self.server = server

    @property
    @abstractmethod
    def port(self) -> int:
        """Its TCP port on 127.0.0.1."""

    def supports(self, mode: Mode) -> bool:
        """Whether pgbench's protocol can work through it."""
        return True

    @abstractmethod
    def start(self) -> None:
        """Start it and wait until it answers a query. Raises BenchError, with its log, when it does not."""

    @abstractmethod
    def stop(self) -> None:
        """End it."""


class Direct(Target):
    """PostgreSQL, with one server connection for each client."""

    name = "direct"

    @property
    def port(self) -> int:
        return self.server.port

    def start(self) -> None:
        """Nothing: it runs already."""

    def stop(self) -> None:
        """Nothing: its run ends it."""


class Pooler(Target):
    """A process in front of the server, with a directory for its configuration and its log.

    Mutable: ``_process``, while it runs.
    """

    def __init__(self, server: Server, directory: Path, pool_size: int) -> None:
        super().__init__(server)
        self.directory = directory
        self.pool_size = pool_size
        self._lease = PortLease.take()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return self._lease.port

    @property
    def pid(self) -> int | None:  # type: ignore[override]
        return self._process.pid if self._process is not None else None

    @abstractmethod
    def configuration(self) -> str:
        """The text of its configuration file."""

    @abstractmethod
    def _command(self, configuration: Path) -> list[str | Path]: ...

    def start(self) -> None:
        user = self.server.install.os_user
        home = user.make_directory(self.directory / self.name, 0o755)
        configuration = home / "configuration"
        configuration.write_text(self.configuration())
        with (home / "log").open("wb") as log:
            try:
                self._process = self._launch(user, self._command(configuration), log.fileno())
            except OSError as error:
                raise BenchError(f"{self.name} cannot be executed: {error}") from error
        deadline = time.monotonic() + _START_SECONDS
        while not answers(self.server, self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise BenchError(f"{self.name} did not start: {(home / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def _launch(self, user: OsUser, command: list[str | Path], log: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        self._lease.release()


class PgBouncer(Pooler):
    """PgBouncer with transaction pooling. Its versions before 1.21 cannot keep prepared statements there."""

    name = "pgbouncer"

    def __init__(self, server: Server, directory: Path, pool_size: int, program: Path) -> None:
        super().__init__(server, directory, pool_size)
        self.program = program
        self.version = version_of(program)

    def supports(self, mode: Mode) -> bool:
        return mode is not Mode.PREPARED or self.version >= _PREPARED_SINCE

    def configuration(self) -> str:
        prepared = "max_prepared_statements = 200\n" if self.version >= _PREPARED_SINCE else ""
        return (
            "[databases]\n"
            f"{DATABASE} = host=127.0.0.1 port={self.server.port} dbname={DATABASE} user={USER}\n"
            "[pgbouncer]\n"
            "listen_addr = 127.0.0.1\n"
            f"listen_port = {self.port}\n"
            "unix_socket_dir =\n"
            "auth_type = any\n"
            "pool_mode = transaction\n"
            f"default_pool_size = {self.pool_size}\n"
            "max_client_conn = 1000\n"
            "log_connections = 0\n"
            "log_disconnections = 0\n" + prepared
        )

    def _command(self, configuration: Path) -> list[str | Path]:
        return [self.program, configuration]

    def _launch(self, user: OsUser, command: list[str | Path], log: int) -> subprocess.Popen[bytes]:
        with open(log, "wb", closefd=False) as output:  # PgBouncer, too, refuses to be root
            return user.start(command, output=output)


class Shardproxy(Pooler):
    """The sidecar with one shard, so that the same server answers as for the others."""

    name = "shardproxy"

    def configuration(self) -> str:
        # JSON is YAML, and json.dumps quotes.
        return json.dumps(
            {
                "database": DATABASE,
                "listen": [f"127.0.0.1:{self.port}"],
                "http": "off",
                "auth": {"method": "trust"},
                "server": {"user": USER},
                "shards": [{"name": "only", "primary": f"127.0.0.1:{self.server.port}"}],
                "groups": {"tenant": "int4"},
                "tables": {table: {"key": KEY} for table in TABLES},
                "pool": {"size": self.pool_size},
                "log": {"level": "warning"},
            },
            indent=2,
        )

    def _command(self, configuration: Path) -> list[str | Path]:
        return [sys.executable, "-m", "shardproxy", "serve", "-c", configuration]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A target that is not there, and why."""

    name: str
    reason: str


def find_pgbouncer() -> Path | None:
    """The program, if it is installed; Debian puts it where only root looks."""
    found = shutil.which("pgbouncer", path="/usr/local/bin:/usr/bin:/usr/local/sbin:/usr/sbin")
    return Path(found) if found else None


def version_of(program: Path) -> tuple[int, int]:
    """(major, minor) of a PgBouncer."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"PgBouncer (\d+)\.(\d+)", said)
    if match is None:
        raise BenchError(f"{program} does not tell its version: {said.strip()[:200]}")
    return int(match[1]), int(match[2])


def answers(server: Server, port: int) -> bool:
    """Whether a query through ``port`` is answered."""
    words = ["-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", str(port), "-U", USER, "-d", DATABASE]
    with suppress(DemoError):
        query = f"SELECT bbalance FROM bench_tenants WHERE {KEY} = 1"
        return bool(server.install.os_user.run([server.install.bin("psql"), *words, "-c", query]).strip())
    return False

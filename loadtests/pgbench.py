"""One run of pgbench, and what it printed."""

import re
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from loadtests.errors import BenchError

SCRIPTS = Path(__file__).with_name("scripts")


class Script(StrEnum):
    """A transaction; the value is its file's name."""

    SELECT_ONLY = "select-only"
    TPCB_LIKE = "tpcb-like"

    @property
    def path(self) -> Path:
        """The pgbench script."""
        return SCRIPTS / f"{self.value}.sql"

    @property
    def statements(self) -> int:
        """Statements in one transaction, BEGIN and END included."""
        return sum(line.endswith(";\n") for line in self.path.open())


class Mode(StrEnum):
    """pgbench's ``--protocol``: simple queries, Parse every time, or Parse once."""

    SIMPLE = "simple"
    EXTENDED = "extended"
    PREPARED = "prepared"


@dataclass(frozen=True, slots=True)
class Load:
    """What one run does. ``seconds`` is its length; ``tenants`` how many there are rows of."""

    script: Script
    mode: Mode
    clients: int
    seconds: int
    tenants: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What pgbench counted. ``tps`` leaves out the time to connect; ``latency_ms`` is the mean of a
    transaction.
    """

    transactions: int
    tps: float
    latency_ms: float


_TRANSACTIONS = re.compile(r"^number of transactions actually processed: (\d+)", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: (\d+)", re.MULTILINE)
_LATENCY = re.compile(r"^latency average = ([\d.]+) ms", re.MULTILINE)
_TPS = re.compile(r"^tps = ([\d.]+) \(without initial connection time\)", re.MULTILINE)


def command(program: Path, load: Load, *, port: int, user: str, dbname: str) -> list[str]:
    """The command line. One thread: on a small machine more would take processors from what is measured."""
    return [
        str(program),
        "--no-vacuum",
        f"--file={load.script.path}",
        f"--protocol={load.mode}",
        f"--client={load.clients}",
        "--jobs=1",
        f"--time={load.seconds}",
        f"--define=tenants={load.tenants}",
        "--host=127.0.0.1",
        f"--port={port}",
        f"--username={user}",
        dbname,
    ]


def run(words: list[str], *, timeout: float) -> Outcome:
    """Run pgbench to its end, at most ``timeout`` seconds. Raises BenchError for any failed transaction."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"pgbench did not end within {timeout:g} s: {' '.join(words)}") from error
    if done.returncode != 0:
        raise BenchError(f"pgbench ended with status {done.returncode}: {_tail(done.stderr)}")
    return parse(done.stdout)


def parse(printed: str) -> Outcome:
    """The figures in pgbench's summary (PostgreSQL 15 to 18). Raises BenchError when it reports failures."""
    found = [pattern.search(printed) for pattern in (_TRANSACTIONS, _LATENCY, _TPS)]
    failed = _FAILED.search(printed)
    if any(match is None for match in found):
        raise BenchError(f"pgbench's summary is not understood: {_tail(printed)}")
    if failed is not None and int(failed[1]):
        raise BenchError(f"{failed[1]} transactions failed, so the figures mean nothing")
    transactions, latency, tps = (match[1] for match in found if match is not None)
    return Outcome(int(transactions), float(tps), float(latency))


def _tail(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-4:])

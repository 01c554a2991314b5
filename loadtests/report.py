"""The table for people and the JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.table import Table

from loadtests.machine import Machine
from loadtests.plan import Plan
from loadtests.results import Measurement, Summary
from loadtests.targets import Skipped

_WORDS: Final = ("script", "protocol", "through")
_COLUMNS: Final = (
    "script",
    "protocol",
    "clients",
    "through",
    "tps",
    "spread",
    "of direct",
    "latency ms",
    "CPU µs",
)


def table(summaries: Sequence[Summary]) -> Table:
    """One line for each cell and target; a rule between cells."""
    title = "medians over the rounds; CPU µs is the pooler's processor time for one statement"
    result = Table(title=title, title_justify="left")
    for name in _COLUMNS:
        result.add_column(name, justify="left" if name in _WORDS else "right", no_wrap=True)
    previous = None
    for summary in summaries:
        cell = (summary.script, summary.mode, summary.clients)
        if previous is not None and cell != previous:
            result.add_section()
        result.add_row(*_row(summary))
        previous = cell
    return result


def markdown(summaries: Sequence[Summary]) -> str:
    """The same as a Markdown table, for ``loadtests/README.md``."""
    rows = [_COLUMNS, ("---", "---", "--:", "---", *["--:"] * 5), *map(_row, summaries)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


@dataclass(frozen=True, slots=True)
class Document:
    """Everything one bench has to say."""

    machine: Machine
    plan: Plan
    skipped: tuple[Skipped, ...]
    summary: tuple[Summary, ...]
    runs: tuple[Measurement, ...]

    def write(self, directory: Path) -> Path:
        """Write it as JSON to ``directory/<UTC time>.json`` and return the path."""
        now = datetime.now(UTC)
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{now:%Y%m%dT%H%M%SZ}.json"
        content = {"at": now.isoformat(timespec="seconds")} | asdict(self)
        path.write_text(json.dumps(content, indent=2) + "\n")
        return path


def _row(summary: Summary) -> tuple[str, ...]:
    return (
        summary.script,
        summary.mode,
        str(summary.clients),
        summary.target,
        f"{summary.tps:,.0f}",
        f"{summary.spread:.0%}",
        "" if summary.ratio is None else f"{summary.ratio:.2f}",
        f"{summary.latency_ms:.2f}",
        "" if summary.cpu_us is None else f"{summary.cpu_us:.1f}",
    )

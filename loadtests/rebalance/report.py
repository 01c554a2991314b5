"""What a measurement says: a table for people, JSON for programs, and the picture beside it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table

from loadtests.machine import Machine
from loadtests.rebalance.chart import svg
from loadtests.rebalance.timeline import Phase, Sample, Summary, buckets, summarise


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run: the command, its exit status, what was asked for, and every transaction."""

    command: tuple[str, ...]
    status: int
    settings: Mapping[str, float]
    phases: tuple[Phase, ...]
    samples: tuple[Sample, ...]

    @property
    def summaries(self) -> list[Summary]:
        """The figures."""
        return summarise(self.samples, self.phases)

    @property
    def groups(self) -> list[str]:
        """Every group that did something."""
        return list(dict.fromkeys(sample.group for sample in self.samples))

    @property
    def errors(self) -> Counter[str]:
        """What clients were told, by group and SQLSTATE."""
        return Counter(
            f"{sample.group}: {sample.error}" for sample in self.samples if sample.error is not None
        )


def table(summaries: Sequence[Summary]) -> Table:
    """One line for each group and phase."""
    result = Table(title="ms; pause is the longest statement", title_justify="left")
    for name in ("tenant", "phase"):
        result.add_column(name)
    for name in ("transactions", "per s", "p50", "p99", "max", "pause", "errors"):
        result.add_column(name, justify="right")
    for each in summaries:
        figures = (each.p50_ms, each.p99_ms, each.max_ms, each.pause_ms)
        result.add_row(
            each.group,
            each.phase,
            f"{each.transactions:,}",
            f"{each.per_second:,.0f}",
            *(f"{figure:,.1f}" for figure in figures),
            str(each.errors),
        )
    return result


def write(measurement: Measurement, machine: Machine, directory: Path) -> tuple[Path, Path]:
    """Write ``rebalance-<UTC time>.json`` and ``.svg``; their paths."""
    now = datetime.now(UTC)
    timelines = {group: buckets(measurement.samples, group) for group in measurement.groups}
    document = {
        "at": now.isoformat(timespec="seconds"),
        "machine": asdict(machine),
        "command": measurement.command,
        "status": measurement.status,
        "settings": dict(measurement.settings),
        "phases": [asdict(phase) for phase in measurement.phases],
        "summary": [asdict(summary) for summary in measurement.summaries],
        "errors": measurement.errors,
        "timeline": {group: [asdict(bucket) for bucket in timeline] for group, timeline in timelines.items()},
    }
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"rebalance-{now:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    picture = path.with_suffix(".svg")
    picture.write_text(svg(timelines, measurement.phases, " ".join(measurement.command)))
    return path, picture

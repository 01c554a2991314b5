"""What happened when: samples of transactions, put together by 50 ms and by phase. Times are seconds since
the beginning.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

BUCKET: Final = 0.05


@dataclass(frozen=True, slots=True)
class Sample:
    """One transaction. ``due`` is when it should have begun, so that one that had to wait behind others in
    the application took as long as it would have seemed; ``statement`` is the longest of its statements.
    ``error`` is the SQLSTATE, or name, of what went wrong.
    """

    group: str
    due: float
    latency: float
    statement: float
    error: str | None = None

    @property
    def ended(self) -> float:
        """When it was over."""
        return self.due + self.latency


@dataclass(frozen=True, slots=True)
class Bucket:
    """50 ms of a group: transactions that ended in it, errors among them, and of those due in it the median
    and the longest latency and the longest statement, in milliseconds.
    """

    at: float
    ended: int
    errors: int
    p50_ms: float
    max_ms: float
    statement_ms: float


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the run: before, during or after the command."""

    name: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Summary:
    """A group in a phase, by the transactions due in it. ``pause_ms`` is the longest statement."""

    group: str
    phase: str
    transactions: int
    per_second: float
    errors: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    pause_ms: float


def buckets(samples: Iterable[Sample], group: str) -> list[Bucket]:
    """Every 50 ms of a group from the beginning to its last sample's end."""
    mine = [sample for sample in samples if sample.group == group]
    if not mine:
        return []
    due: dict[int, list[Sample]] = defaultdict(list)
    ended: dict[int, list[Sample]] = defaultdict(list)
    for sample in mine:
        due[int(sample.due / BUCKET)].append(sample)
        ended[int(sample.ended / BUCKET)].append(sample)
    return [_bucket(number, due[number], ended[number]) for number in range(max(ended) + 1)]


def _bucket(number: int, due: Sequence[Sample], ended: Sequence[Sample]) -> Bucket:
    latencies = sorted(sample.latency for sample in due)
    return Bucket(
        at=round(number * BUCKET, 3),
        ended=len(ended),
        errors=sum(sample.error is not None for sample in ended),
        p50_ms=_ms(quantile(latencies, 0.5)),
        max_ms=_ms(quantile(latencies, 1)),
        statement_ms=_ms(max((sample.statement for sample in due), default=0)),
    )


def summarise(samples: Iterable[Sample], phases: Sequence[Phase]) -> list[Summary]:
    """Each group in each phase, in that order; phases without a transaction are left out."""
    cells: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        for phase in phases:
            if phase.began <= sample.due < phase.ended:
                cells[sample.group, phase.name].append(sample)
    groups = dict.fromkeys(group for group, _ in cells)
    return [
        _summary(group, phase, cells[group, phase.name])
        for group in groups
        for phase in phases
        if (group, phase.name) in cells
    ]


def _summary(group: str, phase: Phase, samples: Sequence[Sample]) -> Summary:
    latencies = sorted(sample.latency for sample in samples)
    return Summary(
        group=group,
        phase=phase.name,
        transactions=len(samples),
        per_second=round(len(samples) / (phase.ended - phase.began), 1),
        errors=sum(sample.error is not None for sample in samples),
        p50_ms=_ms(quantile(latencies, 0.5)),
        p99_ms=_ms(quantile(latencies, 0.99)),
        max_ms=_ms(latencies[-1]),
        pause_ms=_ms(max(sample.statement for sample in samples)),
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that ``share`` of the ordered values do not exceed; 0 of none."""
    if not ordered:
        return 0.0
    return ordered[max(0, min(len(ordered) - 1, round(share * len(ordered) + 0.499999) - 1))]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)

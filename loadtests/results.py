"""Runs, and what they come to: medians over the rounds, and ratios to the direct connection."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from loadtests.pgbench import Load, Outcome

DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run. ``cpu_us`` is the pooler's processor time in microseconds per statement; None for direct."""

    round: int
    target: str
    script: str
    mode: str
    clients: int
    transactions: int
    tps: float
    latency_ms: float
    cpu_us: float | None

    @classmethod
    def of(
        cls, round_number: int, target: str, load: Load, outcome: Outcome, cpu_seconds: float | None
    ) -> "Measurement":
        """The run of ``load`` through ``target``; ``cpu_seconds`` is what its process used meanwhile."""
        statements = outcome.transactions * load.script.statements
        return cls(
            round=round_number,
            target=target,
            script=load.script.value,
            mode=load.mode.value,
            clients=load.clients,
            transactions=outcome.transactions,
            tps=outcome.tps,
            latency_ms=outcome.latency_ms,
            cpu_us=None if cpu_seconds is None else 1e6 * cpu_seconds / max(1, statements),
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """A cell through one target: medians over its rounds. ``ratio`` is tps relative to direct, None without
    one.

    ``spread`` is (largest - smallest tps) / median: how much to believe it.
    """

    script: str
    mode: str
    clients: int
    target: str
    tps: float
    spread: float
    ratio: float | None
    latency_ms: float
    cpu_us: float | None


def summarise(runs: Iterable[Measurement]) -> list[Summary]:
    """One summary for each cell and target, in the order in which they first ran."""
    groups: dict[tuple[str, str, int], dict[str, list[Measurement]]] = {}
    for run in runs:
        groups.setdefault((run.script, run.mode, run.clients), {}).setdefault(run.target, []).append(run)
    summaries = []
    for (script, mode, clients), targets in groups.items():
        direct = median(run.tps for run in targets[DIRECT]) if DIRECT in targets else None
        for target, rounds in sorted(targets.items(), key=lambda item: _ORDER.get(item[0], len(_ORDER))):
            tps = [run.tps for run in rounds]
            middle = median(tps)
            summaries.append(
                Summary(
                    script=script,
                    mode=mode,
                    clients=clients,
                    target=target,
                    tps=middle,
                    spread=(max(tps) - min(tps)) / middle,
                    ratio=middle / direct if direct and target != DIRECT else None,
                    latency_ms=median(run.latency_ms for run in rounds),
                    cpu_us=_median([run.cpu_us for run in rounds if run.cpu_us is not None]),
                )
            )
    return summaries


_ORDER = {DIRECT: 0, "pgbouncer": 1, "shardproxy": 2}


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None

"""Which runs, in which order: rounds over all cells, and within a cell the targets one after the other.

Targets that are compared run within seconds of each other, so a machine that becomes slower or faster does it
to all of them; each round begins with another target.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loadtests.pgbench import Load, Mode, Script

START_STOP_SECONDS = 0.4
"""What a run costs besides its seconds: pgbench's start, its connections, its end."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured. ``seconds`` is one run; every combination of script, mode and clients is a cell."""

    scripts: tuple[Script, ...]
    modes: tuple[Mode, ...]
    clients: tuple[int, ...]
    rounds: int
    seconds: int
    tenants: int

    def cells(self) -> Iterator[Load]:
        """Every combination once."""
        for script in self.scripts:
            for mode in self.modes:
                for clients in self.clients:
                    yield Load(script, mode, clients, self.seconds, self.tenants)

    def estimate(self, targets: int) -> float:
        """Seconds the whole takes for that many targets, warm-up included."""
        cells = len(self.scripts) * len(self.modes) * len(self.clients)
        warm_up = targets * len(self.scripts)
        return (self.seconds + START_STOP_SECONDS) * (self.rounds * cells * targets + warm_up)


def rotated(targets: Sequence[str], round_number: int) -> list[str]:
    """The order of the targets in a round: each round begins with the next one."""
    start = round_number % len(targets)
    return [*targets[start:], *targets[:start]]

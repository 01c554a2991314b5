"""What a move tells of itself while it runs."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Overall:
    """How far a series of moves is: what has moved of what has to, and the seconds that it has taken."""

    buckets: int
    total_buckets: int
    keys: int
    total_keys: int
    rows: int
    total_rows: int
    bytes: int
    total_bytes: int
    seconds: float

    @property
    def share(self) -> float:
        """From 0 to 1: of the rows, or where there are none of the buckets and keys."""
        if self.total_rows:
            return min(1.0, self.rows / self.total_rows)
        return (self.buckets + self.keys) / max(1, self.total_buckets + self.total_keys)

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds if self.seconds else 0.0

    @property
    def to_go(self) -> float | None:
        """Seconds that the rest will take, if it is as quick as what is done; None: not known yet."""
        return self.seconds * (1 - self.share) / self.share if self.share else None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a move is. ``what`` is a line for people. ``rows`` and ``bytes`` are those that the step has
    dealt with, of ``total_rows`` and ``total_bytes``; ``lag`` is the stream's in seconds, ``lag_bytes`` in
    bytes of WAL. None: not known in this step. ``begins``: the step begins. ``overall``: of a series.
    """

    step: str
    what: str
    move: int | None = None
    rows: int | None = None
    total_rows: int | None = None
    bytes: int | None = None
    total_bytes: int | None = None
    lag: float | None = None
    lag_bytes: int | None = None
    begins: bool = False
    overall: Overall | None = None

    def to_json(self) -> dict[str, Any]:
        """Without what is not known."""
        return {name: value for name, value in asdict(self).items() if value is not None}


Report = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """A report to nobody."""

"""What a move tells of itself while it runs."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a move is. ``what`` is a line for people. ``rows`` and ``bytes`` are those that the step has
    dealt with, of ``total_rows`` and ``total_bytes``; ``lag`` is the stream's in seconds, ``lag_bytes`` in
    bytes of WAL. None: not known in this step. ``begins``: the step begins.
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

    def to_json(self) -> dict[str, Any]:
        """Without what is not known."""
        return {name: value for name, value in asdict(self).items() if value is not None}


Report = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """A report to nobody."""

"""How a move goes about it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class MoveOptions:
    """Durations are in seconds; 0 means no limit where a limit is optional.

    ``max_rate``: rows copied or deleted in a second; ``max_bytes``: bytes copied in a second. ``max_lag``:
    the cut-over does not begin while a row takes longer than that to the target. ``max_pause``: a cut-over
    that cannot be finished in that time is taken back and tried again; the first tries are shorter.
    ``cut_over_attempts``: how often. ``grace``: sessions that hold up the retirement of an old epoch for
    longer are terminated. ``patience``: how long servers may be away before the driver gives up (the move can
    then be resumed). ``workers``: tables that are copied at the same time. ``concurrent``: unfinished moves
    that one shard may take part in. ``batch``: rows deleted in one transaction. ``rollback_window``: how long
    the source's rows are kept current after the cut-over, so that the move can be rolled back.
    ``way_back``: prepare for that, as far as the servers can, also without a window, so that a move whose
    verification finds differences reverses itself. ``offline``: follow no stream, and hold the rows while
    they are copied and compared; it has no way back.
    """

    max_rate: int = 0
    max_bytes: int = 0
    max_lag: float = 0.1
    max_pause: float = 2.0
    cut_over_attempts: int = 20
    grace: float = 30.0
    patience: float = PATIENCE
    workers: int = 2
    concurrent: int = 4
    batch: int = 5000
    rollback_window: float = 0.0
    way_back: bool = True
    offline: bool = False

    @property
    def has_way_back(self) -> bool:
        """Whether one is to be prepared."""
        return not self.offline and (self.way_back or self.rollback_window > 0)

    def to_json(self) -> dict[str, Any]:
        """As the journal keeps them."""
        return asdict(self)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """From the journal; what another version wrote and we do not know is left out."""
        known = {name: said[name] for name in cls.__dataclass_fields__ if name in said}
        return cls(**known)

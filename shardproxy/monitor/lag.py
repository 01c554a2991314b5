"""How far a replica is behind its primary, in bytes of WAL and in seconds, measured with our own clock.

``now() - pg_last_xact_replay_timestamp()`` alone misleads: it grows on an idle primary, and it compares the
clocks of two machines. So the primary's position is remembered with the time it was seen at: a replica that
has replayed up to a remembered position had everything at that time, and is behind by what has passed
since.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from shardproxy.monitor.servers import Sighting

REMEMBERED: Final = 600
"""Positions of the primary that are kept: five minutes at two looks a second."""


@dataclass(frozen=True, slots=True)
class Lag:
    """``bytes`` of WAL and ``seconds``; None when nothing is known."""

    bytes: int | None
    seconds: float | None


class PrimaryHistory:
    """The positions (bytes) of one primary with the time (seconds) each was seen at, oldest first, both
    rising."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=REMEMBERED)

    def record(self, now: float, written: int) -> None:
        """The primary has written up to ``written``."""
        self._seen.append((now, written))

    def clear(self) -> None:
        """Forget everything: another server is the primary now."""
        self._seen.clear()

    @property
    def newest(self) -> tuple[float, int] | None:
        """The last time and position seen."""
        return self._seen[-1] if self._seen else None

    @property
    def oldest(self) -> tuple[float, int] | None:
        """The first time and position remembered."""
        return self._seen[0] if self._seen else None

    def complete_at(self, replayed: int) -> float | None:
        """The latest remembered time up to which who has replayed ``replayed`` had everything."""
        return next((seen for seen, written in reversed(self._seen) if written <= replayed), None)


def measure(replica: Sighting, history: PrimaryHistory, *, primary_reachable: bool, now: float) -> Lag:
    """The lag of a replica that was seen just now.

    While the primary answers, seconds are exact to one interval between looks: 0 means that the replica has
    all that the primary had at the last look. While it does not, a replica that still streams and has
    replayed all it received counts as complete, and the lag of any other grows from the last time it was
    known to be.
    """
    if replica.replayed is None:
        return Lag(None, None)
    if primary_reachable:
        return Lag(_bytes(replica, history), _seconds(replica, history, now))
    received_all = replica.received is None or replica.received <= replica.replayed
    if replica.streaming and received_all:
        return Lag(0, 0.0)
    complete = history.complete_at(replica.replayed)
    return Lag(_bytes(replica, history), replica.replay_age if complete is None else now - complete)


def _bytes(replica: Sighting, history: PrimaryHistory) -> int | None:
    ends = [written for _, written in filter(None, (history.newest,))]
    if replica.received is not None:
        ends.append(replica.received)
    return max(0, max(ends) - (replica.replayed or 0)) if ends else None


def _seconds(replica: Sighting, history: PrimaryHistory, now: float) -> float | None:
    newest, oldest = history.newest, history.oldest
    if newest is None or oldest is None:
        return replica.replay_age
    complete = history.complete_at(replica.replayed or 0)
    if complete is None:
        # Behind since before we began to look; its own clock says how long, ours how long at least.
        return max(replica.replay_age or 0.0, now - oldest[0])
    return 0.0 if complete == newest[0] else now - complete

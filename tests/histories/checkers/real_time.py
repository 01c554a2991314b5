"""Real time: what is known to be over before something begins comes before it.

For a key whose states have one order, each write and each read has a position in it. The history is
linearizable if moments can be chosen, one within each interval, that follow the positions; and they can unless
something of a higher position was over before something of a lower one began.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import groupby

from tests.histories.checkers.anomaly import Anomaly, Kind
from tests.histories.history import Key


class Scope(Enum):
    """Whose knowledge a read must not fall behind."""

    EVERYBODY = auto()
    """What anybody knows, as on one server."""
    SESSION = auto()
    """What its own session has written and read."""
    OWN_WRITES = auto()
    """What its own session has written, as a causal read on a replica."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The write that made the state at ``position``, or a read of that state, within [began, ended]."""

    position: int
    is_read: bool
    session: int
    began: int
    ended: int


def violations(key: Key, moments: Iterable[Moment], scope: Scope) -> Iterator[Anomaly]:
    """What does not fit into one line of time."""
    if scope is Scope.EVERYBODY:
        yield from _out_of_line(key, list(moments), scope)
        return
    for _, group in groupby(sorted(moments, key=lambda each: each.session), lambda each: each.session):
        yield from _out_of_line(key, list(group), scope)


def _out_of_line(key: Key, moments: list[Moment], scope: Scope) -> Iterator[Anomaly]:
    """Go through the states, oldest first: a state's write, then its reads, which have no order."""
    last_write: Moment | None = None
    last_read: Moment | None = None
    in_line = sorted(moments, key=lambda each: (each.position, each.is_read))
    for _, group in groupby(in_line, lambda each: (each.position, each.is_read)):
        peers = list(group)
        for each in peers:
            earlier = [last_write, last_read]
            if each.is_read and scope is Scope.OWN_WRITES:
                earlier = [last_write]
            for one in earlier:
                if one is not None and each.ended < one.began:
                    yield Anomaly(_kind(one, each), key, f"{each} was over before {one} began")
        latest = max(peers, key=lambda each: each.began)
        if latest.is_read:
            last_read = latest if last_read is None or latest.began > last_read.began else last_read
        else:
            last_write = latest if last_write is None or latest.began > last_write.began else last_write


def _kind(lower: Moment, higher: Moment) -> Kind:
    """``higher`` was over before ``lower`` began."""
    if lower.is_read:
        return Kind.STALE
    return Kind.FUTURE if higher.is_read else Kind.REORDERED

"""Every element of a set is absent, then there, then absent again, each at most once, in agreement with real time;
and of two reads one has everything that the other has.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from tests.histories.checkers.anomaly import Anomaly, Kind
from tests.histories.checkers.elements import Life, lives
from tests.histories.checkers.real_time import Scope
from tests.histories.history import NEVER, Element, External, History, Key, Outcome, Transaction


def sets(history: History, scope: Scope = Scope.EVERYBODY) -> list[Anomaly]:
    """Reads that contradict one another or real time. That states only grow is asked of what everybody reads in
    one place: a replica may show commits in another order than its primary.
    """
    known: dict[Key, dict[Element, Life]] = defaultdict(dict)
    for (key, element), life in lives(history).items():
        known[key][element] = life
    reads: dict[Key, list[External]] = defaultdict(list)
    for external in history.externals():
        reads[external.read.key].append(external)
    found: list[Anomaly] = []
    for key, there in known.items():
        if scope is Scope.EVERYBODY and not any(life.removals for life in there.values()):
            found += _forks(key, reads[key])
        observers = list(_observers(reads[key], scope))
        for element, life in there.items():
            for observer in observers:
                found += observer.contradictions(key, element, life)
    return found


def _forks(key: Key, reads: Iterable[External]) -> Iterator[Anomaly]:
    by_size = sorted({frozenset(external.value) for external in reads}, key=len)
    for smaller, larger in pairwise(by_size):
        if not smaller <= larger:
            yield Anomaly(
                Kind.FORKED, key, f"one read had {set(smaller - larger)}, another {set(larger - smaller)}"
            )


def _observers(reads: list[External], scope: Scope) -> Iterator["_Observer"]:
    if scope is Scope.EVERYBODY:
        yield _Observer(None, reads, learns_from_reads=True)
        return
    for session in {each.transaction.session for each in reads}:
        mine = [each for each in reads if each.transaction.session == session]
        yield _Observer(session, mine, learns_from_reads=scope is Scope.SESSION)


@dataclass(frozen=True, slots=True)
class _Observer:
    """Who must not be shown what is older than what he knows: a session, or (None) everybody together."""

    session: int | None
    reads: list[External]
    learns_from_reads: bool

    def contradictions(self, key: Key, element: Element, life: Life) -> Iterator[Anomaly]:
        """Reads that show the element too early, too late, or not though it is there."""
        showing = [each for each in self.reads if element in each.value]
        missing = [each for each in self.reads if element not in each.value and element not in each.own]
        present = self._knows(life.added)
        if self.learns_from_reads:
            present = min([present, *(each.read.ended for each in showing)])
        later = [each for each in missing if each.read.began > present]
        absent = min(map(self._knows, life.removals), default=NEVER)
        if self.learns_from_reads:
            absent = min([absent, *(each.read.ended for each in later)])
        possible = [each.committing for each in life.removals if each.outcome is not Outcome.FAILED]
        for each in showing:
            if each.read.ended < life.added.committing:
                yield Anomaly(Kind.FUTURE, key, f"{element} in {each.transaction}, before {life.added}")
            if each.read.began > absent:
                yield Anomaly(Kind.RETURNED, key, f"{element} in {each.transaction}, gone since {absent}")
        for each in later:
            if each.read.ended < min(possible, default=NEVER):
                yield Anomaly(Kind.STALE, key, f"no {element} in {each.transaction}, there since {present}")

    def _knows(self, writer: Transaction) -> int:
        """When the effect of a write is known."""
        return writer.settled if self.session in (None, writer.session) else NEVER

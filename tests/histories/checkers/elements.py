"""acknowledged ⊆ final ⊆ attempted, for every element of every list and set; none twice, no transaction in part."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.histories.checkers.anomaly import Anomaly, Kind
from tests.histories.history import Append, Element, History, Key, Outcome, Read, Remove, Transaction


@dataclass(slots=True)
class Life:
    """Who put an element where it is, and who (wanted to) take it away."""

    added: Transaction
    removals: list[Transaction] = field(default_factory=list)

    @property
    def surely_removed(self) -> bool:
        """A removal was acknowledged."""
        return any(each.outcome is Outcome.OK for each in self.removals)

    @property
    def maybe_removed(self) -> bool:
        """A removal may have taken effect."""
        return any(each.outcome is not Outcome.FAILED for each in self.removals)


Lives = dict[tuple[Key, Element], Life]
There = dict[Key, frozenset[Element]]
"""The final state of lists and sets."""


def lives(history: History) -> Lives:
    """Every element that was ever put anywhere. :raises ValueError: one is put twice: a mistake of the workload."""
    found: Lives = {}
    for transaction, step in history.steps():
        if isinstance(step, Append):
            if (step.key, step.element) in found:
                raise ValueError(f"{step} is attempted twice, so its fate cannot be known")
            found[step.key, step.element] = Life(transaction)
    for transaction, step in history.steps():
        if isinstance(step, Remove) and (step.key, step.element) in found:
            found[step.key, step.element].removals.append(transaction)
    return found


def elements(history: History) -> list[Anomaly]:
    """Whatever is wrong with what is there at the end, and with elements in reads."""
    known = lives(history)
    there = {key: frozenset(value) for key, value in history.final.items() if isinstance(value, tuple)}
    return [
        *_doubled(history),
        *_finally(there, known),
        *_lost(there, known),
        *_torn(history, there, known),
        *_read(history, there, known),
    ]


def _doubled(history: History) -> Iterator[Anomaly]:
    reads = [(step.key, step.value) for _, step in history.steps() if isinstance(step, Read)]
    for key, value in [*reads, *history.final.items()]:
        if isinstance(value, tuple) and len(set(value)) < len(value):
            twice = [element for element, count in Counter(value).items() if count > 1]
            yield Anomaly(Kind.DOUBLED, key, f"{twice} in {value}")


def _finally(there: There, known: Lives) -> Iterator[Anomaly]:
    """final ⊆ attempted."""
    for key, value in there.items():
        for element in value:
            life = known.get((key, element))
            if life is None:
                yield Anomaly(Kind.FROM_NOWHERE, key, f"{element} is there at the end")
            elif life.added.outcome is Outcome.FAILED:
                yield Anomaly(Kind.UNDONE, key, f"{element} is there at the end, of {life.added}")
            elif life.surely_removed:
                yield Anomaly(
                    Kind.RETURNED, key, f"{element} is there at the end, removed by {life.removals}"
                )


def _lost(there: There, known: Lives) -> Iterator[Anomaly]:
    """acknowledged ⊆ final."""
    for (key, element), life in known.items():
        stays = life.added.outcome is Outcome.OK and not life.maybe_removed
        if stays and element not in there.get(key, (element,)):
            yield Anomaly(Kind.LOST, key, f"{element} of {life.added}")


def _torn(history: History, there: There, known: Lives) -> Iterator[Anomaly]:
    """A transaction of unknown outcome took effect with all of its writes or with none."""
    for transaction in history.transactions:
        if transaction.outcome is Outcome.UNKNOWN:
            traces = {
                trace for step in transaction.steps if (trace := _trace(step, there, known)) is not None
            }
            if len(traces) > 1:
                yield Anomaly(Kind.TORN, (), str(transaction))


def _trace(step: object, there: There, known: Lives) -> bool | None:
    """Whether the final state shows a write; None where it does not tell."""
    if not isinstance(step, Append | Remove) or step.key not in there:
        return None
    life = known.get((step.key, step.element))
    if life is None:
        return None
    is_there = step.element in there[step.key]
    if isinstance(step, Append):
        return True if is_there or life.surely_removed else None if life.maybe_removed else False
    if is_there:
        return False
    # What was surely added is missing because of this removal, if there was no other.
    return True if life.added.outcome is Outcome.OK and len(life.removals) == 1 else None


def _read(history: History, there: There, known: Lives) -> Iterator[Anomaly]:
    for external in history.externals():
        key = external.read.key
        if not external.honest:
            yield Anomaly(Kind.OWN, key, f"{external.read.value} in {external.transaction}")
        for element in external.value:
            life = known.get((key, element))
            if life is None:
                yield Anomaly(Kind.FROM_NOWHERE, key, f"{element} in {external.transaction}")
            elif life.added.outcome is Outcome.FAILED:
                yield Anomaly(Kind.UNDONE, key, f"{element} in {external.transaction}, of {life.added} (G1a)")
            elif not life.maybe_removed and element not in there.get(key, (element,)):
                yield Anomaly(Kind.LOST, key, f"{element} was there in {external.transaction}")

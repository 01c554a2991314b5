"""Every list has one order, of which each read is a beginning, and which agrees with real time."""

from collections import defaultdict
from collections.abc import Iterator

from tests.histories.checkers.anomaly import Anomaly, Kind
from tests.histories.checkers.real_time import Moment, Scope, violations
from tests.histories.history import Append, Element, External, History, Key, Outcome

Order = tuple[Element, ...]


def orders(history: History, scope: Scope = Scope.EVERYBODY) -> list[Anomaly]:
    """Reads that do not fit into the list's order, and what of it real time contradicts."""
    found: list[Anomaly] = []
    reads = _reads(history)
    known = order_of_each(history)
    writes = _writes(history)
    for key, order in known.items():
        moments = list(_write_moments(order, writes[key]))
        if (last := history.final.get(key, ())) != order[: len(last)]:
            found.append(Anomaly(Kind.REORDERED, key, f"{last}, at the end, is no beginning of {order}"))
        for external in reads[key]:
            if external.read.value != external.value + external.own:
                found.append(
                    Anomaly(
                        Kind.REORDERED, key, f"the transaction's own are not last: {external.transaction}"
                    )
                )
            elif external.value != order[: len(external.value)]:
                found.append(Anomaly(Kind.REORDERED, key, f"{external.value} is no beginning of {order}"))
            else:
                moments.append(_moment(external))
        found += violations(key, moments, scope)
    return found


def order_of_each(history: History) -> dict[Key, Order]:
    """The order of each list's elements: the longest that anybody has seen."""
    found = {key: value for key, value in history.final.items() if isinstance(value, tuple)}
    for external in history.externals():
        key = external.read.key
        if len(external.value) > len(found.get(key, ())):
            found[key] = external.value
    return found


def _reads(history: History) -> dict[Key, list[External]]:
    found: dict[Key, list[External]] = defaultdict(list)
    for external in history.externals():
        found[external.read.key].append(external)
    return found


def _writes(history: History) -> dict[Key, dict[Element, Moment]]:
    """When each element was appended; the position is the order's to say."""
    found: dict[Key, dict[Element, Moment]] = defaultdict(dict)
    for transaction, step in history.steps():
        if isinstance(step, Append) and transaction.outcome is not Outcome.FAILED:
            interval = transaction.committing, transaction.settled
            found[step.key][step.element] = Moment(0, False, transaction.session, *interval)
    return found


def _write_moments(order: Order, writes: dict[Element, Moment]) -> Iterator[Moment]:
    for position, element in enumerate(order, 1):
        if (write := writes.get(element)) is not None:
            yield Moment(position, False, write.session, write.began, write.ended)


def _moment(external: External) -> Moment:
    read = external.read
    return Moment(len(external.value), True, external.transaction.session, read.began, read.ended)

"""Serializability of transactions over lists, after Adya's dependencies and Elle's way to find them.

A list that is only appended to tells its whole past: who reads it knows which append came after which. So between
committed transactions are known: ww, one's element follows the other's; wr, one read the other's element as the
last; rw, one read the state that the other's element followed.

- G0, a cycle of ww, and G1c, one of ww and wr, are excluded at every level of PostgreSQL.
- A snapshot (REPEATABLE READ) excludes every cycle without two rw in a row, if each of its rw begins at a transaction
  that has one snapshot; the others in the cycle may be of any level, since each of ww and wr says that one committed
  before the other did.
- SERIALIZABLE excludes all cycles of SERIALIZABLE transactions.
"""

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import TypeVar

from tests.histories.checkers.anomaly import Anomaly, Kind
from tests.histories.checkers.orders import order_of_each
from tests.histories.history import (
    Append,
    Element,
    External,
    History,
    Isolation,
    Key,
    Outcome,
    Transaction,
)

N = TypeVar("N", bound=Hashable)
Edge = tuple[int, int]


@dataclass(slots=True)
class Dependencies:
    """Edges between transactions, which are numbered as in ``history``."""

    history: History
    ww: set[Edge] = field(default_factory=set)
    wr: set[Edge] = field(default_factory=set)
    rw: set[Edge] = field(default_factory=set)


def cycles(history: History) -> list[Anomaly]:
    """The strongest anomaly of dependencies, and reads of what was not the last of its transaction."""
    known = dependencies(history)
    transactions = history.transactions
    snapshots = {edge for edge in known.rw if transactions[edge[0]].isolation is not Isolation.READ_COMMITTED}
    serial = {edge for edge in known.ww | known.wr | known.rw if _serializable(transactions, edge)}
    found = (
        _one(Kind.WRITE_CYCLE, history, known.ww)
        or _one(Kind.READ_CYCLE, history, known.ww | known.wr)
        or _one(Kind.SNAPSHOT_CYCLE, history, _without_two_rw_in_a_row(known.ww | known.wr, snapshots))
        or _one(Kind.SERIAL_CYCLE, history, serial)
    )
    return [*_intermediate(history), *found]


def dependencies(history: History) -> Dependencies:
    """What follows from the orders of the lists. A transaction that failed has none, and one of unknown outcome
    only what its elements show, which somebody has seen.
    """
    found = Dependencies(history)
    writer = _writers(history)
    order_of = order_of_each(history)
    place = {(key, element): i for key, order in order_of.items() for i, element in enumerate(order)}
    for key, order in order_of.items():
        there = [writer[key, element] for element in order if (key, element) in writer]
        found.ww |= _between(itertools.pairwise(there))
    number = {id(transaction): i for i, transaction in enumerate(history.transactions)}
    for external in history.externals():
        if external.transaction.outcome is not Outcome.OK:
            continue
        key, reader = external.read.key, number[id(external.transaction)]
        last = external.value[-1] if external.value else None
        if (key, last) in writer:
            found.wr |= _between([(writer[key, last], reader)])
        after = place.get((key, last), -1 if last is None else len(order_of[key])) + 1
        if after < len(order_of[key]) and (key, order_of[key][after]) in writer:
            found.rw |= _between([(reader, writer[key, order_of[key][after]])])
    return found


def _writers(history: History) -> dict[tuple[Key, Element], int]:
    """Who appended each element, without those who failed."""
    return {
        (step.key, step.element): number
        for number, transaction in enumerate(history.transactions)
        if transaction.outcome is not Outcome.FAILED
        for step in transaction.steps
        if isinstance(step, Append)
    }


def _between(edges: Iterable[Edge]) -> set[Edge]:
    """Without those from a transaction to itself."""
    return {(one, other) for one, other in edges if one != other}


def _serializable(transactions: tuple[Transaction, ...], edge: Edge) -> bool:
    return all(transactions[end].isolation is Isolation.SERIALIZABLE for end in edge)


def _without_two_rw_in_a_row(
    others: set[Edge], rw: set[Edge]
) -> set[tuple[tuple[int, bool], tuple[int, bool]]]:
    """A graph whose nodes also say whether one came there by rw, and that one leaves otherwise then."""
    found = {((one, by_rw), (other, False)) for one, other in others for by_rw in (False, True)}
    return found | {((one, False), (other, True)) for one, other in rw}


def _one(kind: Kind, history: History, edges: Iterable[tuple[N, N]]) -> list[Anomaly]:
    graph: dict[N, set[N]] = defaultdict(set)
    for one, other in edges:
        graph[other].add(one)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        nodes = [node[0] if isinstance(node, tuple) else node for node in error.args[1]]
        return [Anomaly(kind, (), " -> ".join(str(history.transactions[node]) for node in nodes))]
    return []


def _intermediate(history: History) -> Iterator[Anomaly]:
    """G1b: the last element of a read is followed by one of the same transaction, of another one."""
    writer = _writers(history)
    following = {
        (key, one): other
        for key, order in order_of_each(history).items()
        for one, other in itertools.pairwise(order)
    }
    for external in history.externals():
        if external.value:
            key, last = external.read.key, external.value[-1]
            next_one = following.get((key, last))
            if next_one is not None and _same_writer(writer, external, last, next_one):
                yield Anomaly(Kind.INTERMEDIATE, key, f"{external.value} in {external.transaction}")


def _same_writer(
    writer: dict[tuple[Key, Element], int], external: External, last: Element, next_one: Element
) -> bool:
    key = external.read.key
    return (key, last) in writer and writer[key, last] == writer.get((key, next_one))

"""Every register, and every counter, went through one chain of values, each acknowledged swap a link of it."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.histories.checkers.anomaly import Anomaly, Kind
from tests.histories.checkers.real_time import Moment, Scope, violations
from tests.histories.history import History, Key, Miss, Outcome, Read, Swap, Transaction

NOT_READ = object()
"""The final value of a register at which nobody looked at the end."""


@dataclass(slots=True)
class Register:
    """All that was done with one register. ``acknowledged`` and ``possible`` swaps by the value they replace."""

    reads: list[tuple[Transaction, Read]] = field(default_factory=list)
    misses: list[tuple[Transaction, Miss]] = field(default_factory=list)
    acknowledged: dict[Any, list[tuple[Transaction, Swap]]] = field(default_factory=lambda: defaultdict(list))
    possible: dict[Any, list[tuple[Transaction, Swap]]] = field(default_factory=lambda: defaultdict(list))

    def observed(self) -> set[Any]:
        """Values that somebody has seen."""
        return {read.value for _, read in self.reads} | self.acknowledged.keys()


@dataclass(frozen=True, slots=True)
class Link:
    """A value, and when it was put there (None: it was there at the beginning)."""

    value: Any
    writer: Transaction | None


def registers(history: History, initial: Any = 0, scope: Scope = Scope.EVERYBODY) -> list[Anomaly]:
    """Whatever is not one chain of values from ``initial`` to the final one. No value may ever be put back."""
    found: list[Anomaly] = []
    for key, register in _registers(history).items():
        final = history.final.get(key, NOT_READ)
        chain = _chain(register, initial, final)
        found += _broken(key, register, chain, final)
        found += violations(key, _moments(register, chain), scope)
        found += _spurious(key, register, chain)
    return found


def _registers(history: History) -> dict[Key, Register]:
    found: dict[Key, Register] = defaultdict(Register)
    for transaction, step in history.steps():
        if isinstance(step, Read) and not isinstance(step.value, tuple):
            if not _shows_own(transaction, step):
                found[step.key].reads.append((transaction, step))
        elif isinstance(step, Miss):
            found[step.key].misses.append((transaction, step))
        elif isinstance(step, Swap):
            if transaction.outcome is Outcome.OK:
                found[step.key].acknowledged[step.expected].append((transaction, step))
            elif transaction.outcome is Outcome.UNKNOWN:
                found[step.key].possible[step.expected].append((transaction, step))
    return found


def _shows_own(transaction: Transaction, read: Read) -> bool:
    """Whether the transaction itself had written that value."""
    return any(
        isinstance(step, Swap) and (step.key, step.value) == (read.key, read.value)
        for step in transaction.steps
    )


def _chain(register: Register, initial: Any, final: Any) -> list[Link]:
    """From link to link: by the acknowledged swap, or by one of unknown outcome whose value was observed."""
    observed = register.observed() | {final}
    chain = [Link(initial, None)]
    known = {initial}
    while True:
        value = chain[-1].value
        candidates = register.acknowledged[value] or [
            (transaction, swap)
            for transaction, swap in register.possible[value]
            if swap.value in observed and value != final
        ]
        if not candidates or candidates[0][1].value in known:
            return chain
        transaction, swap = min(candidates, key=lambda each: each[0].committing)
        chain.append(Link(swap.value, transaction))
        known.add(swap.value)


def _broken(key: Key, register: Register, chain: list[Link], final: Any) -> Iterator[Anomaly]:
    links = {link.value for link in chain}
    for expected, swaps in register.acknowledged.items():
        if len(swaps) > 1:
            yield Anomaly(Kind.FORKED, key, f"lost update: {[str(swap) for _, swap in swaps]}")
        if expected not in links:
            yield Anomaly(Kind.LOST, key, f"{swaps[0][1]} of {swaps[0][0]} is no link of {list(links)}")
    for transaction, read in register.reads:
        if read.value not in links:
            yield Anomaly(Kind.FROM_NOWHERE, key, f"{read.value} in {transaction}, no link of {list(links)}")
    if final is not NOT_READ and chain[-1].value != final:
        yield Anomaly(Kind.LOST, key, f"the end is {final}, but acknowledged was {chain[-1].value}")


def _moments(register: Register, chain: list[Link]) -> Iterator[Moment]:
    position = {link.value: place for place, link in enumerate(chain)}
    for place, link in enumerate(chain):
        if link.writer is not None:
            yield Moment(place, False, link.writer.session, link.writer.committing, link.writer.settled)
    for transaction, read in register.reads:
        if read.value in position:
            yield Moment(position[read.value], True, transaction.session, read.began, read.ended)


def _spurious(key: Key, register: Register, chain: list[Link]) -> Iterator[Anomaly]:
    """A comparison that failed with a value that was there from before it until after it."""
    position = {link.value: place for place, link in enumerate(chain)}
    for transaction, miss in register.misses:
        place = position.get(miss.expected)
        if place is None:
            continue
        writer = chain[place].writer
        replaced = chain[place + 1].writer if place + 1 < len(chain) else None
        was_there = writer is None or writer.settled < miss.began
        if was_there and (replaced is None or replaced.committing > miss.ended):
            yield Anomaly(Kind.SPURIOUS, key, f"{miss} of {transaction}")

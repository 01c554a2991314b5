"""What clients did and what they were told: the values that workloads write and checkers read.

Times are nanoseconds of ``time.monotonic_ns()``, one clock for all clients. A *key* names one thing that is
read and written by itself: a list, a set, a register, all accounts of a tenant.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Key = tuple[str, ...]
Element = Any
NEVER = 1 << 62
"""Later than everything: when a write of unknown outcome has taken effect at the latest."""


class Outcome(StrEnum):
    """What the client knows: committed; not committed; or the connection was lost on the way to know."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Isolation(StrEnum):
    """As in BEGIN ISOLATION LEVEL."""

    READ_COMMITTED = "read committed"
    REPEATABLE_READ = "repeatable read"
    SERIALIZABLE = "serializable"


@dataclass(frozen=True, slots=True)
class Append:
    """Put an element, which nobody else ever puts anywhere, at the end of a list or into a set."""

    key: Key
    element: Element


@dataclass(frozen=True, slots=True)
class Remove:
    """Take an element out of a set, for good."""

    key: Key
    element: Element


@dataclass(frozen=True, slots=True)
class Swap:
    """Change a register that has one value to another."""

    key: Key
    expected: Any
    value: Any


@dataclass(frozen=True, slots=True)
class Miss:
    """A swap that changed nothing: between two moments, as with :class:`Read`, the value was another."""

    key: Key
    expected: Any
    began: int
    ended: int


@dataclass(frozen=True, slots=True)
class Read:
    """What was there between two moments: a tuple of elements for a list or a set, else one value.

    ``began`` and ``ended`` enclose the moment whose state it is; under one snapshot for the whole transaction
    this is the first statement's, not the read's.
    """

    key: Key
    value: Any
    began: int
    ended: int


Step = Append | Remove | Swap | Miss | Read


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction, or a statement outside of one. ``session`` is the connection that ran it.

    Its writes took effect, if at all, between ``committing``, when COMMIT was sent (NEVER: it was not), and
    :attr:`settled`.
    """

    session: int
    outcome: Outcome
    steps: tuple[Step, ...]
    committing: int
    completed: int
    isolation: Isolation = Isolation.READ_COMMITTED

    @property
    def settled(self) -> int:
        """When its writes were there at the latest."""
        return self.completed if self.outcome is Outcome.OK else NEVER

    def __str__(self) -> str:
        steps = "; ".join(map(told, self.steps))
        return f"{self.outcome} {self.isolation} of session {self.session} until {self.completed}: {steps}"


@dataclass(frozen=True, slots=True)
class External:
    """What a read says of other transactions: without what its own has appended before.

    ``own`` is what is left out; ``honest`` is False where the read does not show what its transaction did.
    """

    transaction: Transaction
    read: Read
    value: tuple[Element, ...]
    own: tuple[Element, ...]
    honest: bool


@dataclass(frozen=True)
class History:
    """Every transaction, and what was there of each key at the end, when nobody wrote any more."""

    transactions: tuple[Transaction, ...]
    final: Mapping[Key, Any] = field(default_factory=dict)

    def steps(self) -> Iterator[tuple[Transaction, Step]]:
        """Every step with its transaction."""
        for transaction in self.transactions:
            for step in transaction.steps:
                yield transaction, step

    def externals(self) -> Iterator[External]:
        """Every read of a list or a set, of failed transactions too: what they were shown was committed."""
        for transaction in self.transactions:
            own: dict[Key, list[Step]] = {}
            for step in transaction.steps:
                if not isinstance(step, Read):
                    own.setdefault(step.key, []).append(step)
                elif isinstance(step.value, tuple):
                    yield _external(transaction, step, own.get(step.key, []))


def _external(transaction: Transaction, read: Read, own: list[Step]) -> External:
    added = [step.element for step in own if isinstance(step, Append)]
    removed = {step.element for step in own if isinstance(step, Remove)}
    kept = tuple(element for element in added if element not in removed)
    honest = set(kept) <= set(read.value) and removed.isdisjoint(read.value)
    value = tuple(element for element in read.value if element not in kept)
    return External(transaction, read, value, kept, honest)


def told(step: Step) -> str:
    """A step as the tests write it."""
    key = "/".join(step.key)
    match step:
        case Append():
            return f"append {key} {step.element}"
        case Remove():
            return f"remove {key} {step.element}"
        case Swap():
            return f"swap {key} {step.expected} {step.value}"
        case Miss():
            return f"miss {key} {step.expected}"
        case Read():
            return f"read {key} {step.value}"

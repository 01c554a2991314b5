"""Money is neither made nor lost: every sum is the same, and the balances are what the ledger says."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.histories.checkers.anomaly import Anomaly, Kind
from tests.histories.history import History, Key, Read, Transaction

TOTAL = "total"
BALANCES = "balances"
ENTRIES = "entries"
MOVED = "moved"
"""The first word of a key, the second is the tenant: the sum that the server made of all balances; the balances as
{account: balance}; the ledger, a set of :class:`Entry`; its sums as {account: amount}.
"""


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One of the two rows of a transfer in the ledger."""

    transfer: str
    account: int
    amount: int

    def __str__(self) -> str:
        return f"{self.transfer}:{self.account}:{self.amount:+}"


def totals(history: History, opening: Mapping[int, int]) -> list[Anomaly]:
    """Sums that are not that of ``opening``, which every tenant's accounts had; and, of one snapshot, balances
    that do not follow from the ledger.
    """
    found: list[Anomaly] = []
    total = sum(opening.values())
    for transaction, step in history.steps():
        if isinstance(step, Read):
            found += _unbalanced(step.key, step.value, total, str(transaction))
    for key, value in history.final.items():
        found += _unbalanced(key, value, total, "the end")
    found += _unexplained(history.final, opening, "the end")
    for transaction in history.transactions:
        found += _unexplained(_snapshot(transaction), opening, str(transaction))
    return found


def _unbalanced(key: Key, value: Any, total: int, where: str) -> Iterator[Anomaly]:
    if key[0] == TOTAL:
        found = value
    elif key[0] == BALANCES:
        found = sum(value.values())
    else:
        return
    if found != total:
        yield Anomaly(Kind.UNBALANCED, key, f"{found} instead of {total} in {where}")


def _snapshot(transaction: Transaction) -> dict[Key, Any]:
    """What a transaction with one snapshot has read; nothing of others."""
    if transaction.isolation is transaction.isolation.READ_COMMITTED:
        return {}
    return {step.key: step.value for step in transaction.steps if isinstance(step, Read)}


def _unexplained(seen: Mapping[Key, Any], opening: Mapping[int, int], where: str) -> Iterator[Anomaly]:
    for key, value in seen.items():
        balances = seen.get((BALANCES, *key[1:]))
        if key[0] not in (ENTRIES, MOVED) or balances is None:
            continue
        moved = value if key[0] == MOVED else _sums(value)
        expected = {account: balance + moved.get(account, 0) for account, balance in opening.items()}
        if expected != balances:
            yield Anomaly(Kind.UNBALANCED, key, f"{balances} where the ledger makes {expected}, in {where}")


def _sums(entries: Iterable[Entry]) -> dict[int, int]:
    found: Counter[int] = Counter()
    for entry in entries:
        found[entry.account] += entry.amount
    return found

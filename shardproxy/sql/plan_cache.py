"""A mapping that forgets what was used least recently, bounded in bytes."""

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

LARGEST_SHARE = 4
"""An entry above this part (one quarter) of the budget is not kept: it would push out everything else."""


class PlanCache(Generic[K, V]):
    """At most ``budget`` bytes, by the costs that the callers of :meth:`put` estimate."""

    __slots__ = ("_entries", "budget", "bytes", "evictions")

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.bytes = 0  # the sum of the costs of all entries
        self.evictions = 0
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The value, which is then the most recently used one, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: K, value: V, cost: int) -> None:
        """Keep ``value``, whose key and value take about ``cost`` bytes, unless it is too large to be
        worth it.
        """
        self.discard(key)
        if cost > self.budget // LARGEST_SHARE:
            return
        self._entries[key] = (value, cost)
        self.bytes += cost
        while self.bytes > self.budget:
            _, (_, freed) = self._entries.popitem(last=False)
            self.bytes -= freed
            self.evictions += 1

    def discard(self, key: K) -> None:
        """Forget ``key`` if it is there."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry[1]

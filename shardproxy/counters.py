"""What the proxy counts about itself: plain in-process integers, cheap enough for every query.

Each part of the proxy takes the object it counts in once (``counters.shard("shard-a", "primary")``) and then
says ``counted.queries += 1``. One event loop writes, so there are no locks; whoever shows the figures takes a
:meth:`Counters.snapshot` on that loop and may then read it in another thread. ``admin`` turns a snapshot into
metrics; nothing here knows their names.

Labels that come from outside (an SQLSTATE from a server, a construct named in a refusal) go into a
:class:`Tally`, which holds a bounded number of them.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

OTHER: Final = "other"
"""The label under which a full :class:`Tally` counts every further label."""

LATENCY_BOUNDS: Final = (
    *(50e-6, 100e-6, 200e-6, 300e-6, 500e-6, 700e-6),
    *(1e-3, 1.5e-3, 2e-3, 3e-3, 5e-3, 7e-3, 10e-3, 20e-3, 50e-3, 100e-3, 200e-3, 500e-3),
    *(1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)
"""Upper bounds, in seconds, of the buckets for latencies and waits: 50 µs to 60 s, finest around 1 ms."""


class Histogram:
    """How many observations fell below each bound; a bound belongs to its own bucket (``le`` in Prometheus).

    ``buckets[i]`` counts observations in ``(bounds[i-1], bounds[i]]``, not cumulated; the last bucket has no
    bound. ``total`` is the sum of the observations, in their unit.
    """

    __slots__ = ("bounds", "buckets", "total")

    def __init__(self, bounds: tuple[float, ...] = LATENCY_BOUNDS) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self.buckets[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """The number of observations so far."""
        return sum(self.buckets)

    def copy(self) -> "Histogram":
        """The same figures in lists of their own."""
        twin = Histogram(self.bounds)
        twin.buckets = self.buckets.copy()
        twin.total = self.total
        return twin


class Tally:
    """Counts by label, with at most ``limit`` labels; further labels are counted under :data:`OTHER`."""

    __slots__ = ("_counts", "_limit")

    def __init__(self, limit: int = 64) -> None:
        self._counts: dict[str, int] = {}
        self._limit = limit

    def add(self, label: str, amount: int = 1) -> None:
        """Count ``label``."""
        counts = self._counts
        if label not in counts and len(counts) >= self._limit:
            label = OTHER
        counts[label] = counts.get(label, 0) + amount

    def __getitem__(self, label: str) -> int:
        return self._counts.get(label, 0)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Pairs of label and count, by label."""
        return iter(sorted(self._counts.items()))

    @property
    def total(self) -> int:
        """The sum over all labels."""
        return sum(self._counts.values())

    def copy(self) -> "Tally":
        """The same figures in a dict of their own."""
        twin = Tally(self._limit)
        twin._counts = self._counts.copy()
        return twin


class ShardCounters:
    """The traffic with one role (primary or replica) of one shard.

    ``queries`` are statements answered, successfully or not; ``transactions`` those that ended, explicit or
    implicit. ``errors`` is keyed by SQLSTATE class, see :meth:`error`. ``latency`` is seconds from sending a
    request to its last byte of answer. Bytes are as on the wire, seen from the proxy: ``bytes_out`` went to
    the shard.
    """

    __slots__ = ("bytes_in", "bytes_out", "errors", "latency", "queries", "transactions")

    def __init__(self) -> None:
        self.queries = 0
        self.transactions = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.errors = Tally()
        self.latency = Histogram()

    def error(self, sqlstate: str) -> None:
        """Count an error that the shard answered, by the class of its SQLSTATE (the first two characters)."""
        self.errors.add(sqlstate_class(sqlstate))

    def copy(self) -> "ShardCounters":
        """The same figures in an object of their own."""
        twin = ShardCounters()
        twin.queries, twin.transactions = self.queries, self.transactions
        twin.bytes_in, twin.bytes_out = self.bytes_in, self.bytes_out
        twin.errors = self.errors.copy()
        twin.latency = self.latency.copy()
        return twin


class PoolCounters:
    """What happened in the pool of connections to one role of one shard.

    ``waits`` holds the seconds that clients waited for a connection, of those who had to wait;
    ``wait_timeouts`` counts those who gave up. ``connects`` are completed logins on the server. ``closes`` is
    keyed by the reason for closing a connection. ``entries`` are tries to enter an epoch: entered, retired,
    behind (a replica that has not heard of it) or failed.
    """

    __slots__ = ("closes", "connect_failures", "connects", "entries", "wait_timeouts", "waits")

    def __init__(self) -> None:
        self.connects = 0
        self.connect_failures = 0
        self.wait_timeouts = 0
        self.closes = Tally()
        self.entries = Tally()
        self.waits = Histogram()

    def copy(self) -> "PoolCounters":
        """The same figures in an object of their own."""
        twin = PoolCounters()
        twin.connects, twin.connect_failures = self.connects, self.connect_failures
        twin.wait_timeouts = self.wait_timeouts
        twin.closes = self.closes.copy()
        twin.entries = self.entries.copy()
        twin.waits = self.waits.copy()
        return twin


class ProxyCounters:
    """What belongs to no shard: clients, logins, where statements went, the plan cache, cancels, pins.

    ``clients`` is how many are connected now, ``clients_total`` how many ever were. The five statement counts
    are disjoint and cover every statement: sent to one shard, sent to several, sent to any (no table or only
    reference tables), answered by the proxy itself, and refused; ``refused`` is keyed by construct.
    A cancel request is either forwarded to a shard or ignored (wrong key, or nothing was running).
    ``pins`` is keyed by the reason why a session was bound to its server connection.
    """

    __slots__ = (
        "anywhere",
        "cancels_forwarded",
        "cancels_ignored",
        "cancels_requested",
        "clients",
        "clients_total",
        "fan_out",
        "local_answers",
        "logins_failed",
        "one_shard",
        "pins",
        "plan_cache_evictions",
        "plan_cache_hits",
        "plan_cache_misses",
        "refused",
    )

    def __init__(self) -> None:
        self.clients = 0
        self.clients_total = 0
        self.logins_failed = 0
        self.one_shard = 0
        self.fan_out = 0
        self.anywhere = 0
        self.local_answers = 0
        self.plan_cache_hits = 0
        self.plan_cache_misses = 0
        self.plan_cache_evictions = 0
        self.cancels_requested = 0
        self.cancels_forwarded = 0
        self.cancels_ignored = 0
        self.refused = Tally(limit=200)
        self.pins = Tally()

    def copy(self) -> "ProxyCounters":
        """The same figures in an object of their own."""
        twin = ProxyCounters()
        for name in self.__slots__:
            value = getattr(self, name)
            setattr(twin, name, value.copy() if isinstance(value, Tally) else value)
        return twin


class Counters:
    """All counters of one process.

    ``proxy`` stands alone; ``shards`` and ``pools`` are keyed by (shard name, role), where the role is
    ``"primary"`` or ``"replica"``.
    """

    __slots__ = ("pools", "proxy", "shards")

    def __init__(self) -> None:
        self.proxy = ProxyCounters()
        self.shards: dict[tuple[str, str], ShardCounters] = {}
        self.pools: dict[tuple[str, str], PoolCounters] = {}

    def shard(self, shard: str, role: str) -> ShardCounters:
        """The traffic counters of that role of that shard; the same object at every call."""
        return self.shards.setdefault((str(shard), str(role)), ShardCounters())

    def pool(self, shard: str, role: str) -> PoolCounters:
        """The pool counters of that role of that shard; the same object at every call."""
        return self.pools.setdefault((str(shard), str(role)), PoolCounters())

    def snapshot(self) -> "Counters":
        """A copy that no longer changes, for another thread to read. Called on the event loop that counts."""
        twin = Counters()
        twin.proxy = self.proxy.copy()
        twin.shards = {key: counted.copy() for key, counted in self.shards.items()}
        twin.pools = {key: counted.copy() for key, counted in self.pools.items()}
        return twin


def sqlstate_class(sqlstate: str) -> str:
    """The class of an SQLSTATE: its first two characters (manual, Appendix A); ``other`` if it is not one."""
    head = sqlstate[:2]
    is_class = len(sqlstate) == 5 and head.isascii() and head.isalnum() and head == head.upper()
    return head if is_class else OTHER

"""Runs workloads with many clients, a disturbance beside them, and judges what they saw."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from time import monotonic

from tests.histories.checkers.anomaly import Anomaly
from tests.histories.checkers.real_time import Scope
from tests.histories.client import MANNERS, Client, Manners
from tests.histories.history import Isolation, Outcome
from tests.histories.workloads.bank import Bank
from tests.histories.workloads.lists import Arrays, Rows
from tests.histories.workloads.registers import Counters, Registers
from tests.histories.workloads.sets import Sets
from tests.histories.workloads.workload import Workload

FOCUSED = 100
"""Transactions during which half of the clients meet at one tenant's rows of one workload."""
WORKLOADS: tuple[type[Workload], ...] = (Bank, Arrays, Rows, Sets, Registers, Counters)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of what. ``transactions``: that many are committed at least, and as many more as the disturbance
    needs, in ``limit`` seconds at most. ``reads`` is what shardproxy.read is set to; on replicas a client is only
    promised to see its own writes.
    """

    tenants: tuple[str, ...]
    transactions: int = 10_000
    clients: int = 12
    limit: float = 60.0
    seed: int = 0
    workloads: tuple[type[Workload], ...] = WORKLOADS
    levels: tuple[Isolation, ...] = tuple(Isolation)
    manners: Manners = MANNERS
    reads: str | None = None

    @property
    def scope(self) -> Scope:
        """Whose knowledge a read must not fall behind."""
        return Scope.EVERYBODY if self.reads in (None, "primary") else Scope.OWN_WRITES


class Progress:
    """What a disturbance may know of the clients: how many transactions are ``committed``."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.committed = 0
        self._changed = asyncio.Event()

    @property
    def enough(self) -> bool:
        """As many as are wanted."""
        return self.committed >= self.wanted

    def note(self, committed: int) -> None:
        """So many more."""
        self.committed += committed
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def more(self, transactions: int) -> None:
        """Return when that many more are committed."""
        until = self.committed + transactions
        while self.committed < until:
            await self._changed.wait()


Disturbance = Callable[[Progress], Awaitable[None]]
"""What happens beside the clients, who go on at least until it returns."""


async def nothing(_: Progress) -> None:
    """No disturbance."""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run. ``errors`` counts, by workload, those that PostgreSQL alone would not have given."""

    anomalies: list[Anomaly]
    outcomes: Counter[Outcome]
    errors: Counter[str]
    seconds: float

    def __str__(self) -> str:
        found = [*map(str, self.anomalies[:10]), f"{len(self.anomalies)} anomalies"]
        return "\n".join(
            [*found, f"{dict(self.outcomes)} in {self.seconds:.1f} s", f"errors {dict(self.errors)}"]
        )


@dataclass
class Run:
    """One run of a plan. Mutable: what its workloads and clients have seen so far."""

    dsns: Sequence[str]
    plan: Plan
    errors: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.random = Random(self.plan.seed)
        self.workloads = [
            make(self.plan.tenants, self.random, self.plan.scope, self.plan.levels)
            for make in self.plan.workloads
        ]
        self._sessions = count(1)
        self._numbers = count(1)

    async def __call__(self, disturbance: Disturbance) -> Report:
        began = monotonic()
        async with asyncio.timeout(self.plan.limit):
            await self._by_one(lambda workload, client: workload.prepare(client))
            await self._clients(disturbance)
            await self._by_one(lambda workload, client: workload.finish(client))
        seconds = monotonic() - began
        anomalies = [anomaly for workload in self.workloads for anomaly in workload.anomalies()]
        outcomes = Counter(each.outcome for workload in self.workloads for each in workload.transactions)
        return Report(anomalies, outcomes, self.errors, seconds)

    async def _by_one(self, what: Callable[[Workload, Client], Awaitable[None]]) -> None:
        """Something that one client, who does not misbehave, does for every workload."""
        client = Client(next(self._numbers), self.dsns, self.random, self._sessions)
        for workload in self.workloads:
            await what(workload, client)
        await client.close()

    async def _clients(self, disturbance: Disturbance) -> None:
        progress = Progress(self.plan.transactions)
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(self.plan.clients):
                group.create_task(self._client(progress, over))
            await disturbance(progress)
            over.set()

    async def _client(self, progress: Progress, over: asyncio.Event) -> None:
        greeting = f"SET shardproxy.read = '{self.plan.reads}'" if self.plan.reads else ""
        client = Client(
            next(self._numbers), self.dsns, self.random, self._sessions, self.plan.manners, greeting
        )
        while not (over.is_set() and progress.enough):
            workload, tenant = self._next(progress.committed // FOCUSED)
            before = client.committed
            await workload.turn(client, tenant)
            progress.note(client.committed - before)
            self._note_errors(workload, client)
        await client.close()

    def _next(self, period: int) -> tuple[Workload, str]:
        """What a client does next: half of them do the same with the same tenant for a while."""
        alike = self.random.random() < 0.5
        random = Random(f"{self.plan.seed} {period}") if alike else self.random
        return random.choice(self.workloads), random.choice(self.plan.tenants)

    def _note_errors(self, workload: Workload, client: Client) -> None:
        for error, times in client.errors.items():
            if error not in workload.expected:
                self.errors[f"{workload.name}: {error}"] += times
        client.errors.clear()


async def run(dsns: Sequence[str], plan: Plan, disturbance: Disturbance = nothing) -> Report:
    """Run ``plan`` on the database behind ``dsns``: one PostgreSQL, or sidecars. :raises TimeoutError: it took
    longer than its limit.
    """
    return await Run(dsns, plan)(disturbance)

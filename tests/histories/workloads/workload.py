"""What all workloads have in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any

from tests.histories.checkers.anomaly import Anomaly
from tests.histories.checkers.real_time import Scope
from tests.histories.client import Client, Steps, Work
from tests.histories.history import History, Isolation, Key, Outcome, Transaction

CONFLICTS = frozenset({"40001", "40P01"})
"""What PostgreSQL tells clients that are in each other's way: serialization failure, deadlock."""


class Workload(ABC):
    """Rows of some tables, what clients do with them, and how to judge what came of it.

    ``expected`` are the errors that its clients get from any PostgreSQL. ``transactions`` grows with every turn;
    ``final`` and ``damaged``, what is seen to be wrong without a checker, are filled in at the end.
    """

    name: str
    tables: tuple[str, ...]
    expected: frozenset[str] = CONFLICTS

    def __init__(
        self, tenants: Sequence[str], random: Random, scope: Scope, levels: Sequence[Isolation]
    ) -> None:
        self.tenants = tuple(tenants)
        self.random = random
        self.scope = scope
        self.levels = tuple(levels)
        self.transactions: list[Transaction] = []
        self.final: dict[Key, Any] = {}
        self.damaged: list[Anomaly] = []

    async def prepare(self, client: Client) -> None:
        """Remove what another run has left, and put the first rows there."""
        for tenant in self.tenants:
            for table in self.tables:
                await self.must(client, partial(_delete, table=table, tenant=tenant))
            await self.prepare_tenant(client, tenant)

    async def prepare_tenant(self, client: Client, tenant: str) -> None:  # noqa: B027 - some have none
        """Put a tenant's first rows there."""

    @abstractmethod
    async def turn(self, client: Client, tenant: str) -> None:
        """One transaction, or a few, of some kind."""

    async def finish(self, client: Client) -> None:
        """Read what is there of every tenant, each tenant in one snapshot, when no client writes any more."""
        for tenant in self.tenants:
            await self.must(client, partial(self.look, tenant=tenant), Isolation.REPEATABLE_READ)

    @abstractmethod
    async def look(self, steps: Steps, tenant: str) -> None:
        """Put everything that a tenant has into ``final``, and what it should have had and has not as nothing."""

    @abstractmethod
    def check(self, history: History) -> list[Anomaly]:
        """What the checkers say of it."""

    def anomalies(self) -> list[Anomaly]:
        """Everything that is wrong."""
        return [*self.damaged, *self.check(History(tuple(self.transactions), self.final))]

    async def note(self, client: Client, work: Work, isolation: Isolation | None = None) -> Transaction:
        """Run a transaction that counts."""
        transaction = await client.transact(work, isolation)
        self.transactions.append(transaction)
        return transaction

    async def must(self, client: Client, work: Work, isolation: Isolation | None = None) -> Transaction:
        """Run a transaction, which does not count, until it succeeds."""
        while (transaction := await client.transact(work, isolation)).outcome is not Outcome.OK:
            pass
        return transaction

    def any_level(self) -> Isolation:
        """A level for a transaction."""
        return self.random.choice(self.levels)

    def chance(self, percent: float) -> bool:
        """Whether something that often happens happens now."""
        return self.random.random() * 100 < percent


async def _delete(steps: Steps, table: str, tenant: str) -> None:
    await steps.execute(f"DELETE FROM {table} WHERE tenant_id = $1", tenant)

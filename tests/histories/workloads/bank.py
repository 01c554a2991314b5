"""Accounts whose sum never changes, and a ledger that explains every balance."""

from time import monotonic_ns

from tests.histories.checkers.anomaly import Anomaly
from tests.histories.checkers.elements import elements
from tests.histories.checkers.sets import sets
from tests.histories.checkers.totals import BALANCES, ENTRIES, MOVED, TOTAL, Entry, totals
from tests.histories.client import Client, Steps
from tests.histories.history import Append, History, Isolation, Transaction
from tests.histories.workloads.workload import Workload

OPENING = dict.fromkeys(range(1, 6), 100)
TENANTS = ("tenants",)
"""The key of the set of all tenants, as a fan-out shows it: each once."""
_TRANSFER = (
    "INSERT INTO entries (tenant_id, transfer, account_id, amount) VALUES ($1, $2, $3, $4), ($1, $2, $5, $6)"
)
_BALANCES = "SELECT account_id, balance FROM accounts WHERE tenant_id = $1 AND account_id IN ($2, $3) ORDER BY account_id"
_BALANCE = "SELECT account_id, balance FROM accounts WHERE tenant_id = $1 AND account_id = $2"
_ALL_BALANCES = "SELECT account_id, balance FROM accounts WHERE tenant_id = $1"
_SET = "UPDATE accounts SET balance = $3 WHERE tenant_id = $1 AND account_id = $2"
_ADD = "UPDATE accounts SET balance = balance + $3 WHERE tenant_id = $1 AND account_id = $2"
_TOTAL = "SELECT sum(balance)::bigint FROM accounts WHERE tenant_id = $1"
_MOVED = "SELECT account_id, sum(amount)::bigint FROM entries WHERE tenant_id = $1 GROUP BY account_id"
_ENTRIES = "SELECT transfer, account_id, amount FROM entries WHERE tenant_id = $1"
_FAN_OUT = "SELECT tenant_id, sum(balance)::bigint AS total FROM accounts GROUP BY tenant_id"


class Bank(Workload):
    """Transfers by each of the ways that are right at their level; sums by one statement, by one snapshot of several
    statements, and of all tenants at once.
    """

    name = "bank"
    tables = ("accounts", "entries")

    async def prepare_tenant(self, client: Client, tenant: str) -> None:
        async def work(steps: Steps) -> None:
            for account, balance in OPENING.items():
                await steps.execute("INSERT INTO accounts VALUES ($1, $2, $3)", tenant, account, balance)
            steps.taken.append(Append(TENANTS, tenant))

        self.transactions.append(await self.must(client, work, Isolation.READ_COMMITTED))

    async def turn(self, client: Client, tenant: str) -> None:
        (kind,) = self.random.choices(
            (self._transfer, self._total, self._audit, self._fan_out), (50, 25, 20, 5)
        )
        await kind(client, tenant)

    async def _transfer(self, client: Client, tenant: str) -> Transaction:
        source, target = self.random.sample(sorted(OPENING), 2)
        amount, name, level = self.random.randint(1, 9), client.name(), self.any_level()
        changes = {source: -amount, target: amount}
        relative = self.chance(50)
        lock = " FOR UPDATE" if level is Isolation.READ_COMMITTED else ""

        async def work(steps: Steps) -> None:
            if relative:
                for account in sorted(changes):
                    await steps.execute(_ADD, tenant, account, changes[account])
            else:
                for account, balance in await steps.fetch(_BALANCES + lock, tenant, source, target):
                    await steps.execute(_SET, tenant, account, balance + changes[account])
            for account, change in changes.items():
                steps.taken.append(Append((ENTRIES, tenant), Entry(name, account, change)))
            await steps.execute(_TRANSFER, tenant, name, source, -amount, target, amount)

        return await self.note(client, work, level)

    async def _total(self, client: Client, tenant: str) -> Transaction:
        async def work(steps: Steps) -> None:
            if self.chance(50):
                await steps.read((TOTAL, tenant), lambda rows: rows[0][0], _TOTAL, tenant)
            else:
                await steps.read(
                    (BALANCES, tenant), lambda rows: dict(map(tuple, rows)), _ALL_BALANCES, tenant
                )

        return await self.note(client, work)

    async def _audit(self, client: Client, tenant: str) -> Transaction:
        async def work(steps: Steps) -> None:
            began = monotonic_ns()
            rows = [row for account in OPENING for row in await steps.fetch(_BALANCE, tenant, account)]
            steps.note((BALANCES, tenant), dict(map(tuple, rows)), began)
            await steps.read((MOVED, tenant), lambda rows: dict(map(tuple, rows)), _MOVED, tenant)

        return await self.note(
            client, work, self.random.choice([Isolation.REPEATABLE_READ, Isolation.SERIALIZABLE])
        )

    async def _fan_out(self, client: Client, tenant: str) -> Transaction:
        async def work(steps: Steps) -> None:
            began = monotonic_ns()
            rows = await steps.fetch(_FAN_OUT)
            steps.note(TENANTS, tuple(row["tenant_id"] for row in rows), began)
            for row in rows:
                steps.note((TOTAL, row["tenant_id"]), row["total"], began)

        return await self.note(client, work)

    async def look(self, steps: Steps, tenant: str) -> None:
        rows = await steps.fetch(_ENTRIES, tenant)
        self.final[ENTRIES, tenant] = tuple(Entry(*row) for row in rows)
        self.final[BALANCES, tenant] = dict(map(tuple, await steps.fetch(_ALL_BALANCES, tenant)))

    def check(self, history: History) -> list[Anomaly]:
        return [*elements(history), *sets(history, self.scope), *totals(history, OPENING)]

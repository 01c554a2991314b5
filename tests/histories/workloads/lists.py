"""Lists that only grow: an array in a row that is updated, or a row for each element."""

from abc import abstractmethod
from collections import Counter
from functools import partial
from itertools import groupby
from typing import Any

from tests.histories.checkers.anomaly import Anomaly
from tests.histories.checkers.cycles import cycles
from tests.histories.checkers.elements import elements
from tests.histories.checkers.orders import orders
from tests.histories.client import Client, Steps, Work
from tests.histories.history import Append, History, Isolation, Key, Outcome, Transaction
from tests.histories.workloads.workload import CONFLICTS, Workload

LENGTH = 20
"""Elements after which clients go on to another list, so that reading a whole one stays cheap."""
WIDTH = 3
"""Lists of one tenant that are used at a time."""


class Lists(Workload):
    """One to four reads and appends of a tenant's lists in a transaction; appends and reads by single statements, too,
    often one after the other by the same client.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._appended: Counter[str] = Counter()
        self.known: set[Key] = set()
        """Lists that have an element for sure."""

    async def turn(self, client: Client, tenant: str) -> None:
        if self.chance(40):
            await self._statements(client, tenant)
        else:
            await self._transaction(client, tenant)

    async def _statements(self, client: Client, tenant: str) -> None:
        number = self._some_list(tenant)
        if self.chance(60):
            await self.note(
                client, partial(self._append, client, tenant, number, self.key(tenant, number) in self.known)
            )
        if self.chance(60):
            await self.note(client, partial(self._read, tenant, number))

    async def _transaction(self, client: Client, tenant: str) -> None:
        plan = [(self._some_list(tenant), self.chance(50)) for _ in range(self.random.randint(1, 4))]
        known = {
            number for number, _ in plan if self.key(tenant, number) in self.known
        }  # also to the snapshot to come

        async def work(steps: Steps) -> None:
            for number, appends in plan:
                if appends:
                    await self._append(client, tenant, number, number in known, steps)
                else:
                    await self._read(tenant, number, steps)

        await self.note(client, work, self.any_level())

    async def _append(self, client: Client, tenant: str, number: int, known: bool, steps: Steps) -> None:
        element = client.name()
        self._appended[tenant] += 1
        await steps.append(self.key(tenant, number), element, self.append_sql(known), tenant, number, element)

    async def _read(self, tenant: str, number: int, steps: Steps) -> None:
        await steps.read(self.key(tenant, number), self.shown, self.read_sql, tenant, number)

    async def note(self, client: Client, work: Work, isolation: Isolation | None = None) -> Transaction:
        transaction = await super().note(client, work, isolation)
        if transaction.outcome is Outcome.OK:
            self.known |= {step.key for step in transaction.steps if isinstance(step, Append)}
        return transaction

    def _some_list(self, tenant: str) -> int:
        return self._oldest(tenant) + self.random.randrange(WIDTH)

    def _oldest(self, tenant: str) -> int:
        return self._appended[tenant] // (LENGTH * WIDTH) * WIDTH

    def key(self, tenant: str, number: int) -> Key:
        """The key of a list."""
        return (self.name, tenant, str(number))

    def keep(self, tenant: str, found: dict[int, tuple[str, ...]]) -> None:
        """Note the final state of a tenant's lists."""
        for number in range(self._oldest(tenant) + WIDTH):
            self.final[self.key(tenant, number)] = found.get(number, ())

    read_sql: str

    @abstractmethod
    def append_sql(self, known: bool) -> str:
        """A statement that appends $3 to the list ($1, $2), which has an element already if it is known to."""

    @abstractmethod
    def shown(self, rows: list[Any]) -> tuple[str, ...]:
        """The elements in the rows of ``read_sql``."""

    def check(self, history: History) -> list[Anomaly]:
        return [*elements(history), *orders(history, self.scope), *cycles(history)]


class Arrays(Lists):
    """A list is an array that an UPDATE, or an upsert, makes longer."""

    name = "array"
    tables = ("lists",)
    read_sql = "SELECT items FROM lists WHERE tenant_id = $1 AND list_id = $2"

    def append_sql(self, known: bool) -> str:
        if known and self.chance(70):
            return "UPDATE lists SET items = items || $3::text WHERE tenant_id = $1 AND list_id = $2"
        return (
            "INSERT INTO lists VALUES ($1, $2, ARRAY[$3]) ON CONFLICT (tenant_id, list_id)"
            " DO UPDATE SET items = lists.items || excluded.items"
        )

    def shown(self, rows: list[Any]) -> tuple[str, ...]:
        return tuple(rows[0]["items"]) if rows else ()

    async def look(self, steps: Steps, tenant: str) -> None:
        found = await steps.fetch("SELECT list_id, items FROM lists WHERE tenant_id = $1", tenant)
        self.keep(tenant, {number: tuple(items) for number, items in found})


class Rows(Lists):
    """A list is rows with a sequence, of which the primary key lets only one be the next."""

    name = "rows"
    tables = ("list_entries",)
    expected = CONFLICTS | {"23505"}
    read_sql = "SELECT element FROM list_entries WHERE tenant_id = $1 AND list_id = $2 ORDER BY sequence"

    def append_sql(self, known: bool) -> str:
        return (
            "INSERT INTO list_entries VALUES ($1, $2, (SELECT coalesce(max(sequence), 0) + 1"
            " FROM list_entries WHERE tenant_id = $1 AND list_id = $2), $3)"
        )

    def shown(self, rows: list[Any]) -> tuple[str, ...]:
        return tuple(row["element"] for row in rows)

    async def look(self, steps: Steps, tenant: str) -> None:
        sql = "SELECT list_id, element FROM list_entries WHERE tenant_id = $1 ORDER BY list_id, sequence"
        found = await steps.fetch(sql, tenant)
        self.keep(
            tenant,
            {
                number: tuple(element for _, element in group)
                for number, group in groupby(found, key=lambda row: int(row["list_id"]))
            },
        )

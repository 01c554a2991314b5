"""Sets whose elements come and, some of them, go."""

from collections import Counter
from typing import Any

from tests.histories.checkers.anomaly import Anomaly
from tests.histories.checkers.elements import elements
from tests.histories.checkers.sets import sets
from tests.histories.client import Client, Steps
from tests.histories.history import History, Isolation, Key, Outcome
from tests.histories.workloads.workload import Workload

SIZE = 30
"""Elements after which clients go on to another set."""
_ADD = "INSERT INTO set_elements VALUES ($1, $2, $3)"
_REMOVE = "DELETE FROM set_elements WHERE tenant_id = $1 AND set_id = $2 AND element = $3"
_READ = "SELECT element FROM set_elements WHERE tenant_id = $1 AND set_id = $2"


class Sets(Workload):
    """Adds, removals of what is known to be there, and reads, alone and together. Sets of odd numbers only grow."""

    name = "set"
    tables = ("set_elements",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._added: Counter[str] = Counter()
        self._there: dict[Key, list[str]] = {}

    async def turn(self, client: Client, tenant: str) -> None:
        number = self._added[tenant] // SIZE
        if self.chance(50):
            await self._add(client, tenant, number, self.any_level() if self.chance(50) else None)
        if self.chance(60):
            await self.note(client, lambda steps: self._read(steps, tenant, number))
        if number % 2 == 0 and self._there.get(self._key(tenant, number)) and self.chance(40):
            await self._remove(client, tenant, number, self.any_level() if self.chance(50) else None)

    async def _add(self, client: Client, tenant: str, number: int, level: Isolation | None) -> None:
        element, also_reads = client.name(), level is not None and self.chance(50)
        self._added[tenant] += 1

        async def work(steps: Steps) -> None:
            if also_reads:
                await self._read(steps, tenant, number)
            await steps.append(self._key(tenant, number), element, _ADD, tenant, number, element)
            if also_reads:
                await self._read(steps, tenant, number)

        transaction = await self.note(client, work, level)
        if transaction.outcome is Outcome.OK:
            self._there.setdefault(self._key(tenant, number), []).append(element)

    async def _remove(self, client: Client, tenant: str, number: int, level: Isolation | None) -> None:
        key = self._key(tenant, number)
        element = self._there[key].pop(self.random.randrange(len(self._there[key])))

        async def work(steps: Steps) -> None:
            await steps.remove(key, element, _REMOVE, tenant, number, element)

        await self.note(client, work, level)

    async def _read(self, steps: Steps, tenant: str, number: int) -> None:
        key = self._key(tenant, number)
        await steps.read(key, lambda rows: tuple(row["element"] for row in rows), _READ, tenant, number)

    def _key(self, tenant: str, number: int) -> Key:
        return (self.name, tenant, str(number))

    async def look(self, steps: Steps, tenant: str) -> None:
        for number in range(self._added[tenant] // SIZE + 1):
            rows = await steps.fetch(_READ, tenant, number)
            self.final[self._key(tenant, number)] = tuple(row["element"] for row in rows)

    def check(self, history: History) -> list[Anomaly]:
        return [*elements(history), *sets(history, self.scope)]

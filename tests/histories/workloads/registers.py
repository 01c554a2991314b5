"""Counters with a version, and registers that are compared and set."""

import hashlib
from functools import partial
from typing import Any

from tests.histories.checkers.anomaly import Anomaly, Kind
from tests.histories.checkers.registers import registers
from tests.histories.client import Client, Steps
from tests.histories.history import History, Isolation, Key
from tests.histories.workloads.workload import Workload

COUNT = 3
"""Registers of one tenant."""
PAYLOAD = "".join(hashlib.sha256(bytes([number])).hexdigest() for number in range(200))
"""Too long, and not compressible enough, to be in the row itself."""


class Registers(Workload):
    """Read a value, then replace it if it is still there: by two statements, or in a transaction whose level, or a lock,
    sees to it.
    """

    name = "register"
    tables = ("registers",)
    initial: Any = "0"
    create_sql = "INSERT INTO registers VALUES ($1, $2, $3)"
    read_sql = "SELECT value FROM registers WHERE tenant_id = $1 AND register_id = $2"
    swap_sql = "UPDATE registers SET value = $3 WHERE tenant_id = $1 AND register_id = $2"
    compare_sql = f"{swap_sql} AND value = $4"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._last: dict[Key, Any] = {}

    def next_value(self, client: Client, value: Any) -> Any:
        """What replaces a value."""
        return client.name()

    async def prepare_tenant(self, client: Client, tenant: str) -> None:
        for number in range(COUNT):
            await self.must(client, partial(self._create, tenant=tenant, number=number))

    async def _create(self, steps: Steps, tenant: str, number: int) -> None:
        await steps.execute(self.create_sql, tenant, number, *self.first())

    def first(self) -> tuple[Any, ...]:
        """The values of a new row behind its key."""
        return (self.initial,)

    async def turn(self, client: Client, tenant: str) -> None:
        number = self.random.randrange(COUNT)
        if self.chance(40):
            await self._read_and_swap(client, tenant, number)
            return
        if self.chance(60):
            await self.note(client, lambda steps: self._read(steps, tenant, number))
        if self.chance(60):
            await self._compare_and_swap(client, tenant, number)

    async def _read(self, steps: Steps, tenant: str, number: int, lock: str = "") -> Any:
        key = self._key(tenant, number)
        value = await steps.read(key, lambda rows: rows[0][0], self.read_sql + lock, tenant, number)
        self._last[key] = value
        return value

    async def _compare_and_swap(self, client: Client, tenant: str, number: int) -> None:
        key = self._key(tenant, number)
        expected = self._last.get(key, self.initial)
        value = self.next_value(client, expected)

        async def work(steps: Steps) -> None:
            await steps.swap(key, expected, value, self.compare_sql, tenant, number, value, expected)

        await self.note(client, work)

    async def _read_and_swap(self, client: Client, tenant: str, number: int) -> None:
        key, level = self._key(tenant, number), self.any_level()
        lock = " FOR UPDATE" if level is Isolation.READ_COMMITTED else ""

        async def work(steps: Steps) -> None:
            expected = await self._read(steps, tenant, number, lock)
            value = self.next_value(client, expected)
            await steps.swap(key, expected, value, self.swap_sql, tenant, number, value)

        await self.note(client, work, level)

    def _key(self, tenant: str, number: int) -> Key:
        return (self.name, tenant, str(number))

    async def look(self, steps: Steps, tenant: str) -> None:
        for number in range(COUNT):
            rows = await steps.fetch(self.read_sql, tenant, number)
            self.final[self._key(tenant, number)] = rows[0][0] if rows else None

    def check(self, history: History) -> list[Anomaly]:
        return registers(history, self.initial, self.scope)


class Counters(Registers):
    """The value is the version, which every change makes one more; beside it is something that never changes."""

    name = "counter"
    tables = ("counters",)
    initial = 0
    create_sql = "INSERT INTO counters VALUES ($1, $2, $3, $4)"
    read_sql = "SELECT version FROM counters WHERE tenant_id = $1 AND counter_id = $2"
    swap_sql = "UPDATE counters SET version = $3 WHERE tenant_id = $1 AND counter_id = $2"
    compare_sql = f"{swap_sql} AND version = $4"

    def next_value(self, client: Client, value: Any) -> Any:
        return value + 1

    async def _create(self, steps: Steps, tenant: str, number: int) -> None:
        await steps.execute(self.create_sql, tenant, number, *self.first())

    def first(self) -> tuple[Any, ...]:
        return (self.initial, PAYLOAD)

    async def look(self, steps: Steps, tenant: str) -> None:
        await super().look(steps, tenant)
        for (payload,) in await steps.fetch("SELECT payload FROM counters WHERE tenant_id = $1", tenant):
            if payload != PAYLOAD:
                self.damaged.append(
                    Anomaly(Kind.FROM_NOWHERE, (self.name, tenant), f"the payload is {payload}")
                )

"""Clients that use one tenant each, over and over, and write down what they saw."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg


@dataclass(frozen=True, slots=True)
class Event:
    """One statement or transaction: when it began, seconds it took, and the SQLSTATE of its error."""

    started: float
    took: float
    sqlstate: str | None
    message: str = ""


class Load:
    """Clients of one tenant. ``events`` is what they saw, in the order in which it ended."""

    def __init__(self, dsn: str, tenant: str) -> None:
        self.dsn = dsn
        self.tenant = tenant
        self.events: list[Event] = []
        self._changed = asyncio.Event()

    async def use(self, connection: asyncpg.Connection) -> None:
        """One turn: a statement, or a transaction of two."""
        if len(self.events) % 3:
            sql = "SELECT count(*) FROM orders WHERE tenant_id = $1"
            assert await connection.fetchval(sql, self.tenant) > 0
            return
        async with connection.transaction():
            sql = "UPDATE tenants SET plan = plan WHERE tenant_id = $1 RETURNING tenant_id"
            assert await connection.fetchval(sql, self.tenant) == self.tenant
            assert await connection.fetchval("SELECT name FROM tenants WHERE tenant_id = $1", self.tenant)

    async def client(self) -> None:
        """One client, for ever; it connects again when its connection is closed."""
        while True:
            started = time.monotonic()
            try:
                connection = await asyncpg.connect(self.dsn, timeout=15)
                try:
                    while not connection.is_closed():
                        started = time.monotonic()
                        await self.use(connection)
                        self._note(started, None)
                except asyncpg.PostgresError as error:
                    self._note(started, error)
                finally:
                    connection.terminate()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                self._note(started, error)
            await asyncio.sleep(0.01)

    def _note(self, started: float, error: Exception | None) -> None:
        state = None if error is None else getattr(error, "sqlstate", None) or type(error).__name__
        self.events.append(Event(started, time.monotonic() - started, state, str(error or "")))
        self._changed.set()

    @property
    def errors(self) -> list[Event]:
        """What failed."""
        return [event for event in self.events if event.sqlstate is not None]

    def succeeded_since(self, when: float) -> int:
        """How many turns that began later have succeeded."""
        return sum(event.sqlstate is None and event.started > when for event in self.events)

    async def until(self, condition: Callable[[], bool], timeout: float = 20.0) -> None:
        """Return when ``condition`` holds after some event."""
        async with asyncio.timeout(timeout):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def loads(dsn: str, tenants: list[str], clients: int = 3) -> AsyncIterator[list[Load]]:
    """Clients of each tenant while the block runs; each has succeeded when it begins."""
    found = [Load(dsn, tenant) for tenant in tenants]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(load.client()) for load in found for _ in range(clients)]
        try:
            for load in found:
                await load.until(lambda load=load: len(load.events) > 10)  # type: ignore[misc]
            yield found
        finally:
            for task in tasks:
                task.cancel()

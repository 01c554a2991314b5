"""An application that does so many transactions a second, whatever the last ones took."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from random import Random
from typing import Any, Final

import asyncpg

from loadtests.rebalance.timeline import Sample

_READ: Final = "SELECT balance FROM accounts WHERE tenant_id = $1 AND account_id = $2"
_UPDATE: Final = "UPDATE accounts SET balance = balance + $3 WHERE tenant_id = $1 AND account_id = $2"
_INSERT: Final = "INSERT INTO history (tenant_id, entry, account_id, amount) VALUES ($1, $2, $3, $4)"
_FAILURES: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
STATEMENT_TIMEOUT: Final = 60.0


class Application:
    """``rate`` transactions a second on random ones of ``tenants``, which have accounts 1 to ``accounts``
    each: half of them one SELECT, half BEGIN, UPDATE, INSERT, COMMIT.

    Mutable: ``samples``, one for each transaction that has ended; ``_free``, connections nobody uses.
    """

    def __init__(
        self, group: str, tenants: Sequence[str], accounts: int, rate: float, connections: int
    ) -> None:
        self.group = group
        self.tenants = tenants
        self.accounts = accounts
        self.rate = rate
        self.connections = connections
        self.samples: list[Sample] = []
        self._random = Random(group)
        self._free: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    async def connect(self, dsns: Sequence[str]) -> None:
        """Open the connections, the same number to each of ``dsns``."""
        for number in range(self.connections):
            dsn = dsns[number % len(dsns)]
            self._free.put_nowait((dsn, await _connection(dsn)))

    async def run(self, began: float, over: asyncio.Event) -> None:
        """Begin a transaction whenever one is due since ``began`` (of time.monotonic) until ``over``, and
        wait for the last ones.
        """
        number = 0
        async with asyncio.TaskGroup() as group:
            while not over.is_set():
                due = number / self.rate
                early = 1.0
                while early > 0:  # a timer may be a millisecond early; others have their turn in any case
                    early = began + due - time.monotonic()
                    await asyncio.sleep(early)
                group.create_task(self._transaction(number, began, due))
                number += 1

    async def close(self) -> None:
        """Close the connections."""
        while not self._free.empty():
            _, connection = self._free.get_nowait()
            await connection.close()

    async def _transaction(self, number: int, began: float, due: float) -> None:
        dsn, connection = await self._free.get()
        watch = _Watch()
        error = None
        try:
            if connection.is_closed():
                connection = await _connection(dsn)
            await self._work(connection, watch, number)
        except _FAILURES as failure:
            error = getattr(failure, "sqlstate", None) or type(failure).__name__
            connection.terminate()
        finally:
            self._free.put_nowait((dsn, connection))
        latency = time.monotonic() - began - due
        self.samples.append(Sample(self.group, due, latency, watch.longest, error))

    async def _work(self, connection: Any, watch: "_Watch", number: int) -> None:
        tenant, account = self._random.choice(self.tenants), self._random.randint(1, self.accounts)
        if number % 2:
            await watch.time(connection.fetch(_READ, tenant, account))
            return
        amount = self._random.randint(-9, 9)
        await watch.time(connection.execute("BEGIN"))
        await watch.time(connection.execute(_UPDATE, tenant, account, amount))
        await watch.time(connection.execute(_INSERT, tenant, f"{self.group}-{number}", account, amount))
        await watch.time(connection.execute("COMMIT"))


class _Watch:
    """The longest of some statements, in seconds; one that fails counts too."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def time(self, statement: Awaitable[Any]) -> None:
        began = time.monotonic()
        try:
            await statement
        finally:
            self.longest = max(self.longest, time.monotonic() - began)


async def _connection(dsn: str) -> Any:
    return await asyncpg.connect(dsn, command_timeout=STATEMENT_TIMEOUT)

"""Clients that write rows of one tenant and read them back: what was acknowledged to any of them, all must see.

So a write that the wrong shard has taken, and a read of a shard that has not the rows any more, is found out.
"""

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import asyncpg

INSERT = "INSERT INTO coupons (tenant_id, code, percent) VALUES ($1, $2, 5)"
CODES = "SELECT code FROM coupons WHERE tenant_id = $1 AND code LIKE 'truth-%'"


@dataclass
class Truth:
    """What is known of one tenant. ``acknowledged``: codes that must be there; ``wrong``: what was seen that
    cannot be.
    """

    tenant: str
    acknowledged: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    _name: str = field(default_factory=lambda: secrets.token_hex(4))
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def turn(self, connection: asyncpg.Connection) -> None:
        """One write and one read."""
        code = f"truth-{self._name}-{next(self._numbers)}"
        await connection.execute(INSERT, self.tenant, code)
        self.acknowledged.add(code)
        known = frozenset(self.acknowledged)
        lost = known - {row["code"] for row in await connection.fetch(CODES, self.tenant)}
        if lost:
            self.wrong.append(f"a read does not see {sorted(lost)[:5]}")


@dataclass
class Client:
    """One client of a sidecar. ``succeeded`` are the times at which turns ended well, ``states`` the SQLSTATEs of
    errors.
    """

    dsn: str
    truth: Truth
    succeeded: list[float] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    _event: asyncio.Event = field(default_factory=asyncio.Event)

    async def live(self) -> None:
        """Turn after turn, for ever; it connects again when its connection is lost."""
        while True:
            with suppress(OSError, asyncpg.InterfaceError):
                connection = await asyncpg.connect(self.dsn, timeout=15)
                try:
                    while not connection.is_closed():
                        try:
                            await self.truth.turn(connection)
                        except asyncpg.PostgresError as error:
                            self.states.append(str(error.sqlstate))
                        else:
                            self.succeeded.append(time.monotonic())
                            self._event.set()
                        await asyncio.sleep(0.005)
                finally:
                    connection.terminate()
            await asyncio.sleep(0.005)

    async def turns(self, count: int, timeout: float = 20.0) -> None:
        """Return when so many more turns have ended well."""
        wanted = len(self.succeeded) + count
        async with asyncio.timeout(timeout):
            while len(self.succeeded) < wanted:
                self._event.clear()
                await self._event.wait()

    def longest_gap(self, since: float) -> float:
        """Seconds between two turns that ended well, the longest since then."""
        times = [since, *(when for when in self.succeeded if when >= since)]
        return max(later - earlier for earlier, later in itertools.pairwise(times))


@asynccontextmanager
async def living(*clients: Client) -> AsyncIterator[None]:
    """The clients live in the block, and each has had some turns at its start."""
    tasks = [asyncio.create_task(client.live()) for client in clients]
    try:
        for client in clients:
            await client.turns(5)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

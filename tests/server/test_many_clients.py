"""Many clients of two drivers on few server connections, at their worst: nobody sees what is not theirs.

Every answer carries who asked and for what, computed by the query itself. Every error is one that the client
provoked. SHARDPROXY_STRESS_SECONDS makes it longer.
"""

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from statistics import median
from typing import Any

import asyncpg
import psycopg
import pytest

from tests.support import aio, rest, sample
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

SECONDS = float(os.environ.get("SHARDPROXY_STRESS_SECONDS", "8"))
CLIENTS = 64
POOL = 5
WHO = "SELECT {0} AS client, {1} AS turn, current_setting('application_name') AS name"
OWN = f"{WHO}, pg_backend_pid() AS pid"
ORDERS = dict.fromkeys(sample.tenants(), 0) | Counter(row[0] for row in sample.rows()["orders"])


@dataclass
class Ledger:
    """What clients wrote: ``acknowledged`` must be there in the end, nothing but ``attempted`` may be.

    ``pids`` are the server connections that each client has met, ``turns`` counts by kind.
    """

    acknowledged: set[str] = field(default_factory=set)
    attempted: set[str] = field(default_factory=set)
    pids: dict[int, set[int]] = field(default_factory=dict)
    turns: Counter[str] = field(default_factory=Counter)


class Client:
    """What every client does; subclasses say how a driver does it."""

    def __init__(self, number: int, dsn: str, ledger: Ledger) -> None:
        self.number = number
        self.name = f"client-{number}"
        self.dsn = dsn
        self.ledger = ledger
        self.random = Random(number)
        self.turn = 0
        self.tenant = ""
        ledger.pids[number] = set()

    async def run(self, until: float) -> None:
        """One turn after another, each of a random kind and for a random tenant."""
        kinds: dict[str, tuple[int, Callable[[], Awaitable[None]]]] = {
            "read": (10, self.read),
            "transaction": (6, self.transaction),
            "pipeline": (4, self.pipeline),
            "fan-out": (1, self.fan_out),
            "error": (2, self.error),
            "cancel": (1, self.cancel),
            "hang up": (1, self.hang_up),
        }
        weights = [weight for weight, _ in kinds.values()]
        clock = asyncio.get_running_loop().time
        await self.connect()
        while clock() < until:
            (kind,) = self.random.choices(list(kinds), weights)
            self.turn += 1
            self.tenant = self.random.choice(sample.tenants())
            await kinds[kind][1]()
            self.ledger.turns[kind] += 1
        await self.close()

    def check(self, row: Any) -> None:
        """The answer is this client's, to this turn, under its settings."""
        assert (row["client"], row["turn"], row["name"]) == (self.number, self.turn, self.name)
        if "pid" in row.keys():  # noqa: SIM118 - a record of asyncpg looks for values
            self.ledger.pids[self.number].add(row["pid"])

    @property
    def code(self) -> str:
        """A coupon that nobody else writes."""
        return f"C{self.number}-{self.turn}"

    async def connect(self) -> None: ...
    async def close(self) -> None: ...
    async def read(self) -> None: ...
    async def transaction(self) -> None: ...
    async def pipeline(self) -> None: ...
    async def fan_out(self) -> None: ...
    async def error(self) -> None: ...
    async def cancel(self) -> None: ...
    async def hang_up(self) -> None: ...


class Asyncpg(Client):
    """Prepared statements, binary."""

    connection: asyncpg.Connection
    SQL = OWN.format("$1::int", "$2::int") + ", count(*) AS orders, max(tenant_id) AS tenant FROM orders"
    READ = f"{SQL} WHERE tenant_id = $3"
    SLEEP = OWN.format("$1::int", "$2::int") + ", pg_sleep(3)"
    """Its driver cancels once, which hits nothing where the server has not begun yet."""

    async def connect(self) -> None:
        self.connection = await asyncpg.connect(
            self.dsn, server_settings={"application_name": self.name}, statement_cache_size=20
        )

    async def close(self) -> None:
        await self.connection.close()

    async def read(self) -> None:
        row = await self.connection.fetchrow(self.READ, self.number, self.turn, self.tenant)
        self.check(row)
        assert row["orders"] == ORDERS[self.tenant]
        assert row["tenant"] in (self.tenant, None)

    async def transaction(self) -> None:
        ledger, connection, code = self.ledger, self.connection, self.code
        commits = self.random.random() < 0.7
        ledger.attempted.add(code)
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("INSERT INTO coupons VALUES ($1, $2, $3)", self.tenant, code, self.turn)
        await self.read()
        sql = "SELECT percent FROM coupons WHERE tenant_id = $1 AND code = $2"
        assert await connection.fetchval(sql, self.tenant, code) == self.turn
        if commits:
            await transaction.commit()
            ledger.acknowledged.add(code)
        else:
            await transaction.rollback()
            ledger.attempted.discard(code)

    async def pipeline(self) -> None:
        rows = [(self.tenant, f"{self.code}-{i}", i) for i in range(5)]
        codes = {code for _, code, _ in rows}
        self.ledger.attempted |= codes
        await self.connection.executemany("INSERT INTO coupons VALUES ($1, $2, $3)", rows)
        self.ledger.acknowledged |= codes

    async def fan_out(self) -> None:
        rows = await self.connection.fetch(
            f"{WHO.format('$1::int', '$2::int')}, tenant_id FROM tenants", self.number, self.turn
        )
        for row in rows:
            self.check(row)
        assert Counter(row["tenant_id"] for row in rows) == Counter(sample.tenants())

    async def error(self) -> None:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await self.connection.fetch(
                "SELECT 1 / (total - total) FROM orders WHERE tenant_id = $1", "hooli"
            )
        await self.read()

    async def cancel(self) -> None:
        with pytest.raises(TimeoutError):
            await self.connection.fetchrow(self.SLEEP, self.number, self.turn, timeout=0.02)
        await self.read()

    async def hang_up(self) -> None:
        query = asyncio.ensure_future(self.connection.fetchrow(self.SLEEP, self.number, self.turn))
        await asyncio.sleep(self.random.choice((0, 0, 0.001, 0.01)))
        self.connection.terminate()
        await asyncio.wait([query])
        assert query.exception() is not None
        await self.connect()


class Psycopg(Client):
    """Simple queries, pipelines, and statements prepared after a few times."""

    connection: psycopg.AsyncConnection[dict[str, Any]]

    async def connect(self) -> None:
        self.connection = await psycopg.AsyncConnection.connect(
            self.dsn,
            autocommit=True,
            application_name=self.name,
            row_factory=psycopg.rows.dict_row,
            prepare_threshold=3,
        )

    async def close(self) -> None:
        await self.connection.close()

    @property
    def own(self) -> str:
        return OWN.format(self.number, self.turn)

    async def read(self) -> None:
        sql = f"{self.own}, count(*) AS orders FROM orders WHERE tenant_id = '{self.tenant}'"
        row = await (await self.connection.execute(sql)).fetchone()
        assert row is not None
        self.check(row)
        assert row["orders"] == ORDERS[self.tenant]

    async def transaction(self) -> None:
        code, commits = self.code, self.random.random() < 0.7
        insert = "INSERT INTO coupons VALUES (%s, %s, %s)"
        self.ledger.attempted.add(code)
        try:
            async with self.connection.transaction():
                await self.connection.execute(insert, (self.tenant, code, self.turn))
                with pytest.raises(psycopg.errors.UniqueViolation):
                    async with self.connection.transaction():
                        await self.connection.execute(insert, (self.tenant, code, self.turn))
                await self.read()
                if not commits:
                    raise psycopg.Rollback
        finally:
            if commits:
                self.ledger.acknowledged.add(code)
            else:
                self.ledger.attempted.discard(code)

    async def pipeline(self) -> None:
        async with self.connection.pipeline() as pipeline:
            cursors = []
            for _ in range(4):
                tenant = self.random.choice(sample.tenants())
                sql = OWN.format("%s::int", "%s::int") + ", tenant_id FROM tenants WHERE tenant_id = %s"
                cursors.append((tenant, await self.connection.execute(sql, (self.number, self.turn, tenant))))
                await pipeline.sync()
            for tenant, cursor in cursors:
                row = await cursor.fetchone()
                assert row is not None
                self.check(row)
                assert row["tenant_id"] == tenant

    async def fan_out(self) -> None:
        sql = f"{WHO.format(self.number, self.turn)}, tenant_id FROM tenants"
        rows = await (await self.connection.execute(sql)).fetchall()
        for row in rows:
            self.check(row)
        assert Counter(row["tenant_id"] for row in rows) == Counter(sample.tenants())

    async def error(self) -> None:
        await self.connection.execute("BEGIN")
        with pytest.raises(psycopg.errors.DivisionByZero):
            await self.connection.execute("SELECT 1 / (total - total) FROM orders WHERE tenant_id = 'hooli'")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            await self.connection.execute("SELECT 1 FROM orders WHERE tenant_id = 'hooli'")
        await self.connection.execute("ROLLBACK")
        await self.read()

    async def cancel(self) -> None:
        query = asyncio.ensure_future(self.connection.execute(f"{self.own}, pg_sleep(30)"))
        await asyncio.sleep(0.01)
        while not query.done():  # a cancel that comes before its query hits nothing
            await self.connection.cancel_safe()
            await asyncio.wait([query], timeout=0.1)
        with pytest.raises(psycopg.errors.QueryCanceled):
            await query
        await self.read()

    async def hang_up(self) -> None:
        self.connection.pgconn.send_query(f"{self.own}, pg_sleep(30)".encode())
        self.connection.pgconn.flush()
        await asyncio.sleep(self.random.choice((0, 0, 0.001, 0.01)))
        with socket.socket(fileno=os.dup(self.connection.pgconn.socket)) as wire:
            wire.shutdown(socket.SHUT_RDWR)  # without a goodbye
        await self.connection.close()
        await self.connect()


@pytest.mark.timeout(SECONDS + 180)
def test_nobody_sees_an_answer_an_error_or_a_setting_of_somebody_else(cluster: Cluster) -> None:
    ledger = Ledger()

    async def main(dsn: str) -> None:
        until = asyncio.get_running_loop().time() + SECONDS
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                client = (Psycopg if number % 2 else Asyncpg)(number, dsn, ledger)
                group.create_task(client.run(until))

    try:
        with Proxy(cluster.config(pool={"size": POOL})) as proxy:
            aio.run(main(proxy.dsn()), timeout=SECONDS + 60)
            rest.at_rest(proxy, cluster)
            assert rest.metric(proxy, "shardproxy_clients") == 0
            assert rest.metric(proxy, "shardproxy_pool_wait_timeouts_total") == 0
            assert "internal error" not in proxy.log
            assert "Traceback" not in proxy.log
        assert min(ledger.turns[kind] for kind in ledger.turns) > 10, ledger.turns
        met = [len(pids) for pids in ledger.pids.values()]
        assert min(met) >= 2, "nobody kept one server connection"
        assert median(met) >= 5, "most met several"
        found = set()
        for shard in range(3):
            with rest.superuser(cluster.dsn(shard, superuser=True)) as run:
                found |= {code for (code,) in run("SELECT code FROM coupons WHERE code LIKE 'C%-%'")}
        assert ledger.acknowledged <= found <= ledger.attempted
    finally:
        cluster.reset()

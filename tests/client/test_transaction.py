import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from shardproxy.client import Tenant, Transaction, connect

IDS = "SELECT array_agg(id ORDER BY id) FROM note"


def run(dsn: str, body: Callable[[Tenant], Awaitable[None]]) -> None:
    async def main() -> None:
        async with connect(dsn, max_size=2) as db:
            await body(db.tenant("acme"))

    asyncio.run(main())


async def add(transaction: Transaction, number: int) -> None:
    await transaction.execute("INSERT INTO note VALUES ('acme', $1, '')", number)


def test_a_savepoint_undoes_only_itself(dsn: str) -> None:
    async def body(acme: Tenant) -> None:
        async with acme.transaction() as tx:
            await add(tx, 1)
            with pytest.raises(asyncpg.UniqueViolationError):
                async with tx.transaction() as savepoint:
                    await add(savepoint, 2)
                    await add(savepoint, 1)
            async with tx.transaction() as savepoint:
                await add(savepoint, 3)
        assert await acme.fetchval(IDS) == [1, 3]

    run(dsn, body)


def test_isolation_and_read_only_are_the_transactions(dsn: str) -> None:
    async def body(acme: Tenant) -> None:
        async with acme.transaction(isolation="repeatable_read", readonly=True) as tx:
            assert await tx.fetchval("SHOW transaction_isolation") == "repeatable read"
            assert await tx.fetchval("SHOW transaction_read_only") == "on"

    run(dsn, body)


def test_a_transaction_that_has_ended_runs_nothing(dsn: str) -> None:
    async def body(acme: Tenant) -> None:
        async with acme.transaction() as tx:
            async with tx.transaction() as savepoint:
                pass
            with pytest.raises(asyncpg.InterfaceError, match="ended"):
                await savepoint.fetchval("SELECT 1")
        with pytest.raises(asyncpg.InterfaceError, match="ended"):
            await tx.fetchval("SELECT 1")

    run(dsn, body)


def test_a_constraint_that_fails_at_commit_is_raised(dsn: str) -> None:
    async def body(acme: Tenant) -> None:
        await acme.execute("ALTER TABLE note ADD CONSTRAINT late UNIQUE (body) DEFERRABLE INITIALLY DEFERRED")
        with pytest.raises(asyncpg.UniqueViolationError):
            async with acme.transaction() as tx:
                await add(tx, 1)
                await add(tx, 2)
        assert await acme.fetchval("SELECT count(*) FROM note") == 0

    run(dsn, body)

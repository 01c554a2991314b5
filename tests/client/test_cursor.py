import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from shardproxy.client import Tenant, connect

NUMBERS = "SELECT generate_series(1, $1::int) AS i"  # in the select list, so that it is not made up front


def run(dsn: str, body: Callable[[Tenant], Awaitable[None]]) -> None:
    async def main() -> None:
        async with connect(dsn, max_size=1) as db:
            await body(db.tenant("acme"))

    asyncio.run(main())


@pytest.mark.parametrize("prefetch", [1, 7, 50, 1000])
def test_every_row_comes_once_and_in_order(dsn: str, prefetch: int) -> None:
    async def body(acme: Tenant) -> None:
        async with acme.cursor(NUMBERS, 100, prefetch=prefetch) as cursor:
            assert [row["i"] async for row in cursor] == list(range(1, 101))
            assert await cursor.fetch(1) == []

    run(dsn, body)


def test_a_cursor_left_early_does_not_read_the_rest_and_gives_the_connection_back(dsn: str) -> None:
    async def body(acme: Tenant) -> None:
        async with acme.cursor(NUMBERS, 1_000_000_000) as cursor:
            assert [row["i"] for row in await cursor.fetch(3)] == [1, 2, 3]
        assert await acme.fetchval("SELECT 1") == 1

    run(dsn, body)


def test_a_cursor_inside_a_transaction_sees_its_writes_and_leaves_it_open(dsn: str) -> None:
    async def body(acme: Tenant) -> None:
        async with acme.transaction() as tx:
            await tx.execute("INSERT INTO note VALUES ('acme', 1, '')")
            async with tx.cursor("SELECT id FROM note") as cursor:
                assert [row["id"] async for row in cursor] == [1]
            await tx.execute("INSERT INTO note VALUES ('acme', 2, '')")
        assert await acme.fetchval("SELECT count(*) FROM note") == 2

    run(dsn, body)


def test_an_error_in_the_statement_gives_the_connection_back(dsn: str) -> None:
    async def body(acme: Tenant) -> None:
        with pytest.raises(asyncpg.UndefinedTableError):
            async with acme.cursor("SELECT * FROM nowhere"):
                pass
        with pytest.raises(asyncpg.DivisionByZeroError):
            async with acme.cursor("SELECT 1/(3 - i) FROM generate_series(1, 9) i", prefetch=1) as cursor:
                async for _ in cursor:
                    pass
        assert await acme.fetchval("SELECT 1") == 1

    run(dsn, body)


def test_outside_its_block_a_cursor_gives_nothing(dsn: str) -> None:
    async def body(acme: Tenant) -> None:
        cursor = acme.cursor(NUMBERS, 1)
        with pytest.raises(asyncpg.InterfaceError, match="outside"):
            await cursor.fetch(1)

    run(dsn, body)


def test_a_batch_has_at_least_one_row(dsn: str) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        connect(dsn).tenant("acme").cursor("SELECT 1", prefetch=0)

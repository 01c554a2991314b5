import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from shardproxy.client import NotShardproxy, Tenant, connect


def run(dsn: str, body: Callable[[Tenant], Awaitable[None]]) -> None:
    async def main() -> None:
        async with connect(dsn, max_size=2) as db:
            await body(db.tenant("acme"))

    asyncio.run(main())


async def fill(tenant: Tenant, count: int) -> None:
    await tenant.executemany("INSERT INTO note VALUES ('acme', $1, $2)", [(i, f"n{i}") for i in range(count)])


def test_rows_one_row_and_one_value(dsn: str) -> None:
    async def body(acme: Tenant) -> None:
        await fill(acme, 3)
        assert [tuple(row) for row in await acme.fetch("SELECT id, body FROM note ORDER BY id")] == [
            (0, "n0"),
            (1, "n1"),
            (2, "n2"),
        ]
        row = await acme.fetchrow("SELECT id, body FROM note WHERE id = $1", 2)
        assert row is not None
        assert dict(row) == {"id": 2, "body": "n2"}
        assert await acme.fetchrow("SELECT 1 WHERE false") is None
        assert await acme.fetchval("SELECT id, body FROM note WHERE id = $1", 1, column=1) == "n1"
        assert await acme.execute("UPDATE note SET body = $1", "x") == "UPDATE 3"

    run(dsn, body)


def test_executemany_runs_all_or_none(dsn: str) -> None:
    async def body(acme: Tenant) -> None:
        with pytest.raises(asyncpg.UniqueViolationError):
            await acme.executemany("INSERT INTO note VALUES ('acme', $1, '')", [(1,), (1,)])
        assert await acme.fetchval("SELECT count(*) FROM note") == 0

    run(dsn, body)


def test_a_timeout_in_seconds_ends_the_statement_and_the_connection_goes_on(dsn: str) -> None:
    async def body(acme: Tenant) -> None:
        with pytest.raises(TimeoutError):
            await acme.fetchval("SELECT pg_sleep(60)", timeout=0.05)
        assert await acme.fetchval("SELECT 1") == 1

    run(dsn, body)


def test_copy_in_and_out(dsn: str) -> None:
    async def lines() -> AsyncIterator[bytes]:
        yield b"acme,3,c\n"
        yield b"acme,4,d\n"

    async def body(acme: Tenant) -> None:
        records = [("acme", 1, "a"), ("acme", 2, "b")]
        assert await acme.copy_records_to_table("note", records=records, schema="public") == "COPY 2"
        assert await acme.copy_to_table("note", source=lines(), format="csv") == "COPY 2"
        table, query = io.BytesIO(), io.BytesIO()
        assert await acme.copy_from_table("note", output=table, columns=["id"]) == "COPY 4"
        assert table.getvalue() == b"1\n2\n3\n4\n"
        sql = "SELECT body FROM note WHERE id > $1 AND body <> $2 ORDER BY id"
        assert await acme.copy_from_query(sql, 1, "'", output=query, format="csv") == "COPY 3"
        assert query.getvalue() == b"b\nc\nd\n"

    run(dsn, body)


def test_route_does_not_run_the_statement_on_a_server_that_cannot_explain(dsn: str) -> None:
    async def body(acme: Tenant) -> None:
        await fill(acme, 1)
        with pytest.raises(NotShardproxy):
            await acme.route("DELETE FROM note WHERE tenant_id = $1", "acme")
        assert await acme.fetchval("SELECT count(*) FROM note") == 1

    run(dsn, body)

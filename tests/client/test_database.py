import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import asyncpg
import pytest

from shardproxy.client import Database, Unavailable, connect, current_tenant
from shardproxy.demo.ports import PortLease
from shardproxy.demo.postgres import Server

TENANT = "SELECT current_setting('shardproxy.tenant', true)"


def run(dsn: str, body: Callable[[Database], Awaitable[None]], **pool: object) -> None:
    async def main() -> None:
        async with connect(dsn, **{"max_size": 1, **pool}) as db:
            await body(db)

    asyncio.run(main())


def statements_logged(server: Server) -> list[str]:
    return [
        line.partition("statement: ")[2]
        for line in server.log_file.read_text().splitlines()
        if "statement: " in line and "shardproxy.tenant =" in line
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("acme", "acme"),
        (42, "42"),
        (UUID(int=7), str(UUID(int=7))),
        ("O'Brien\\'; --", "O'Brien\\'; --"),
        ("東京", "東京"),
    ],
)
def test_a_tenants_statements_run_in_its_session(dsn: str, name: str | int | UUID, text: str) -> None:
    async def body(db: Database) -> None:
        assert await db.tenant(name).fetchval(TENANT) == text

    run(dsn, body)


def test_tenants_that_share_a_connection_do_not_share_a_session(dsn: str) -> None:
    async def body(db: Database) -> None:
        pids = set()
        for name in ["a", "b", None, "b", "a", None, None]:
            queries = db if name is None else db.tenant(name)
            row = await queries.fetchrow(f"{TENANT} AS tenant, pg_backend_pid() AS pid")
            assert row is not None
            assert (row["tenant"] or None) == name
            pids.add(row["pid"])
        assert len(pids) == 1  # else the test shows nothing

    run(dsn, body)


def test_naming_the_same_tenant_again_costs_no_statement(plain_server: Server, dsn: str) -> None:
    async def body(db: Database) -> None:
        for _ in range(5):
            await db.tenant("cheap").fetchval("SELECT 1")

    before = len(statements_logged(plain_server))
    run(dsn, body)
    assert statements_logged(plain_server)[before:] == ["SET shardproxy.tenant = 'cheap'"]


@pytest.mark.parametrize(
    "sql",
    [
        "SET shardproxy.tenant = 'mallory'",
        "SELECT set_config('shardproxy.tenant', 'mallory', false)",
        "RESET ALL",
        "RESET shardproxy.tenant",
        "SELECT 1; SET shardproxy.tenant = 'mallory'",
    ],
)
def test_a_statement_that_renames_the_session_does_not_mislead_the_next_one(dsn: str, sql: str) -> None:
    async def body(db: Database) -> None:
        acme = db.tenant("acme")
        await acme.execute(sql)
        assert await acme.fetchval(TENANT) == "acme"
        await acme.execute(sql)
        assert not await db.fetchval(TENANT)

    run(dsn, body)


def test_session_state_does_not_reach_the_next_user_of_a_connection(dsn: str) -> None:
    async def body(db: Database) -> None:
        acme = db.tenant("acme")
        default = await acme.fetchval("SHOW work_mem")
        await acme.execute("SET work_mem = '77MB'")
        await acme.execute("SELECT pg_advisory_lock(7)")
        async with acme.acquire() as connection:
            await connection.execute("SET work_mem = '78MB'")
        assert await acme.fetchval("SHOW work_mem") == default
        assert await acme.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0

    run(dsn, body)


def test_a_cancelled_naming_leaves_nothing_assumed(dsn: str) -> None:
    async def body(db: Database) -> None:
        await db.tenant("a").fetchval("SELECT 1")
        task = asyncio.ensure_future(db.tenant("b").fetchval("SELECT pg_sleep(60)"))
        for _ in range(3):  # as far as into SET, or into the query; either must do
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await db.tenant("a").fetchval(TENANT) == "a"

    run(dsn, body)


def test_database_methods_speak_for_the_current_tenant_of_their_task(dsn: str) -> None:
    async def request(db: Database, name: str) -> str:
        current_tenant.set(name)
        await db.fetchval("SELECT pg_sleep(0.01)")
        return str(await db.fetchval(TENANT))

    async def body(db: Database) -> None:
        names = [f"t{i}" for i in range(20)]
        assert await asyncio.gather(*(asyncio.create_task(request(db, name)) for name in names)) == names
        assert not await db.fetchval(TENANT)

    run(dsn, body, max_size=3)


def test_a_tenant_handle_outranks_the_current_tenant(dsn: str) -> None:
    async def body(db: Database) -> None:
        token = current_tenant.set("somebody")
        try:
            assert await db.tenant("acme").fetchval(TENANT) == "acme"
        finally:
            current_tenant.reset(token)

    run(dsn, body)


def test_transaction_commits_at_the_end_and_rolls_back_on_an_exception(dsn: str) -> None:
    async def body(db: Database) -> None:
        acme = db.tenant("acme")
        async with acme.transaction() as tx:
            assert await tx.fetchval(TENANT) == "acme"
            await tx.execute("INSERT INTO note VALUES ('acme', 1, 'kept')")
        with pytest.raises(RuntimeError):
            async with acme.transaction(isolation="serializable") as tx:
                await tx.execute("INSERT INTO note VALUES ('acme', 2, 'lost')")
                raise RuntimeError
        assert [row["id"] for row in await acme.fetch("SELECT id FROM note")] == [1]

    run(dsn, body)


def test_an_awaited_database_is_open_until_closed(dsn: str) -> None:
    async def main() -> None:
        db = await connect(dsn, max_size=1)
        assert await db.fetchval("SELECT 1") == 1
        await db.close()
        await db.close()
        with pytest.raises(asyncpg.InterfaceError):
            await db.fetchval("SELECT 1")

    asyncio.run(main())


def test_a_database_that_was_not_opened_says_so(dsn: str) -> None:
    with pytest.raises(asyncpg.InterfaceError, match="not open"):
        asyncio.run(connect(dsn).fetchval("SELECT 1"))


def test_a_sidecar_that_is_not_there_is_unavailable_and_not_in_doubt() -> None:
    lease = PortLease.take()

    async def main() -> None:
        async with connect(f"postgresql://postgres@127.0.0.1:{lease.port}/postgres"):
            pass

    with pytest.raises(Unavailable) as caught:
        asyncio.run(main())
    lease.release()
    assert not caught.value.in_doubt


def test_a_connection_lost_inside_a_transaction_is_unavailable(plain_server: Server, dsn: str) -> None:
    async def body(db: Database) -> None:
        with pytest.raises(Unavailable) as caught:
            async with db.tenant("acme").transaction() as tx:
                pid = await tx.fetchval("SELECT pg_backend_pid()")
                await asyncio.to_thread(plain_server.query, f"SELECT pg_terminate_backend({pid}, 5000)")
                await tx.fetchval("SELECT 1")
        assert caught.value.in_doubt
        assert await db.tenant("acme").fetchval("SELECT 1") == 1

    run(dsn, body)


@pytest.mark.parametrize("name", ["", "a\0b", "\udc00"])
def test_a_name_that_cannot_be_a_tenants_is_refused_before_anything_is_sent(dsn: str, name: str) -> None:
    with pytest.raises(ValueError, match=r"empty|NUL|surrogates"):
        connect(dsn).tenant(name)


@pytest.mark.parametrize("name", [None, True, 1.5, b"acme"])
def test_a_name_of_another_type_is_refused(dsn: str, name: object) -> None:
    with pytest.raises(TypeError):
        connect(dsn).tenant(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["reset", "connection_class"])
def test_what_keeps_sessions_apart_cannot_be_replaced(dsn: str, option: str) -> None:
    with pytest.raises(TypeError, match=option):
        connect(dsn, **{option: None})

"""The guard that leads transactions on moving rows: held to their end, and closed once the rows are fenced."""

import asyncio

import asyncpg
import pytest

from shardproxy.catalog.locks import CLASS_GUARD
from tests.catalog.fenced import Fenced, refusal, until
from tests.support.aio import run

LEVELS = {
    "read uncommitted": "SP001",
    "read committed": "SP001",
    "repeatable read": "40001",
    "serializable": "40001",
}
"""What a transaction is told that has its snapshot from before the fence."""

BEGINNINGS = [f"BEGIN ISOLATION LEVEL {level}{mode}" for level in LEVELS for mode in ("", " READ ONLY")]
MOVING = "INSERT INTO shardproxy.moving VALUES (7, 'moving', 'shard-b')"
UNFENCED = "UPDATE shardproxy.moving SET state = 'moving'"
FENCED = "UPDATE shardproxy.moving SET state = 'fenced'"
MOVED = "UPDATE shardproxy.moving SET state = 'moved', epoch = 12"
DRAIN = f"SELECT pg_try_advisory_xact_lock({CLASS_GUARD}, 7)"
GUARD = "CALL shardproxy.guard(7)"


async def is_drained(operator: asyncpg.Connection) -> bool:
    """Whether nobody is in a guarded transaction."""
    return bool(await operator.fetchval(DRAIN))


def test_a_transaction_that_was_let_in_holds_the_drain_up_to_its_end(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator() as operator, fenced.app() as app:
            await operator.execute(MOVING)
            for begin in BEGINNINGS:
                await app.execute(f"{begin}; {GUARD}")
                assert not await is_drained(operator), begin
                await app.execute("SELECT 1")
                await app.execute("COMMIT")
                assert await is_drained(operator), begin

    run(main())


@pytest.mark.parametrize(("fence", "detail"), [(FENCED, "fenced shard-b"), (MOVED, "moved shard-b 12")])
def test_after_the_fence_nobody_is_let_in(fenced: Fenced, fence: str, detail: str) -> None:
    async def main() -> None:
        async with fenced.operator() as operator, fenced.app() as app:
            await operator.execute(f"{MOVING}; {fence}")
            for begin in BEGINNINGS:
                with pytest.raises(asyncpg.PostgresError) as raised:
                    await app.execute(f"{begin}; {GUARD}")
                assert (raised.value.sqlstate, raised.value.detail) == ("SP001", detail), begin
                await app.execute("ROLLBACK")

    run(main())


def test_an_older_snapshot_does_not_let_a_writer_in(fenced: Fenced) -> None:
    """It began, and saw the shard, before the fence; its guard comes after."""

    async def main() -> None:
        async with fenced.operator() as operator, fenced.app() as app:
            await operator.execute(MOVING)
            for level, sqlstate in LEVELS.items():
                await operator.execute(UNFENCED)
                await app.execute(f"BEGIN ISOLATION LEVEL {level}; TABLE public.orders")
                await operator.execute(FENCED)
                assert await refusal(app.execute(GUARD)) == sqlstate, level
                await app.execute("ROLLBACK")

    run(main())


def test_one_that_waits_for_the_drain_sees_what_the_drain_left(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.operator() as operator, fenced.operator() as drain, fenced.app() as app:
            await operator.execute(MOVING)
            waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
            for level, sqlstate in LEVELS.items():
                await operator.execute(UNFENCED)
                await app.execute(f"BEGIN ISOLATION LEVEL {level}")
                async with drain.transaction():
                    assert await is_drained(drain)
                    waiting = asyncio.create_task(refusal(app.execute(GUARD)))
                    await until(lambda: operator.fetchval(waits))
                    await operator.execute(FENCED)
                assert await waiting == sqlstate, level
                await app.execute("ROLLBACK")

    run(main())


def test_a_move_that_is_unknown_lets_nobody_in(fenced: Fenced) -> None:
    async def main() -> None:
        async with fenced.app() as app:
            with pytest.raises(asyncpg.PostgresError) as raised:
                await app.execute(GUARD)
            assert (raised.value.sqlstate, raised.value.detail) == ("SP001", "unknown")

    run(main())


def test_an_operator_of_the_caller_is_not_called_with_the_owners_rights(fenced: Fenced) -> None:
    """Names behind the guard are looked up under the caller's search_path."""

    async def main() -> None:
        async with fenced.operator() as operator, fenced.app() as app:
            await operator.execute(f"{MOVING}; CREATE SCHEMA trap; GRANT ALL ON SCHEMA trap TO app")
            for kind in ("text", "integer", "bigint"):
                await app.execute(
                    f"CREATE FUNCTION trap.equal({kind}, {kind}) RETURNS boolean LANGUAGE plpgsql AS "
                    "'BEGIN RAISE EXCEPTION ''trapped''; END';"
                    + "".join(
                        f"CREATE OPERATOR trap.{name} (FUNCTION = trap.equal, LEFTARG = {kind}, RIGHTARG = {kind});"
                        for name in ("=", "<>")
                    )
                )
            await app.execute(
                "CREATE FUNCTION trap.format(text, VARIADIC text[]) RETURNS text LANGUAGE plpgsql AS "
                "'BEGIN RAISE EXCEPTION ''trapped''; END'; SET search_path = trap, pg_catalog"
            )
            await app.execute(GUARD)
            await operator.execute(FENCED)
            assert await refusal(app.execute(GUARD)) == "SP001"

    run(main())

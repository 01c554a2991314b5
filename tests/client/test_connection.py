import asyncio

import asyncpg
import pytest

from shardproxy.client.connection import UNKNOWN, Connection


async def opened(dsn: str) -> Connection:
    return await asyncpg.connect(dsn, connection_class=Connection)


def test_nothing_is_sent_at_release_after_plain_statements(dsn: str) -> None:
    async def main() -> None:
        connection = await opened(dsn)
        connection.note_statement("SELECT 1")
        assert connection.get_reset_query() == ""
        connection.note_statement("LISTEN jobs")
        assert "UNLISTEN" in connection.get_reset_query()
        await connection.reset()
        assert connection.get_reset_query() == ""
        await connection.close()

    asyncio.run(main())


def test_a_failed_naming_is_tried_again(dsn: str) -> None:
    async def main() -> None:
        connection = await opened(dsn)
        await connection.use_tenant("a")
        async with connection.transaction():
            with pytest.raises(asyncpg.PostgresError):
                await connection.execute("SELECT 1/0")
            with pytest.raises(asyncpg.InFailedSQLTransactionError):
                await connection.use_tenant("b")
            assert connection._tenant is UNKNOWN
            await connection.execute("ROLLBACK")
            await connection.execute("BEGIN")
        await connection.use_tenant("b")
        assert await connection.fetchval("SHOW shardproxy.tenant") == "b"
        await connection.close()

    asyncio.run(main())


def test_the_default_tenant_of_the_login_comes_back(dsn: str) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(
            dsn, connection_class=Connection, server_settings={"shardproxy.tenant": "home"}
        )
        await connection.use_tenant("a")
        await connection.use_tenant(None)
        assert await connection.fetchval("SHOW shardproxy.tenant") == "home"
        await connection.close()

    asyncio.run(main())


def test_the_blocks_own_error_survives_a_lost_connection(dsn: str) -> None:
    async def main() -> None:
        connection = await opened(dsn)
        with pytest.raises(RuntimeError, match="mine"):
            async with connection.transaction_block():
                connection.terminate()
                raise RuntimeError("mine")

    asyncio.run(main())

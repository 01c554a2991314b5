"""Connections of commands to the shards, which no retirement of an epoch waits for."""

from collections.abc import Mapping
from typing import Final

import asyncpg

from shardproxy.backend import driver
from shardproxy.backend.epoch import NO_ROWS, enter_script
from shardproxy.backend.shards import ServerSpec

TIMEOUT: Final = 10.0
"""Seconds for a connect with its login."""

SETTINGS: Final[Mapping[str, str | None]] = {
    "search_path": "pg_catalog",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "synchronous_commit": "on",
}
"""Whatever the role's own defaults are. With this search_path, SQL of ours needs no qualified names."""

_HAS_FENCE: Final = """
SELECT to_regprocedure('shardproxy.enter(int4, int4)') IS NOT NULL
"""


async def connect(
    server: ServerSpec,
    application_name: str,
    *,
    timeout: float = TIMEOUT,
    command_timeout: float | None = None,
    settings: Mapping[str, str | None] | None = None,
) -> asyncpg.Connection:
    """A connection in epoch 0, or in none where the server has no fence yet.

    It must not touch rows of users on the strength of a map; the steps of a move may, since they are what the
    map tells of. ``settings`` go above SETTINGS. Times are in seconds. Raises one of ``driver.FAULTS``.
    """
    connection = await driver.connect(
        server.address,
        server.login,
        application_name,
        timeout=timeout,
        command_timeout=command_timeout,
        settings={**SETTINGS, **(settings or {})},
    )
    try:
        await leave_epochs(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def leave_epochs(connection: asyncpg.Connection) -> None:
    """Enter epoch 0, if the server has a fence; the connection is in no other."""
    if await connection.fetchval(_HAS_FENCE):
        await connection.execute(enter_script(NO_ROWS, None))

"""Connections of commands to the shards."""

from collections.abc import Mapping
from typing import Final

import asyncpg

from shardproxy.backend import driver
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


async def connect(
    server: ServerSpec,
    application_name: str,
    *,
    timeout: float = TIMEOUT,
    command_timeout: float | None = None,
    settings: Mapping[str, str | None] | None = None,
) -> asyncpg.Connection:
    """A connection as ``driver.connect`` makes it, with SETTINGS, and ``settings`` above them.

    Times are in seconds. Raises one of ``driver.FAULTS``.
    """
    return await driver.connect(
        server.address,
        server.login,
        application_name,
        timeout=timeout,
        command_timeout=command_timeout,
        settings={**SETTINGS, **(settings or {})},
    )

"""Publications of some rows of some tables."""

from collections.abc import Mapping
from typing import Final

import asyncpg

from shardproxy.replication.quoting import identifier, relation
from shardproxy.topology.tables import RelationName

# TRUNCATE knows no row filter and would empty the tables of others, so it is not published.
_OPTIONS: Final = "publish = 'insert, update, delete', publish_via_partition_root = true"


async def create(connection: asyncpg.Connection, name: str, rows: Mapping[RelationName, str]) -> None:
    """Publish, of each table, the rows for which a boolean expression is true; instead of what the
    publication of that name published before. A partitioned table is published as one table.
    """
    tables = ", ".join(f"{relation(table)} WHERE ({condition})" for table, condition in rows.items())
    async with connection.transaction():
        await drop(connection, name)
        await connection.execute(
            f"CREATE PUBLICATION {identifier(name)} FOR TABLE {tables} WITH ({_OPTIONS})"
        )


async def exists(connection: asyncpg.Connection, name: str) -> bool:
    """Whether there is a publication of that name."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM pg_publication WHERE pubname = $1)", name
    )
    return found


async def drop(connection: asyncpg.Connection, name: str) -> None:
    """Drop the publication, if there is one."""
    if await exists(connection, name):
        await connection.execute(f"DROP PUBLICATION IF EXISTS {identifier(name)}")

"""Subscriptions to a slot that is already there, of tables whose rows are already there."""

from dataclasses import dataclass
from typing import Final

import asyncpg

from shardproxy.backend.server import Address, Login
from shardproxy.replication.quoting import identifier, literal

CONNECT_TIMEOUT: Final = 10
"""Seconds that the subscriber waits for the publisher."""

# Large transactions are not streamed before their end, which 15 does not do by default and 18 does.
_OPTIONS: Final = "create_slot = false, copy_data = false, streaming = off, synchronous_commit = off"
# The statement has the publisher's password in it.
_UNLOGGED: Final = """
SELECT set_config(quiet.name, quiet.value, true)
FROM (VALUES ('log_statement', 'none'), ('log_min_duration_statement', '-1'), ('log_duration', 'off'),
             ('log_min_error_statement', 'panic'), ('log_min_duration_sample', '-1')) AS quiet (name, value)
WHERE current_setting('is_superuser')::bool
"""
_LOOK: Final = """
SELECT s.subenabled AS enabled,
       (SELECT a.pid FROM pg_stat_subscription AS a
        WHERE a.subid = s.oid AND a.relid IS NULL AND a.pid IS NOT NULL LIMIT 1) AS worker,
       COALESCE((SELECT e.apply_error_count FROM pg_stat_subscription_stats AS e
                 WHERE e.subid = s.oid), 0) AS errors
FROM pg_subscription AS s
WHERE s.subname = $1 AND s.subdbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
"""
_MAY_POSITION: Final = (
    "SELECT has_function_privilege('pg_replication_origin_advance(text, pg_lsn)', 'EXECUTE')"
)
_POSITION: Final = """
SELECT pg_replication_origin_advance('pg_' || s.oid, $2::text::pg_lsn) FROM pg_subscription AS s
WHERE s.subname = $1 AND s.subdbid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
"""


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """``worker`` is the pid of its apply worker; ``errors`` counts what disabled it, lost connections too."""

    enabled: bool
    worker: int | None
    errors: int


def conninfo(address: Address, login: Login) -> str:
    """How a subscriber reaches a publisher, as a libpq connection string."""
    words = {
        "host": address.host,
        "port": str(address.port),
        "user": login.user,
        "dbname": login.database,
        "connect_timeout": str(CONNECT_TIMEOUT),
    }
    if login.password is not None:
        words["password"] = login.password.reveal()
    return " ".join(f"{word}={_conninfo_value(value)}" for word, value in words.items())


async def create(
    connection: asyncpg.Connection,
    name: str,
    publisher: str,
    publication: str,
    slot: str | None,
    *,
    asleep: bool = False,
) -> None:
    """Subscribe to ``publication`` at ``publisher`` (a connection string) through ``slot``, from its start
    on. An error of its worker disables the subscription instead of being repeated for ever.

    ``asleep``: it is not enabled yet; it never brings what came to the publisher by a stream itself, where
    the version can tell (16 and newer), and what goes wrong is tried again. Without a slot, for a trial:
    nothing is followed. The subscriber connects to the publisher here: raises
    asyncpg.PostgresConnectionError and the like when it cannot.
    """
    where = f"slot_name = {literal(slot)}" if slot is not None else "slot_name = NONE"
    where += f", enabled = {slot is not None and not asleep}, disable_on_error = {not asleep}"
    if asleep and connection.get_server_version() >= (16,):
        where += ", origin = none"
    async with connection.transaction():
        await connection.execute(_UNLOGGED)
        await connection.execute(
            f"CREATE SUBSCRIPTION {identifier(name)} CONNECTION {literal(publisher)} "
            f"PUBLICATION {identifier(publication)} WITH ({where}, {_OPTIONS})"
        )


async def look(connection: asyncpg.Connection, name: str) -> SubscriptionState | None:
    """The state of the subscription of that name in the connected database, None if there is none."""
    row = await connection.fetchrow(_LOOK, name)
    return None if row is None else SubscriptionState(**dict(row))


async def enable(connection: asyncpg.Connection, name: str) -> None:
    """Let it follow."""
    await connection.execute(f"ALTER SUBSCRIPTION {identifier(name)} ENABLE")


async def disable(connection: asyncpg.Connection, name: str) -> None:
    """Let its worker end, soon."""
    await connection.execute(f"ALTER SUBSCRIPTION {identifier(name)} DISABLE")


async def stop_at_errors(connection: asyncpg.Connection, name: str, wanted: bool) -> None:
    """Whether an error of its worker disables it; else the worker tries again and again."""
    await connection.execute(f"ALTER SUBSCRIPTION {identifier(name)} SET (disable_on_error = {wanted})")


async def start_from(connection: asyncpg.Connection, name: str, position: str) -> bool:
    """Let a subscription that was never enabled begin behind ``position`` in the publisher's WAL, which
    survives crashes of both; False where the role may not say so.
    """
    may: bool = await connection.fetchval(_MAY_POSITION)
    if may:
        await connection.execute(_POSITION, name, position)
    return may


async def drop(connection: asyncpg.Connection, name: str) -> None:
    """Drop the subscription, if there is one, without a word to the publisher; its worker has ended then."""
    state = await look(connection, name)
    if state is None:
        return
    if state.enabled:
        await disable(connection, name)
    await connection.execute(f"ALTER SUBSCRIPTION {identifier(name)} SET (slot_name = NONE)")
    await connection.execute(f"DROP SUBSCRIPTION IF EXISTS {identifier(name)}")


def _conninfo_value(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"

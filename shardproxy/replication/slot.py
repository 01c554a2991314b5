"""Logical slots: made together with a snapshot of exactly what lies before them, looked at, dropped."""

import asyncio
from dataclasses import dataclass
from typing import Final

import asyncpg

from shardproxy.errors import ShardproxyError
from shardproxy.replication.quoting import identifier
from shardproxy.replication.wal_sender import WalSender

PLUGIN: Final = "pgoutput"

_LOOK: Final = """
SELECT s.active_pid, COALESCE(s.wal_status, 'lost') <> 'lost' AS usable,
       (pg_current_wal_lsn() - COALESCE(s.confirmed_flush_lsn, s.restart_lsn))::int8 AS behind
FROM pg_replication_slots AS s
WHERE s.slot_name = $1 AND s.database = current_database()
"""
_TERMINATE: Final = """
SELECT pg_terminate_backend(s.active_pid) FROM pg_replication_slots AS s
WHERE s.slot_name = $1 AND s.database = current_database() AND s.active_pid IS NOT NULL
"""
_ADVANCE: Final = """
SELECT pg_replication_slot_advance(s.slot_name, $2::text::pg_lsn) FROM pg_replication_slots AS s
WHERE s.slot_name = $1 AND s.database = current_database() AND s.confirmed_flush_lsn < $2::text::pg_lsn
"""
_DROP: Final = """
SELECT pg_drop_replication_slot(s.slot_name) FROM pg_replication_slots AS s
WHERE s.slot_name = $1 AND s.database = current_database()
"""
_PAUSE: Final = 0.01


@dataclass(frozen=True, slots=True)
class ExportedSlot:
    """A new slot. ``snapshot`` is what SET TRANSACTION SNAPSHOT takes, as long as the WAL sender that made it
    is open and idle: it sees what committed before ``consistent_point``, and the slot has what commits later.
    """

    name: str
    consistent_point: str
    snapshot: str


@dataclass(frozen=True, slots=True)
class SlotState:
    """``usable`` is False when the server has thrown away WAL that it needs. ``behind``: bytes of WAL that
    its reader has not confirmed. ``active_pid``: the WAL sender that reads it.
    """

    active_pid: int | None
    usable: bool
    behind: int


async def create(wal_sender: WalSender, name: str) -> ExportedSlot:
    """Make a logical slot that feeds subscriptions. Waits for every transaction that writes, prepared ones
    too.

    Raises CommandFailed (42710: a slot of that name exists; 53400: no slot is free; 55000: wal_level).
    """
    command = f"CREATE_REPLICATION_SLOT {identifier(name)} LOGICAL {PLUGIN} (SNAPSHOT 'export')"
    made, consistent_point, snapshot, _ = await wal_sender.row(command)
    assert made is not None
    assert consistent_point is not None
    assert snapshot is not None
    return ExportedSlot(made, consistent_point, snapshot)


async def look(connection: asyncpg.Connection, name: str) -> SlotState | None:
    """The state of the slot of that name in the connected database, None if there is none."""
    row = await connection.fetchrow(_LOOK, name)
    return None if row is None else SlotState(**dict(row))


async def advance(connection: asyncpg.Connection, name: str, position: str) -> None:
    """Let a slot that nobody reads begin behind ``position``, unless it does; a crash of the server may undo
    that.
    """
    await connection.execute(_ADVANCE, name, position)


async def drop(connection: asyncpg.Connection, name: str, *, timeout: float = 10.0) -> None:
    """Drop the slot, if there is one, with whoever reads it. Raises ShardproxyError (55006) after ``timeout``
    seconds.
    """
    try:
        async with asyncio.timeout(timeout):
            while True:
                await connection.execute(_TERMINATE, name)
                try:
                    await connection.execute(_DROP, name)
                    return
                except asyncpg.UndefinedObjectError:
                    return
                except asyncpg.ObjectInUseError:
                    await asyncio.sleep(_PAUSE)
    except TimeoutError as error:
        raise ShardproxyError(
            f'replication slot "{name}" is still in use after {timeout:g} s', sqlstate="55006"
        ) from error

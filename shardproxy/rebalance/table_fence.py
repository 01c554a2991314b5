"""The fence on the tables of a move, for sessions that go past the sidecars: triggers on the source.

A write to a row that moves holds the cut-over up, as the guard does for sidecars, and fails once the source
does not own the row; TRUNCATE fails at once. What comes by replication, and the mover's own work, fires no
trigger. It stands from the end of ``retire``, when no transaction is open any more that began before the
move, until the source forgets the move.

To put it up needs a lock that waits for writers of other tenants, to take it down one that waits for readers
too. Nobody is made to wait behind it for longer than LOCK_TIMEOUT at a time: it is tried again and again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

import asyncpg

from shardproxy.catalog import maps
from shardproxy.errors import ShardproxyError
from shardproxy.rebalance.drive import Drive
from shardproxy.rebalance.fail_points import fail_point
from shardproxy.rebalance.sql_files import sql
from shardproxy.rebalance.tables import MovingTable, label
from shardproxy.replication.quoting import identifier, literal, relation
from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.ownership import moving_rows
from shardproxy.topology.tables import RelationName

LOCK_TIMEOUT: Final = 50
"""Milliseconds that others may have to wait behind us for a table."""

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 1.0
"""Seconds between two tries; the pauses grow."""

PATIENCE: Final = 600.0
"""Seconds after which somebody should look at who holds the table."""

_TYPES: Final = {
    KeyFamily.INTEGER: "pg_catalog.int8",
    KeyFamily.TEXT: "pg_catalog.text",
    KeyFamily.UUID: "pg_catalog.uuid",
}
# An autovacuum worker that is in the way gives way to a waiter after deadlock_timeout.
_BRIEFLY: Final = f"""
SELECT set_config('lock_timeout', '{LOCK_TIMEOUT}ms', true),
       CASE WHEN has_parameter_privilege('deadlock_timeout', 'SET')
            THEN set_config('deadlock_timeout', '10ms', true) END
"""
_PARTS: Final = """
SELECT n.nspname::text, c.relname::text
FROM pg_partition_tree($1::text::regclass) AS p
JOIN pg_class AS c ON c.oid = p.relid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE p.parentrelid IS NOT NULL
"""
_USERS: Final = """
SELECT a.pid, COALESCE(a.usename, a.backend_type) AS "user", a.application_name AS name,
       COALESCE(a.state, 'running') AS state,
       COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - a.xact_start), 0)::float8 AS age
FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
  AND l.relation IN (SELECT $1::text::regclass UNION SELECT relid FROM pg_partition_tree($1::text::regclass))
GROUP BY a.pid, a.usename, a.backend_type, a.application_name, a.state, a.xact_start
ORDER BY a.xact_start LIMIT 3
"""
_PREDICATES: Final = """
SELECT p.oid::regprocedure::text FROM pg_proc AS p
WHERE p.pronamespace = 'shardproxy'::regnamespace AND p.proname ~ $1
"""


class TableInUse(ShardproxyError):
    """Somebody has held a table for all of PATIENCE."""

    sqlstate = "55P03"


async def put_up(drive: Drive) -> None:
    """Return when no session past the sidecars can write to the rows unseen. Raises TableInUse."""
    predicates = await _make_predicates(drive)
    standing = await _standing(drive.at.source, drive.move.number)
    for table in drive.tables:
        if len(standing[table.name]) < len(_ROW_EVENTS) + 1:
            parts = [tuple(row) for row in await drive.at.source.fetch(_PARTS, table.sql)]
            statements = [
                *_row_triggers(table, drive.move.number, predicates[table.group]),
                *(_truncate_trigger(name, drive.move.number) for name in (table.name, *parts)),
            ]
            await _briefly(drive.tell, drive.move.number, drive.at.source, table.name, statements)
        fail_point("retire.table")


async def take_down(drive: Drive, source: asyncpg.Connection, number: int) -> None:
    """Leave nothing of the fence of the move ``number`` on its source, wherever the tables are by now. Raises
    TableInUse.
    """
    await remove(source, number, drive.tell)


async def remove(source: asyncpg.Connection, number: int, tell: Callable[[str], None]) -> None:
    """The same without a driver; ``tell`` is told who is waited for."""
    for name, triggers in (await _standing(source, number)).items():
        drops = [f"DROP TRIGGER IF EXISTS {identifier(each)} ON {relation(name)}" for each in triggers]
        await _briefly(tell, number, source, name, drops)
        fail_point("forget.table")
    for predicate in await source.fetch(_PREDICATES, f"^{_prefix(number)}[0-9]+$"):
        await source.execute(f"DROP FUNCTION IF EXISTS {predicate[0]}")


def _prefix(number: int) -> str:
    return f"shardproxy_move_{number}_"


_ROW_EVENTS: Final = {
    "insert": ("INSERT", ("NEW",)),
    "update": ("UPDATE", ("OLD", "NEW")),
    "delete": ("DELETE", ("OLD",)),
}


def _row_triggers(table: MovingTable, number: int, predicate: str) -> list[str]:
    """One for each event, because INSERT knows no OLD, and DELETE no NEW."""
    made = []
    for suffix, (event, rows) in _ROW_EVENTS.items():
        when = " OR ".join(f"{predicate}({row}.{identifier(table.key)})" for row in rows)
        made.append(
            f"CREATE OR REPLACE TRIGGER {_prefix(number)}{suffix} AFTER {event} ON {table.sql} "
            f"FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION shardproxy.written('{number}')"
        )
    return made


def _truncate_trigger(name: RelationName, number: int) -> str:
    return (
        f"CREATE OR REPLACE TRIGGER {_prefix(number)}truncate BEFORE TRUNCATE ON {relation(name)} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION shardproxy.truncated('{number}')"
    )


async def _make_predicates(drive: Drive) -> dict[str, str]:
    """For each group, the function that tells by the key whether a row moves.

    As a condition of the trigger itself, a thousand keys or buckets would be read anew by every statement.
    """
    shard_map = await maps.read(drive.at.catalog)
    made = {}
    for place, group in enumerate(sorted({table.group for table in drive.tables})):
        family = shard_map.tables.groups[group]
        name = f"shardproxy.{_prefix(drive.move.number)}{place}"
        condition = moving_rows(shard_map, drive.moving, group, family, "$1")
        async with drive.at.source.transaction():
            await drive.at.source.execute(
                f"CREATE OR REPLACE FUNCTION {name}({_TYPES[family]}) RETURNS boolean "
                f"LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS {literal(f'BEGIN RETURN {condition}; END')}"
            )
            await drive.at.source.execute(f"GRANT EXECUTE ON FUNCTION {name} TO PUBLIC")
        made[group] = name
    return made


async def _standing(connection: asyncpg.Connection, number: int) -> dict[RelationName, list[str]]:
    """The move's triggers, by the table they are on."""
    found: defaultdict[RelationName, list[str]] = defaultdict(list)
    for schema, name, trigger in await connection.fetch(sql("table_fence")):
        if trigger.startswith(_prefix(number)):
            found[schema, name].append(trigger)
    return found


async def _briefly(
    tell: Callable[[str], None],
    number: int,
    source: asyncpg.Connection,
    name: RelationName,
    statements: Sequence[str],
) -> None:
    """Execute them in one transaction, as soon as the lock is to be had at once. Raises TableInUse."""
    clock = asyncio.get_running_loop().time
    deadline, pause = clock() + PATIENCE, FIRST_PAUSE
    while True:
        try:
            async with source.transaction(isolation="read_committed"):
                await source.execute(_BRIEFLY)
                for statement in statements:
                    await source.execute(statement)
                return
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            users = await _users(source, name)
            if clock() > deadline:
                raise TableInUse(
                    f"move {number}: {label(name)} was in use for {PATIENCE:.0f} s",
                    detail=users,
                    hint="End these transactions, then resume the move.",
                ) from None
            tell(f"trying for {LOCK_TIMEOUT} ms at a time to lock {label(name)}, which is in use: {users}")
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 1.5)


async def _users(connection: asyncpg.Connection, name: RelationName) -> str:
    rows = await connection.fetch(_USERS, relation(name))
    return "; ".join(
        f"pid {row['pid']}, {row['user']} ({row['name']}), {row['state']}, for {row['age']:.1f} s"
        for row in rows
    )

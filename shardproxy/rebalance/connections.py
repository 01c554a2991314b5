"""The connections of the process that drives a move, and how it makes sure that it is the only one.

The driver holds the lock of the move on the catalog. Whoever gets it ends what a predecessor has left on the
two shards: first the predecessor's main connection, then its helpers. A helper looks, once it can be seen
itself, whether its own main connection is still there; so either it gives up, or the successor sees and ends
it.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import asyncpg

from shardproxy.backend.driver import FAULTS
from shardproxy.backend.shards import ServerSpec
from shardproxy.catalog.connect import connect
from shardproxy.catalog.locks import CLASS_MOVER
from shardproxy.catalog.look import look
from shardproxy.errors import ShardproxyError, Unavailable
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.tables import ROW_SETTINGS

CONNECT_TIMEOUT: Final = 10.0
ANSWER_TIMEOUT: Final = 30.0
"""Seconds: for a connect, and for each answer on the main connections, whose statements are short."""

PREDECESSOR_TIMEOUT: Final = 5.0
"""Seconds that the connections of a dead predecessor may take to end."""

_LOCK: Final = "SELECT pg_try_advisory_lock($1, $2)"
_DRIVER: Final = """
SELECT a.pid, COALESCE(host(a.client_addr), 'local') AS client, a.backend_start
FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.classid::int8 = $1 AND l.objid::int8 = $2 AND l.objsubid = 2 AND l.granted
  AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
"""
_TERMINATE: Final = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE application_name = $1 AND datname = current_database() AND pid <> pg_backend_pid()
"""
_ME: Final = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_THERE: Final = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2)"
# Time-outs that a role or database may have set, where the version knows them.
_NO_LIMITS: Final = "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout'"


class Busy(ShardproxyError):
    """Another process drives the move."""

    sqlstate = "55006"


def driver_name(number: int) -> str:
    """application_name of what drives the move on its two shards, and of nothing else."""
    return f"shardproxy move {number}"


def lock_name(number: int) -> str:
    """application_name of the connection that holds the move's lock on the catalog."""
    return f"shardproxy mover {number}"


def snapshot_name(number: int) -> str:
    """application_name of the session that keeps the target's snapshot for the verification."""
    return f"shardproxy snapshot {number}"


@dataclass(slots=True)
class Connections:
    """``catalog`` holds the move's lock; ``source`` and ``target`` are the main connections to the two
    shards.

    Mutable: ``helpers``, which end with the rest; ``mains``, who the main connections are.
    """

    installation: Installation
    number: int
    source_name: str
    target_name: str
    catalog: asyncpg.Connection
    source: asyncpg.Connection
    target: asyncpg.Connection
    mains: Mapping[str, tuple[int, object]] = field(default_factory=dict)
    helpers: list[asyncpg.Connection] = field(default_factory=list)

    async def helper(
        self,
        shard: str,
        *,
        role: str = "origin",
        application_name: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> asyncpg.Connection:
        """One more connection to a shard of the move, for long work on rows; ``role``:
        session_replication_role.
        """
        primary = self.installation.shard(shard).primary
        name = application_name or driver_name(self.number)
        connection = await connect(
            primary, name, timeout=CONNECT_TIMEOUT, settings={**ROW_SETTINGS, **(settings or {})}
        )
        self.helpers.append(connection)
        await connection.execute(_NO_LIMITS)
        if not await connection.fetchval(_THERE, *self.mains[shard]):
            raise Unavailable(f'the main connection to shard "{shard}" was lost')
        if role != "origin":
            await connection.execute("SELECT set_config('session_replication_role', $1, false)", role)
        return connection

    async def replica(self, server: ServerSpec) -> asyncpg.Connection:
        """A connection to a replica, to see how far it is."""
        connection = await connect(server, driver_name(self.number), timeout=CONNECT_TIMEOUT)
        self.helpers.append(connection)
        return connection

    def give_back(self, *helpers: asyncpg.Connection) -> None:
        """Close helpers at once, whatever they are doing."""
        for helper in helpers:
            helper.terminate()
            with suppress(ValueError):
                self.helpers.remove(helper)

    def shard(self, name: str) -> asyncpg.Connection:
        """The main connection to one of the two shards."""
        return self.source if name == self.source_name else self.target

    async def close(self) -> None:
        """Close everything but the catalog's, which has the lock."""
        self.give_back(*self.helpers)
        await asyncio.gather(forget(self.source), forget(self.target))


async def open_catalog(installation: Installation, name: str) -> asyncpg.Connection:
    """A connection to the catalog's primary. Raises ShardproxyError if there is none, and driver.FAULTS."""
    primary = installation.shard(installation.catalog).primary
    connection = await connect(primary, name, timeout=CONNECT_TIMEOUT, command_timeout=ANSWER_TIMEOUT)
    try:
        if not (await look(connection)).catalog:
            raise ShardproxyError(
                f'there is no catalog on shard "{installation.catalog}"',
                hint="shardproxy init makes one; catalog.shard says where it is.",
            )
    except BaseException:
        connection.terminate()
        raise
    return connection


async def lock(catalog: asyncpg.Connection, number: int) -> None:
    """Become the move's driver. A dead one's connection may need a moment to end. Raises Busy."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + PREDECESSOR_TIMEOUT
    while not await catalog.fetchval(_LOCK, CLASS_MOVER, number):
        if clock() > deadline:
            row = await catalog.fetchrow(_DRIVER, CLASS_MOVER, number)
            who = "" if row is None else f": {row['client']}, pid {row['pid']} there on the catalog's server"
            raise Busy(
                f"another process drives move {number}{who}",
                hint="End it with Ctrl-C first; if its machine is gone, terminate that connection.",
            )
        await asyncio.sleep(0.05)


async def open_shards(
    installation: Installation, number: int, source: str, target: str, catalog: asyncpg.Connection
) -> Connections:
    """The main connections to both shards, with nobody else's there any more; ``catalog`` has the lock."""
    opened: dict[str, asyncpg.Connection] = {}
    mains: dict[str, tuple[int, object]] = {}
    try:
        for name in (source, target):
            primary = installation.shard(name).primary
            connection = await connect(
                primary,
                driver_name(number),
                timeout=CONNECT_TIMEOUT,
                command_timeout=ANSWER_TIMEOUT,
                settings={**ROW_SETTINGS, "lock_timeout": "10s"},
            )
            opened[name] = connection
            await check_shard(connection, catalog, name)
            await end_others(connection, driver_name(number))
            pid, start = await connection.fetchrow(_ME)
            mains[name] = (pid, start)
    except BaseException:
        for connection in opened.values():
            connection.terminate()
        raise
    return Connections(installation, number, source, target, catalog, opened[source], opened[target], mains)


async def check_shard(connection: asyncpg.Connection, catalog: asyncpg.Connection, name: str) -> None:
    """Raises ShardproxyError when the server is not the shard of that name in the catalog's installation."""
    ours, found = (await look(catalog)).fence, (await look(connection)).fence
    if ours is None or found is None or (found.installation, found.name) != (ours.installation, name):
        raise ShardproxyError(
            f'the server at the address of shard "{name}" is not that shard of this installation',
            hint="Give the right address; see shardproxy check --live.",
        )


async def end_others(connection: asyncpg.Connection, application_name: str) -> None:
    """End every other connection of that name to this database, and return when they are gone."""
    async with asyncio.timeout(PREDECESSOR_TIMEOUT):
        while await connection.fetchval(_TERMINATE, application_name):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)


async def forget(connection: asyncpg.Connection) -> None:
    """Close it politely if it still can be, else at once."""
    with suppress(*FAULTS, TimeoutError):
        await connection.close(timeout=1)
    connection.terminate()

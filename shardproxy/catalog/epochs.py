"""Retiring epochs on a shard: afterwards no statement that was routed by an older map runs or starts there.

The shard's row forbids the old epochs on the primary, then on each replica once it has replayed that; then
every connection that there was must positively hold a newer epoch, or 0, or be gone, or be idle and of a role
that no sidecar logs in as. There is no hurry: nobody is blocked meanwhile.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from shardproxy.backend.driver import FAULTS, reason
from shardproxy.backend.shards import ServerSpec, ShardSpec
from shardproxy.catalog.connect import connect
from shardproxy.catalog.locks import CLASS_EPOCH
from shardproxy.errors import ShardproxyError

APPLICATION_NAME: Final = "shardproxy retire"
FIRST_PAUSE: Final = 0.02
LONGEST_PAUSE: Final = 0.5
"""Seconds between two looks; the pauses grow."""

RETRIED: Final = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.TransactionRollbackError,  # a replica's replay comes before what is asked there
)
"""What may be over at the next try."""

_FORBID: Final = """
UPDATE shardproxy.shard
SET oldest_epoch = $1, newest_epoch = GREATEST(newest_epoch, $1)
WHERE oldest_epoch < $1
"""
_ENTER: Final = "shardproxy.enter(int4, int4, text)"
_FORBIDDEN: Final = "SELECT oldest_epoch >= $1 FROM shardproxy.shard"

# The connections to this database that do not hold $1, a newer epoch or 0, or still hold an older one. But
# not the idle ones in no epoch at all of roles that no sidecar logs in as: what they do next is as if they
# had just come. A sidecar's role may enter an epoch; so may any superuser, who counts if it was granted.
# Of roles that we may not look at, backend_type and state are hidden.
_HOLDERS: Final = f"""
SELECT a.pid, a.backend_start,
       COALESCE(a.usename::text, '') AS "user",
       COALESCE(a.application_name, '') AS application_name,
       COALESCE(a.state, 'unknown') AS state,
       COALESCE(host(a.client_addr), 'local') AS client,
       COALESCE(EXTRACT(EPOCH FROM
           clock_timestamp() - CASE a.state WHEN 'active' THEN a.query_start ELSE a.state_change END
       ), 0)::float8 AS age
FROM pg_stat_activity AS a
WHERE a.datid = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  AND COALESCE(a.backend_type, 'client backend') = 'client backend'
  AND NOT COALESCE((
          SELECT bool_and(l.objid = 0 OR l.objid::int8 >= $1)
          FROM pg_locks AS l
          WHERE l.pid = a.pid AND l.granted AND l.locktype = 'advisory' AND l.database = a.datid
            AND l.classid = {CLASS_EPOCH}::oid AND l.objsubid = 2), false)
  AND NOT (
      COALESCE(a.state, '') = 'idle'
      AND NOT EXISTS (
          SELECT FROM pg_locks AS l
          WHERE l.pid = a.pid AND l.locktype = 'advisory' AND l.database = a.datid
            AND l.classid = {CLASS_EPOCH}::oid AND l.objsubid = 2)
      AND EXISTS (
          SELECT FROM pg_roles AS r JOIN pg_proc AS p ON p.oid = '{_ENTER}'::regprocedure
          WHERE r.oid = a.usesysid
            AND (r.rolsuper OR NOT has_function_privilege(r.oid, p.oid, 'EXECUTE'))
            AND NOT EXISTS (SELECT FROM aclexplode(p.proacl) AS granted WHERE granted.grantee = r.oid)))
"""  # noqa: S608

# A prepared transaction has no connection any more, and only who prepared it knows how it should end.
_PREPARED: Final = """
SELECT p.gid, p.owner::text AS "user", EXTRACT(EPOCH FROM clock_timestamp() - p.prepared)::float8 AS age
FROM pg_prepared_xacts AS p
WHERE p.database = current_database()
"""
_TERMINATE: Final = """
SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity AS a
WHERE a.pid = $1 AND a.backend_start IS NOT DISTINCT FROM $2
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a retirement up: a connection, or a prepared transaction (``pid`` 0; ``state`` names it).

    ``age``: seconds since its query began, or since it became idle. ``terminated``: it was told to end.
    """

    server: str
    pid: int
    user: str
    application_name: str
    state: str
    client: str
    age: float
    terminated: bool = False

    def __str__(self) -> str:
        if not self.pid:
            return f"{self.server}: {self.state} of {self.user}, for {self.age:.0f} s"
        name = f" ({self.application_name})" if self.application_name else ""
        who = f"{self.user}@{self.client}{name}"
        return f"{self.server}: pid {self.pid}, {who}, {self.state} for {self.age:.0f} s"


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a retirement waits for: ``holders``, and ``servers`` that are not there yet, with the reason."""

    holders: tuple[Holder, ...] = ()
    servers: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return "; ".join((*(f"{name}: {why}" for name, why in self.servers), *map(str, self.holders)))


class NotRetired(ShardproxyError):
    """The time was over; ``waiting`` says for whom. What is forbidden stays so, and it may be tried again."""

    sqlstate = "55P03"

    def __init__(self, shard: str, below: int, waiting: Waiting) -> None:
        super().__init__(
            f'the epochs before {below} could not be retired on shard "{shard}" in time',
            detail=str(waiting) or None,
        )
        self.waiting = waiting


async def retire(
    shard: ShardSpec,
    below: int,
    *,
    grace: float = 30.0,
    timeout: float = 600.0,
    on_progress: Callable[[Waiting], None] = lambda _: None,
) -> None:
    """Return when no connection of ``shard`` is, or can come, in an epoch older than ``below``.

    ``shard`` has logins that may terminate backends. Who holds it up longer than ``grace`` seconds is
    terminated. ``on_progress`` is called after each look. Idempotent. Raises NotRetired after ``timeout``
    seconds, ShardproxyError for what waiting does not mend.
    """
    state = _Retirement(shard, below, grace, on_progress)
    try:
        async with asyncio.timeout(timeout), asyncio.TaskGroup() as group:
            group.create_task(state.on(shard.primary, is_primary=True))
            for replica in shard.replicas:
                group.create_task(state.on(replica, is_primary=False))
    except TimeoutError:
        raise NotRetired(shard.name, below, state.waiting) from None
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


class _Retirement:
    """One retirement. Mutable: what is known of each server by its name; no entry: nothing to wait for."""

    def __init__(
        self, shard: ShardSpec, below: int, grace: float, on_progress: Callable[[Waiting], None]
    ) -> None:
        self._shard = shard
        self._below = below
        self._grace = grace
        self._on_progress = on_progress
        self._holders: dict[str, tuple[Holder, ...]] = {}
        self._absent: dict[str, str] = {}

    @property
    def waiting(self) -> Waiting:
        return Waiting(
            tuple(holder for holders in self._holders.values() for holder in holders),
            tuple(self._absent.items()),
        )

    async def on(self, server: ServerSpec, *, is_primary: bool) -> None:
        """Retire on one server, over as many connections as it takes."""
        name, pauses = str(server.address), _Pauses()
        while True:
            try:
                connection = await connect(server, APPLICATION_NAME, command_timeout=10.0)
                try:
                    await self._forbid(connection, name, is_primary)
                    await self._outlast(connection, name, is_primary)
                    return
                finally:
                    connection.terminate()
            except RETRIED as fault:
                self._note(name, absent=f"cannot be reached: {reason(fault)}")
            except FAULTS as fault:
                raise ShardproxyError(
                    f'epochs cannot be retired on shard "{self._shard.name}" ({name}): {reason(fault)}'
                ) from fault
            await pauses.pause()

    async def _forbid(self, connection: asyncpg.Connection, name: str, is_primary: bool) -> None:
        """Return when the server lets nobody enter an old epoch."""
        if is_primary:
            await connection.execute(_FORBID, self._below)
            return
        pauses = _Pauses()
        while not await _is_forbidden(connection, self._below):
            self._note(name, absent="has not replayed it yet")
            await pauses.pause()

    async def _outlast(self, connection: asyncpg.Connection, name: str, is_primary: bool) -> None:
        """Return when those are gone, or have moved on, who may have entered before it was forbidden."""
        clock = asyncio.get_running_loop().time
        deadline, pauses = clock() + self._grace, _Pauses()
        rows = await connection.fetch(_HOLDERS, self._below)
        known = {(row["pid"], row["backend_start"]) for row in rows}
        while True:
            rows = [row for row in rows if (row["pid"], row["backend_start"]) in known]
            known = {(row["pid"], row["backend_start"]) for row in rows}
            late = clock() >= deadline
            for row in rows if late else ():
                await connection.fetchval(_TERMINATE, row["pid"], row["backend_start"])
            self._note(name, tuple(_holder(name, row, terminated=late) for row in rows))
            if not rows:
                break
            await pauses.pause()
            rows = await connection.fetch(_HOLDERS, self._below)
        if is_primary:
            await self._outlast_prepared(connection, name)

    async def _outlast_prepared(self, connection: asyncpg.Connection, name: str) -> None:
        """The same for transactions that were prepared by such connections."""
        pauses = _Pauses()
        rows = await connection.fetch(_PREPARED)
        known = {row["gid"] for row in rows}
        while rows := [row for row in rows if row["gid"] in known]:
            holders = (_prepared(name, row) for row in rows)
            self._note(name, tuple(holders))
            await pauses.pause()
            rows = await connection.fetch(_PREPARED)
        self._note(name)

    def _note(self, name: str, holders: tuple[Holder, ...] = (), absent: str | None = None) -> None:
        self._holders[name] = holders
        self._absent.pop(name, None)
        if absent is not None:
            self._absent[name] = absent
        self._on_progress(self.waiting)


class _Pauses:
    """Pauses that grow."""

    def __init__(self) -> None:
        self._next = FIRST_PAUSE

    async def pause(self) -> None:
        await asyncio.sleep(self._next)
        self._next = min(LONGEST_PAUSE, self._next * 1.5)


async def _is_forbidden(connection: asyncpg.Connection, below: int) -> bool:
    try:
        return bool(await connection.fetchval(_FORBIDDEN, below))
    except asyncpg.UndefinedTableError:  # not even the fence has been replayed
        return False


def _holder(server: str, row: Any, *, terminated: bool) -> Holder:
    fields = {name: value for name, value in row.items() if name != "backend_start"}
    return Holder(server=server, terminated=terminated, **fields)


def _prepared(server: str, row: Any) -> Holder:
    return Holder(server, 0, row["user"], "", f"prepared transaction '{row['gid']}'", "", row["age"])

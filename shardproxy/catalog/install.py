"""``shardproxy init``: a fence on every shard, then the catalog on one of them; as often as one likes.

First everything is looked at, then, if there is no mistake, what is missing is made, each server's part in
one transaction and the catalog as the last, so that it can be run again after any failure.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID, uuid4

import asyncpg

from shardproxy.backend.driver import FAULTS, reason
from shardproxy.backend.shards import ServerSpec
from shardproxy.catalog import maps
from shardproxy.catalog.connect import connect
from shardproxy.catalog.locks import CLASS_INSTALL
from shardproxy.catalog.look import Installed, NotOurs, look
from shardproxy.catalog.versions import VERSION, catalog_sql, fence_sql, newer, upgrade_sql
from shardproxy.errors import ShardproxyError
from shardproxy.topology.shard_map import ShardMap

APPLICATION_NAME: Final = "shardproxy init"
FIRST_EPOCH: Final = 1
OLDEST_VERSION: Final = 150_000
FIRST_WITH_SUBSCRIBERS: Final = 160_000
"""From here on a role can be allowed to create subscriptions."""

_FACTS: Final = """
SELECT current_setting('server_version_num')::int4 AS version,
       current_setting('server_version') AS version_text,
       pg_is_in_recovery() AS standby,
       current_database()::text AS database,
       current_setting('is_superuser')::bool AS superuser,
       has_database_privilege(current_database(), 'CREATE') AS may_create,
       EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS role_exists
"""
_RIGHTS: Final = """
SELECT r.rolreplication AS "REPLICATION",
       pg_has_role('pg_signal_backend', 'USAGE') AS pg_signal_backend,
       pg_has_role('pg_read_all_stats', 'USAGE') AS pg_read_all_stats,
       has_parameter_privilege('session_replication_role', 'SET')
           AS "SET ON PARAMETER session_replication_role",
       EXISTS (SELECT FROM pg_roles AS c WHERE c.rolname = 'pg_create_subscription'
               AND pg_has_role(c.oid, 'USAGE')) AS pg_create_subscription
FROM pg_roles AS r WHERE r.rolname = session_user
"""
_MAY_ENTER: Final = """
SELECT has_function_privilege($1::name, 'shardproxy.enter(int4, int4, text)', 'EXECUTE')
   AND bool_and(has_table_privilege($1::name, named, 'SELECT'))
FROM (VALUES ('shardproxy.shard'), ('shardproxy.map_copy')) AS t (named)
"""
_MAY_FOLLOW: Final = """
SELECT bool_and(has_table_privilege($1::name, named, 'SELECT'))
   AND has_function_privilege(
           $1::name, 'shardproxy.i_am(uuid, text, int4, text, int4, timestamptz, text[])', 'EXECUTE')
   AND has_function_privilege($1::name, 'shardproxy.i_leave(uuid)', 'EXECUTE')
FROM (VALUES ('shardproxy.map'), ('shardproxy.move'), ('shardproxy.move_log'), ('shardproxy.sidecar'))
     AS t (named)
"""
_GRANT_FENCE: Final = """
SELECT format('
    GRANT SELECT ON shardproxy.shard, shardproxy.moving, shardproxy.map_copy TO %1$I;
    GRANT EXECUTE ON FUNCTION shardproxy.enter TO %1$I', $1::text)
"""
_GRANT_CATALOG: Final = """
SELECT format('
    GRANT SELECT ON shardproxy.map, shardproxy.move, shardproxy.move_log, shardproxy.sidecar TO %1$I;
    GRANT EXECUTE ON FUNCTION shardproxy.i_am, shardproxy.i_leave TO %1$I', $1::text)
"""
_FENCE_ROW: Final = """
INSERT INTO shardproxy.shard (installation, name, oldest_epoch, newest_epoch, version)
VALUES ($1, $2, $3, $3, $4)
"""
_UPGRADED: Final = "UPDATE shardproxy.shard SET version = $1"
_ALONE: Final = f"SET LOCAL lock_timeout = '10s'; SELECT pg_advisory_xact_lock({CLASS_INSTALL}, 0)"

FENCE: Final = "fence"
CATALOG: Final = "catalog"
GRANTS: Final = "grants"
UPGRADE: Final = "upgrade"
RESTORE: Final = "restore"


@dataclass(frozen=True, slots=True)
class Target:
    """One shard to install on: its primary with the operator's login; ``role`` is the sidecars' there."""

    name: str
    server: ServerSpec
    role: str


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is to be made on a shard: ``what`` is FENCE, CATALOG, UPGRADE, RESTORE or GRANTS.

    ``version`` is that of what is there, 0 where nothing is; ``copy``, of RESTORE, the map that is put back.
    """

    shard: str
    what: str
    version: int = 0
    copy: ShardMap | None = None

    def __str__(self) -> str:
        done = {
            FENCE: 'create the schema "shardproxy" with the fence',
            CATALOG: "create the catalog with the first map",
            UPGRADE: f"upgrade what is there from version {self.version} to {VERSION}",
            RESTORE: f"put back the map of epoch {self.copy and self.copy.epoch}, which the catalog has lost",
            GRANTS: "grant the sidecars' role what it needs",
        }
        return f"{self.shard}: {done[self.what]}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is missing, in the order in which it is made, or why it cannot be: one sentence each.

    ``installation`` is what the fences are of, those there are and those to come. ``lacks`` are rights of the
    operator that moves need and this does not. ``current`` is the map in force, if there is one.
    """

    installation: UUID
    steps: tuple[Step, ...] = ()
    mistakes: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    current: ShardMap | None = None


@dataclass(slots=True)
class _Survey:
    """What was found on one shard."""

    target: Target
    installed: Installed = field(default_factory=Installed)
    granted: bool = True
    mistakes: list[str] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)
    current: ShardMap | None = None
    copy: ShardMap | None = None


async def plan(targets: Sequence[Target], catalog: str) -> Plan:
    """Look at every shard; ``catalog`` names the one that has, or gets, the catalog. Changes nothing."""
    surveys = await asyncio.gather(*(_survey(target, target.name == catalog) for target in targets))
    mistakes = [f"{survey.target.name}: {mistake}" for survey in surveys for mistake in survey.mistakes]
    lacks = [f"{survey.target.name}: {right}" for survey in surveys for right in survey.lacks]
    current = next((survey.current for survey in surveys if survey.current is not None), None)
    found = {survey.installed.fence.installation for survey in surveys if survey.installed.fence}
    if len(found) > 1:
        whose = ", ".join(
            f"{survey.target.name} is of {survey.installed.fence.installation}"
            for survey in surveys
            if survey.installed.fence
        )
        mistakes.append(f"the shards belong to different installations: {whose}")
    steps = list(_steps(surveys, catalog, current))
    installation = found.pop() if found else uuid4()
    return Plan(installation, tuple(steps), tuple(mistakes), tuple(lacks), current)


def _steps(surveys: Sequence["_Survey"], catalog: str, current: ShardMap | None) -> Iterator[Step]:
    """What is missing. A shard that the map in force does not list gets its fence when it is added."""
    for survey in surveys:
        name = survey.target.name
        if survey.installed.fence is None and (current is None or name in current.index):
            yield Step(name, FENCE)
    for survey in surveys:
        name, fence = survey.target.name, survey.installed.fence
        if fence is not None and fence.version < VERSION:
            yield Step(name, UPGRADE, fence.version)
        if name == catalog and not survey.installed.catalog:
            yield Step(catalog, CATALOG)
        elif fence is not None and fence.version == VERSION and not survey.granted:
            yield Step(name, GRANTS)
    copies = [survey.copy for survey in surveys if survey.copy is not None]
    newest = max(copies, key=lambda copy: copy.epoch, default=None)
    if newest is not None and current is not None and newest.epoch > current.epoch:
        yield Step(catalog, RESTORE, copy=newest)


async def install(plan: Plan, targets: Sequence[Target], shard_map: ShardMap) -> None:
    """Make what ``plan`` says is missing; ``shard_map`` becomes the first map. Raises ShardproxyError."""
    if plan.mistakes:
        raise ShardproxyError("; ".join(plan.mistakes))
    named = {target.name: target for target in targets}
    for step in plan.steps:
        target = named[step.shard]
        try:
            connection = await connect(target.server, APPLICATION_NAME)
            try:
                async with connection.transaction(isolation="read_committed"):
                    await connection.execute(_ALONE)
                    await _make(connection, step, target, plan.installation, shard_map)
            finally:
                connection.terminate()
        except FAULTS as fault:
            raise ShardproxyError(f"{target.name}: {reason(fault)}", hint="Run it again.") from fault


async def _make(
    connection: asyncpg.Connection, step: Step, target: Target, installation: UUID, shard_map: ShardMap
) -> None:
    """Do one step, unless somebody else has done it meanwhile."""
    what = step.what
    installed = await look(connection)
    if installed.fence is not None and installed.fence.installation != installation:
        raise ShardproxyError(f"{target.name}: somebody else is initialising it at the same time")
    if what == FENCE and installed.fence is None:
        await connection.execute(fence_sql())
        await connection.execute(_FENCE_ROW, installation, target.name, FIRST_EPOCH, VERSION)
    if installed.fence is not None and installed.fence.version < VERSION:
        await connection.execute(upgrade_sql(installed.fence.version, catalog=installed.catalog))
        await connection.execute(_UPGRADED, VERSION)
    if what == CATALOG and not installed.catalog:
        await connection.execute(catalog_sql())
        epochs = (FIRST_EPOCH,) * len(shard_map.shards)
        first = replace(shard_map, epoch=FIRST_EPOCH, shard_epochs=epochs, moves=())
        await maps.store_first(connection, first, "shardproxy init")
    if step.copy is not None:
        await maps.restore(connection, step.copy, "shardproxy init: restored from a shard's copy")
    await connection.execute(await connection.fetchval(_GRANT_FENCE, target.role))
    if what == CATALOG or (await look(connection)).catalog:
        await connection.execute(await connection.fetchval(_GRANT_CATALOG, target.role))


async def _ask_rights(connection: asyncpg.Connection, survey: _Survey, version: int) -> None:
    """What an operator who is no superuser has to be granted before something can be moved."""
    user = survey.target.server.login.user
    if version < FIRST_WITH_SUBSCRIBERS:
        survey.lacks.append(
            f'"{user}" has to be a superuser for moves: it is needed for subscriptions before 16'
        )
        return
    rights = await connection.fetchrow(_RIGHTS)
    survey.lacks += [f'"{user}" needs {right} for moves' for right, has in rights.items() if not has]


async def _survey(target: Target, has_catalog: bool) -> _Survey:
    survey = _Survey(target)
    try:
        connection = await connect(target.server, APPLICATION_NAME)
        try:
            await _ask(connection, survey, has_catalog)
        finally:
            connection.terminate()
    except NotOurs as error:
        survey.mistakes.append(error.message)
    except FAULTS as fault:
        survey.mistakes.append(f"{target.server.address} cannot be used: {reason(fault)}")
    return survey


async def _ask(connection: asyncpg.Connection, survey: _Survey, has_catalog: bool) -> None:
    target, mistakes = survey.target, survey.mistakes
    facts = await connection.fetchrow(_FACTS, target.role)
    if facts["version"] < OLDEST_VERSION:
        mistakes.append(f"is PostgreSQL {facts['version_text']}; shardproxy needs 15 or newer")
        return
    if facts["standby"]:
        mistakes.append(f"{target.server.address} is a standby; name the server that takes writes")
    if not facts["role_exists"]:
        mistakes.append(f'the sidecars\' role "{target.role}" does not exist')
    if not facts["superuser"]:
        await _ask_rights(connection, survey, facts["version"])
    survey.installed = await look(connection)
    if survey.installed.catalog:
        survey.current = await maps.read(connection)
    fence = survey.installed.fence
    if fence is None:
        if not facts["may_create"]:
            user, database = target.server.login.user, facts["database"]
            mistakes.append(
                f'"{user}" may not create a schema: GRANT CREATE ON DATABASE "{database}" TO "{user}"'
            )
        return
    if fence.name != target.name:
        mistakes.append(
            f'{target.server.address} is the shard "{fence.name}" of installation {fence.installation}'
        )
    if survey.installed.catalog and not has_catalog:
        mistakes.append("the catalog is here; name this shard in catalog.shard")
    survey.copy = await maps.read_copy(connection)
    if fence.version > VERSION:
        mistakes.append(newer(fence.version))
    elif facts["role_exists"] and fence.version == VERSION:
        survey.granted = await connection.fetchval(_MAY_ENTER, target.role) and (
            not survey.installed.catalog or await connection.fetchval(_MAY_FOLLOW, target.role)
        )

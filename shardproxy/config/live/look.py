"""What one server says of itself. Nothing is judged here, and nothing is written on the server."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import asyncpg

from shardproxy.backend import driver
from shardproxy.backend.driver import FAULTS, reason
from shardproxy.backend.server import Address, Login
from shardproxy.catalog.look import Installed, NotOurs
from shardproxy.catalog.look import look as look_at_installed
from shardproxy.config.mistakes import OptionPath
from shardproxy.monitor.schema_reader import read_schema
from shardproxy.monitor.sql_files import sql
from shardproxy.routing.route import Role
from shardproxy.sql.schema import Relation, Schema
from shardproxy.topology.keys import family_of
from shardproxy.topology.ownership import moving_rows, ownership_check
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import Local, RelationName, Sharded, TableRule

APPLICATION_NAME: Final = "shardproxy check"
SPREADABLE: Final = ("r", "p")
"""pg_class.relkind of what the configuration can list: tables and partitioned tables."""

COUNT_TIMEOUT: Final = 600.0
"""Seconds that counting the misplaced rows of one table may take; it reads the whole table."""

_FACTS: Final = """
SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS version,
       pg_catalog.current_setting('server_version') AS version_text,
       pg_catalog.current_setting('server_encoding') AS encoding,
       pg_catalog.pg_is_in_recovery() AS in_recovery
"""


@dataclass(frozen=True, slots=True)
class Target:
    """One server to look at. ``shard`` is its index; ``path`` is where the configuration names it."""

    shard: int
    name: str
    role: Role
    path: OptionPath
    address: Address
    login: Login
    timeout: float  # seconds, for the connection and for each short answer


@dataclass(frozen=True, slots=True)
class Misplaced:
    """Rows of one table on a shard that does not own them; ``failure``: why they are not counted."""

    rows: int = 0
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """One server's answers. ``failure``: why there are none, or not all; what came before it is filled in.

    ``system_identifier`` is None when the role may not read it. ``schema``, ``misplaced`` and ``installed``
    (None: ``not_installed`` says why) are a primary's.
    """

    target: Target
    failure: str | None = None
    version: int = 0
    version_text: str = ""
    encoding: str = ""
    in_recovery: bool = False
    system_identifier: int | None = None
    schema: Schema | None = None
    misplaced: Mapping[RelationName, Misplaced] = field(default_factory=dict)
    installed: Installed | None = None
    not_installed: str | None = None


async def look(target: Target, shard_map: ShardMap | None, slots: asyncio.Semaphore) -> Look:
    """Ask one server; what it or the network does is never raised. ``slots`` bounds the connections.

    ``shard_map`` says which rows belong where; None: they are not counted.
    """
    async with slots:
        try:
            connection = await connect(target)
        except FAULTS as fault:
            return Look(target, failure=reason(fault))
        try:
            return await _ask(connection, target, shard_map)
        except FAULTS as fault:
            return Look(target, failure=reason(fault))
        finally:
            connection.terminate()


async def connect(target: Target, *, own_search_path: bool = False) -> asyncpg.Connection:
    """A read-only connection, whatever the environment says: no PGPASSWORD, no .pgpass.

    Its search_path is pg_catalog, or the role's own.
    """
    return await driver.connect(
        target.address,
        target.login,
        APPLICATION_NAME,
        timeout=target.timeout,
        command_timeout=target.timeout,
        settings={
            "default_transaction_read_only": "on",
            **({"search_path": None} if own_search_path else {}),
        },
    )


async def _ask(connection: asyncpg.Connection, target: Target, shard_map: ShardMap | None) -> Look:
    facts = await connection.fetchrow(_FACTS)
    identifier: int | None = None
    if await connection.fetchval(sql("may_identify")):
        identifier = await connection.fetchval(sql("identify"))
    seen = Look(target, None, **dict(facts), system_identifier=identifier)
    if target.role is not Role.PRIMARY:
        return seen
    schema = await read_schema(connection)
    installed, why = await _installed(connection)
    misplaced: dict[RelationName, Misplaced] = {}
    if shard_map is not None and target.name in shard_map.index and _counts(shard_map, installed):
        misplaced = await _misplaced_rows(connection, schema, shard_map.index[target.name], shard_map)
    return replace(seen, schema=schema, misplaced=misplaced, installed=installed, not_installed=why)


def _counts(shard_map: ShardMap, installed: Installed | None) -> bool:
    """Whether the map is the one that counts: the catalog's, where the shard is an installation's."""
    return shard_map.epoch > 0 or (installed is not None and installed.fence is None)


async def _installed(connection: asyncpg.Connection) -> tuple[Installed | None, str | None]:
    try:
        return await look_at_installed(connection), None
    except NotOurs as error:
        return None, f"{error.message}; {error.hint}"
    except asyncpg.InsufficientPrivilegeError as fault:
        return None, f"{reason(fault)}; run shardproxy init, which grants it"


async def _misplaced_rows(
    connection: asyncpg.Connection, schema: Schema, shard: int, shard_map: ShardMap
) -> dict[RelationName, Misplaced]:
    counts: dict[RelationName, Misplaced] = {}
    for name, rule in shard_map.tables.rules.items():
        condition = _misplaced(schema.relations.get(name), rule, shard, shard_map)
        if condition is None:
            continue
        try:
            counts[name] = Misplaced(await _count(connection, name, condition))
        except (TimeoutError, asyncpg.PostgresError) as fault:
            counts[name] = Misplaced(failure=reason(fault))
            if connection.is_closed():
                raise
    return counts


def _misplaced(relation: Relation | None, rule: TableRule, shard: int, shard_map: ShardMap) -> str | None:
    """The SQL condition of rows that must not be on this shard; None when there is nothing to count.

    What a move has there, which does not count, is not misplaced.
    """
    if relation is None or relation.kind not in SPREADABLE:
        return None
    if isinstance(rule, Local):
        return None if shard_map.index.get(rule.shard) == shard else "true"
    if not isinstance(rule, Sharded):
        return None
    column, family = relation.column(rule.key), shard_map.tables.groups[rule.group]
    if column is None or family_of(column.type_oid) is not family:
        return None
    wrong = f"NOT {ownership_check(shard_map, shard, rule.group, family, quoted(rule.key))}"
    for move in shard_map.moves_on(shard):
        moving = moving_rows(shard_map, move, rule.group, family, quoted(rule.key))
        if move.stale == shard and moving is not None:
            wrong += f" AND NOT COALESCE({moving}, false)"
    return wrong


async def _count(connection: asyncpg.Connection, name: RelationName, condition: str) -> int:
    # Names are quoted as identifiers, values come from the shard map only. With row_security off, a policy
    # that would hide rows is an error and not a wrong count.
    statement = f"SELECT pg_catalog.count(*) FROM {quoted(name[0])}.{quoted(name[1])} WHERE {condition}"  # noqa: S608
    async with connection.transaction(readonly=True):
        await connection.execute("SET LOCAL row_security = off")
        count: int = await connection.fetchval(statement, timeout=COUNT_TIMEOUT)
        return count


def quoted(name: str) -> str:
    """``name`` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'

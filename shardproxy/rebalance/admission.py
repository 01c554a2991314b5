"""What is in the way of a new shard: everything that would make statements mean something else there."""

from collections.abc import Iterator
from typing import Any, Final

import asyncpg

from shardproxy.catalog.look import NotOurs, look
from shardproxy.catalog.sidecars import sidecars
from shardproxy.catalog.versions import VERSION
from shardproxy.rebalance.obstacles import Obstacle
from shardproxy.rebalance.reference import reference_obstacles
from shardproxy.rebalance.schemas import schema_obstacles
from shardproxy.rebalance.sql_files import sql
from shardproxy.rebalance.tables import label
from shardproxy.replication.quoting import relation
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import Local, Reference, RelationName, Sharded

LIVE: Final = 15.0
"""Seconds within which a sidecar that lives has told of itself."""

OLDEST: Final = 150_000
_PROVIDERS: Final = {"c": "libc", "i": "ICU", "b": "builtin"}


async def admission_obstacles(
    catalog: asyncpg.Connection,
    model: asyncpg.Connection,
    new: asyncpg.Connection,
    shard_map: ShardMap,
    names: tuple[str, str],
    role: str,
    *,
    copies_reference: bool,
) -> list[Obstacle]:
    """All that is in the way of ``new`` becoming a shard like ``model``; ``names`` are theirs, the model's
    first, ``role`` the sidecars' there. ``copies_reference``: empty reference tables are filled.
    """
    facts, other = [await each.fetchrow(sql("server_alike"), role) for each in (model, new)]
    found = [*_server(facts, other, names[1], role), *await _fence(catalog, new, names[1])]
    found += await _sidecars(catalog, names[1])
    if any(not each.warning for each in found):
        return found
    schemas = await schema_obstacles(model, new, shard_map.tables, names)
    found += schemas
    found += await _privileges(model, new, shard_map, names[1], role)
    found += await _rows(new, shard_map, names[1])
    if not schemas:
        found += await reference_obstacles(model, new, shard_map, names, fills=copies_reference)
    return found


def _server(model: Any, new: Any, name: str, role: str) -> Iterator[Obstacle]:
    if new["version"] < OLDEST:
        yield Obstacle(f"{name} is PostgreSQL {new['version_text']}", "shardproxy needs 15 or newer")
    elif new["version"] // 10_000 != model["version"] // 10_000:
        yield Obstacle(
            f"{name} is PostgreSQL {new['version_text']}, the others are {model['version_text']}",
            "what differs between them differs between tenants; use one version",
            warning=True,
        )
    if new["standby"]:
        yield Obstacle(f"{name} is a standby", "name the server that takes writes as its primary")
    if new["encoding"] != model["encoding"]:
        yield Obstacle(
            f"the database on {name} has the encoding {new['encoding']}, the others have {model['encoding']}",
            f"create it anew with ENCODING '{model['encoding']}'",
        )
    if (here := _locale(new)) != (there := _locale(model)):
        yield Obstacle(
            f"the database on {name} has the locale {here}, the others have {there}",
            "text would sort and compare otherwise there; create it anew with theirs",
        )
    elif new["collation_version"] != model["collation_version"]:
        yield Obstacle(
            f"the collations on {name} are of version {new['collation_version'] or 'unknown'}, "
            f"the others' of {model['collation_version'] or 'unknown'}",
            "text may sort otherwise there; use the same version of the library",
            warning=True,
        )
    yield from _extensions(model, new, name)
    if not new["role_exists"]:
        yield Obstacle(f'the sidecars\' role "{role}" does not exist on {name}', "create it, with LOGIN")


def _locale(facts: Any) -> str:
    provider = _PROVIDERS.get(facts["provider"], facts["provider"])
    return f"{facts['locale'] or facts['collate']}/{facts['ctype']} ({provider})"


def _extensions(model: Any, new: Any, name: str) -> Iterator[Obstacle]:
    there = dict(each.rsplit(" ", 1) for each in model["extensions"])
    here = dict(each.rsplit(" ", 1) for each in new["extensions"])
    for extension, version in there.items():
        if extension not in here:
            yield Obstacle(f"the extension {extension} is missing on {name}", "CREATE EXTENSION there")
        elif here[extension] != version:
            yield Obstacle(
                f"the extension {extension} is of version {here[extension]} on {name}, else of {version}",
                f"ALTER EXTENSION {extension} UPDATE",
                warning=True,
            )


async def _fence(catalog: asyncpg.Connection, new: asyncpg.Connection, name: str) -> list[Obstacle]:
    """It may have a fence already, of this installation and name."""
    ours = (await look(catalog)).fence
    assert ours is not None
    if ours.version < VERSION:
        return [
            Obstacle(
                f"the installation is of version {ours.version}", "run shardproxy init, which upgrades it"
            )
        ]
    try:
        fence = (await look(new)).fence
    except NotOurs as error:
        return [Obstacle(f"{name}: {error.message}", "rename that schema")]
    if fence is None or (fence.installation, fence.name) == (ours.installation, name):
        return []
    other = f"another installation ({fence.installation})"
    whose = "this installation" if fence.installation == ours.installation else other
    return [
        Obstacle(
            f'the server at the address of {name} is shard "{fence.name}" of {whose}',
            "correct the address; if that shard is given up, DROP SCHEMA shardproxy CASCADE there",
        )
    ]


async def _sidecars(catalog: asyncpg.Connection, name: str) -> list[Obstacle]:
    """Each that lives must have servers for it before a map may send statements there."""
    return [
        Obstacle(
            f"the sidecar on {each.host} with pid {each.pid} does not know {name}",
            "add it to its configuration and send it SIGHUP",
        )
        for each in await sidecars(catalog, within=LIVE)
        if name not in (each.shards or ())
    ]


async def _privileges(
    model: asyncpg.Connection, new: asyncpg.Connection, shard_map: ShardMap, name: str, role: str
) -> list[Obstacle]:
    """What the sidecars' role may do on the others, it may do there."""
    wanted = list(shard_map.tables.rules)
    schemas, tables = [schema for schema, _ in wanted], [table for _, table in wanted]
    allowed: list[dict[RelationName, list[str]]] = []
    for connection in (model, new):
        rows = await connection.fetch(sql("privileges"), schemas, tables, role)
        allowed.append({(row["schema"], row["name"]): row["privileges"] for row in rows})
    return [
        Obstacle(f'"{role}" may not {", ".join(lacking)} on {label(table)} on {name}', "GRANT it there")
        for table, privileges in allowed[0].items()
        if not isinstance(shard_map.tables.rules[table], Local) and table in allowed[1]
        if (lacking := [each for each in privileges if each not in allowed[1][table]])
    ]


async def _rows(new: asyncpg.Connection, shard_map: ShardMap, name: str) -> list[Obstacle]:
    return [
        Obstacle(
            f"{label(table)} has rows on {name}, which owns none",
            "delete them there, and load what is missing through a sidecar: it belongs to other shards",
        )
        for table in await tables_with_rows(new, shard_map)
    ]


async def tables_with_rows(connection: asyncpg.Connection, shard_map: ShardMap) -> list[RelationName]:
    """The sharded and local tables that have rows on a shard."""
    found = []
    for table, rule in sorted(shard_map.tables.rules.items()):
        if isinstance(rule, Reference) or not await is_table(connection, table):
            continue
        assert isinstance(rule, Sharded | Local)
        if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {relation(table)})"):  # noqa: S608
            found.append(table)
    return found


async def is_table(connection: asyncpg.Connection, table: RelationName) -> bool:
    """Whether there is a table, partitioned or not, of that name."""
    return bool(await connection.fetchval(_IS_TABLE, *table))


_IS_TABLE: Final = """
SELECT EXISTS (
    SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p'))
"""

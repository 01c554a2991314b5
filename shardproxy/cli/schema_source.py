"""Where ``route`` knows the schema from: a shard that is asked now, or the configuration alone."""

import asyncio
from dataclasses import dataclass

from shardproxy.backend.driver import FAULTS, reason
from shardproxy.config import assemble
from shardproxy.config.live.check import targets
from shardproxy.config.live.installation import is_installed, map_in_force
from shardproxy.config.live.look import Target, connect
from shardproxy.config.model import Config
from shardproxy.errors import Unavailable
from shardproxy.monitor.schema_reader import read_schema
from shardproxy.routing.route import Role
from shardproxy.sql.schema import Column, Relation, Schema
from shardproxy.topology import type_oids
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import Sharded

_KEY_TYPES = {
    "text": (type_oids.TEXT, "text"),
    "varchar": (type_oids.VARCHAR, "character varying"),
    "uuid": (type_oids.UUID, "uuid"),
    "int2": (type_oids.INT2, "smallint"),
    "int4": (type_oids.INT4, "integer"),
    "int8": (type_oids.INT8, "bigint"),
}


@dataclass(frozen=True, slots=True)
class KnownSchema:
    """A schema, the search_path that unqualified names are looked up with, and the map in force."""

    schema: Schema
    search_path: tuple[str, ...]
    shard_map: ShardMap


def ask_a_shard(config: Config) -> KnownSchema:
    """Read the schema from a primary, the designated shard's first, and the map from the catalog if there is
    one. Raises Unavailable when none answers, which says why the first cannot be asked, or the map cannot be
    read.
    """
    return asyncio.run(_ask_the_first(config))


async def _ask_the_first(config: Config) -> KnownSchema:
    primaries = [each for each in targets(config) if each.role is Role.PRIMARY]
    catalog = next(each for each in primaries if each.shard == config.catalog_index)
    shard_map = await map_in_force(catalog)
    primaries.sort(key=lambda target: target.shard != config.designated_index)
    failures = []
    for target in primaries:
        try:
            return await _ask(target, config, catalog, shard_map)
        except Unavailable as failure:
            failures.append(failure)
    raise failures[0]


async def _ask(target: Target, config: Config, catalog: Target, shard_map: ShardMap | None) -> KnownSchema:
    try:
        connection = await connect(target, own_search_path=True)
        try:
            path = await connection.fetchval("SELECT pg_catalog.current_schemas(false)::pg_catalog.text[]")
            await connection.execute("SET search_path = pg_catalog")
            if shard_map is None and await is_installed(connection):
                raise Unavailable(
                    f"cannot read the map from the catalog on shard '{catalog.name}' ({catalog.address})",
                    hint="Start it, or see catalog.shard.",
                )
            schema = await read_schema(connection)
            return KnownSchema(schema, tuple(path), shard_map or assemble.shard_map(config))
        finally:
            connection.terminate()
    except FAULTS as fault:
        raise Unavailable(
            f"cannot read the schema from shard '{target.name}' ({target.address}): {reason(fault)}",
            hint="Start it, or give --offline to route by the configuration alone.",
        ) from None


def from_configuration(config: Config) -> KnownSchema:
    """What the configuration says: its tables, each with nothing but its key; no functions, no views."""
    rules = assemble.table_rules(config)
    relations = {
        name: Relation(
            schema=name[0],
            name=name[1],
            kind="r",
            columns=(_key_column(config, rule),) if isinstance(rule, Sharded) else (),
        )
        for name, rule in rules.rules.items()
    }
    schemas = frozenset({"public", *(schema for schema, _ in relations)})
    known = Schema(relations, {}, frozenset(), schemas)
    return KnownSchema(known, ("public",), assemble.shard_map(config))


def _key_column(config: Config, rule: Sharded) -> Column:
    oid, type_name = _KEY_TYPES[config.groups[rule.group].type]
    return Column(rule.key, oid, type_name)

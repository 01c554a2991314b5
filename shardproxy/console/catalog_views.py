"""What SHOW asks the catalog and the shards for, with the sidecars' own logins."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import asyncpg

from shardproxy.backend.driver import FAULTS, reason
from shardproxy.backend.shards import ShardSpec
from shardproxy.catalog import journal, maps
from shardproxy.catalog.connect import connect
from shardproxy.catalog.look import look
from shardproxy.catalog.sidecars import sidecars as registered
from shardproxy.console.table import INT8, TEXT, TIMESTAMPTZ, Answer
from shardproxy.errors import ShardproxyError, Unavailable
from shardproxy.rebalance import tenants as counted
from shardproxy.rebalance.what import named
from shardproxy.topology.shard_map import ShardMap

APPLICATION_NAME: Final = "shardproxy console"
TIMEOUT: Final = 5.0
"""Seconds for a connect with its login, and for each answer of the catalog."""

NEWEST: Final = 100
"""Moves, maps and tenants that are shown unless it is said otherwise."""

_SIDECARS: Final = (
    ("sidecar", TEXT),
    ("host", TEXT),
    ("pid", INT8),
    ("version", TEXT),
    ("epoch", INT8),
    ("started", TIMESTAMPTZ),
    ("seen", TIMESTAMPTZ),
)
_MOVES: Final = (
    ("move", INT8),
    ("state", TEXT),
    ("step", TEXT),
    ("source", TEXT),
    ("target", TEXT),
    ("what", TEXT),
    ("rows", INT8),
    ("created", TIMESTAMPTZ),
    ("updated", TIMESTAMPTZ),
    ("failure", TEXT),
)
_MAPS: Final = (("epoch", INT8), ("why", TEXT), ("published", TIMESTAMPTZ), ("publisher", TEXT))
_TENANTS: Final = (
    ("tenant", TEXT),
    ("shard", TEXT),
    ("rows", INT8),
    ("bytes", INT8),
    ("placed", TEXT),
    ("move", INT8),
)


@asynccontextmanager
async def _catalog(shard: ShardSpec) -> AsyncIterator[asyncpg.Connection]:
    """The catalog's primary, or a replica while that is away. Raises ShardproxyError."""
    failure: Exception | None = None
    for server in (shard.primary, *shard.replicas):
        try:
            connection = await connect(server, APPLICATION_NAME, timeout=TIMEOUT, command_timeout=TIMEOUT)
        except FAULTS as fault:
            failure = failure or fault
            continue
        try:
            if not (await look(connection)).catalog:
                raise ShardproxyError(
                    f'there is no catalog on shard "{shard.name}"', hint="shardproxy init makes one."
                )
            yield connection
            return
        except FAULTS as fault:
            raise Unavailable(f"the catalog: {reason(fault)}") from fault
        finally:
            connection.terminate()
    assert failure is not None
    raise Unavailable(f"the catalog cannot be reached: {reason(failure)}") from failure


async def sidecars(catalog: ShardSpec) -> Answer:
    """Those that were seen lately."""
    async with _catalog(catalog) as connection:
        found = await registered(connection)
    rows = [
        (str(each.sidecar), each.host, each.pid, each.version, each.epoch, each.started, each.seen)
        for each in found
    ]
    return Answer(_SIDECARS, rows)


async def moves(catalog: ShardSpec) -> Answer:
    """The newest moves."""
    async with _catalog(catalog) as connection:
        found = await journal.moves(connection, limit=NEWEST)
    rows = [
        (
            move.number,
            move.state.value,
            move.step,
            move.source,
            move.target,
            named(move.what),
            move.facts.get("rows"),
            move.created,
            move.updated,
            move.failure,
        )
        for move in found
    ]
    return Answer(_MOVES, rows)


async def map_history(catalog: ShardSpec) -> Answer:
    """The newest versions of the map."""
    async with _catalog(catalog) as connection:
        found = await maps.history(connection, NEWEST)
    return Answer(_MAPS, [(each.epoch, each.why, each.published, each.publisher) for each in found])


async def tenants(specs: Sequence[ShardSpec], shard_map: ShardMap, limit: int | None) -> Answer:
    """The largest tenants, counted on every shard."""
    by_name = {spec.name: spec for spec in specs}
    group = shard_map.tables.tenant_group
    try:
        found = await counted.largest(by_name, shard_map, group, limit=limit or NEWEST)
    except FAULTS as fault:
        raise Unavailable(reason(fault)) from fault
    rows = [(each.key, each.shard, each.size.rows, each.size.bytes, each.placed, each.move) for each in found]
    return Answer(_TENANTS, rows)

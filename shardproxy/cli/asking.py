"""Asking the servers with the sidecars' own logins, as commands do that only look."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from shardproxy.backend.driver import FAULTS, reason
from shardproxy.backend.shards import ShardSpec
from shardproxy.catalog import maps
from shardproxy.catalog.connect import connect
from shardproxy.catalog.look import look
from shardproxy.config import assemble
from shardproxy.config.model import Config
from shardproxy.errors import Unavailable
from shardproxy.rebalance import tenants
from shardproxy.topology.shard_map import ShardMap

T = TypeVar("T")


async def with_map(config: Config, ask: Callable[[dict[str, ShardSpec], ShardMap], Awaitable[T]]) -> T:
    """Ask with the map in force. Raises ShardproxyError."""
    shards = {spec.name: spec for spec in assemble.shard_specs(config)}
    server = shards[config.shards[config.catalog_index].name].primary
    try:
        connection = await connect(server, tenants.APPLICATION_NAME, command_timeout=10.0)
        try:
            has_catalog = (await look(connection)).catalog
            shard_map = await maps.read(connection) if has_catalog else assemble.shard_map(config)
        finally:
            connection.terminate()
        return await ask(shards, shard_map)
    except FAULTS as fault:
        raise Unavailable(reason(fault)) from fault

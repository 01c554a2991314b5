"""How the shards are: their parts of the map, now and as it aims for, and their servers."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shardproxy.backend.driver import FAULTS, reason
from shardproxy.backend.shards import ServerSpec, ShardSpec
from shardproxy.catalog.connect import connect
from shardproxy.catalog.look import NotOurs, look
from shardproxy.rebalance.tables import label
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import Local

APPLICATION_NAME: Final = "shardproxy shards"
TIMEOUT: Final = 5.0
"""Seconds for a server to answer."""


@dataclass(frozen=True, slots=True)
class ServerState:
    """A server. ``oldest`` and ``newest``: the epochs that it lets in, None where it has no fence.
    ``failure``: why it could not be asked.
    """

    address: str
    oldest: int | None = None
    newest: int | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class ShardState:
    """A shard. ``buckets`` it has, and should have: ``aimed``; ``placed``: keys placed on it; ``epoch``: the
    newest that changed what is on it. ``moves``: numbers of those from or to it. ``roles``: what else it is.
    """

    name: str
    weight: int
    buckets: int
    aimed: int
    placed: int
    epoch: int
    moves: tuple[int, ...]
    roles: tuple[str, ...]
    primary: ServerState | None
    replicas: tuple[ServerState, ...]


async def states(shards: Mapping[str, ShardSpec], shard_map: ShardMap, catalog: str) -> list[ShardState]:
    """Every shard of the map; ``catalog``: the name of the one that has it, where there is one. What servers
    do is never raised.
    """
    aim = shard_map.aim()
    return list(
        await asyncio.gather(
            *(
                _state(shards.get(name), shard_map, index, aim.count(index), catalog)
                for index, name in enumerate(shard_map.shards)
            )
        )
    )


async def _state(
    spec: ShardSpec | None, shard_map: ShardMap, index: int, aimed: int, catalog: str
) -> ShardState:
    servers = [] if spec is None else [spec.primary, *spec.replicas]
    seen = await asyncio.gather(*map(_ask, servers))
    name = shard_map.shards[index]
    local = [label(table) for table, rule in sorted(shard_map.tables.rules.items()) if rule == Local(name)]
    roles = ["catalog"] if shard_map.epoch and name == catalog else []
    roles += ["designated"] if index == shard_map.designated else []
    return ShardState(
        name=name,
        weight=shard_map.weights[index],
        buckets=shard_map.owners.count(index),
        aimed=aimed,
        placed=sum(owner == index for owner in shard_map.placements.values()),
        epoch=shard_map.shard_epochs[index],
        moves=tuple(move.number for move in shard_map.moves_on(index)),
        roles=(*roles, *(f"local {table}" for table in local)),
        primary=seen[0] if seen else None,
        replicas=tuple(seen[1:]),
    )


async def _ask(server: ServerSpec) -> ServerState:
    address = str(server.address)
    try:
        connection = await connect(server, APPLICATION_NAME, timeout=TIMEOUT, command_timeout=TIMEOUT)
        try:
            fence = (await look(connection)).fence
        finally:
            connection.terminate()
    except NotOurs as error:
        return ServerState(address, failure=error.message)
    except FAULTS as fault:
        return ServerState(address, failure=reason(fault))
    if fence is None:
        return ServerState(address)
    return ServerState(address, fence.oldest_epoch, fence.newest_epoch)

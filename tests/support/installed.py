"""A cluster that was made an installation, and what its operator does there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import asyncpg

from shardproxy.backend.server import Address, Login
from shardproxy.backend.shards import ServerSpec, ShardSpec
from shardproxy.catalog import install, maps
from shardproxy.catalog.connect import connect
from shardproxy.demo.cluster import APP_USER, DATABASE
from shardproxy.demo.postgres import Server
from shardproxy.secret import Secret
from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.moves import PlacedKey
from shardproxy.topology.shard_map import ShardMap
from tests.support.cluster import Cluster

OPERATOR, OPERATOR_PASSWORD = "operator", "operator"
Change = Callable[[ShardMap], ShardMap]


@dataclass(frozen=True)
class Installed:
    """``cluster`` with fences and a catalog, on its first shard."""

    cluster: Cluster

    @classmethod
    def make(cls, cluster: Cluster) -> "Installed":
        """Install everything, and wait until the replicas have it."""
        for shard in cluster.shards:
            shard.primary.query(f"CREATE ROLE {OPERATOR} SUPERUSER LOGIN PASSWORD '{OPERATOR_PASSWORD}'")
        made = cls(cluster)
        targets = [install.Target(spec.name, spec.primary, APP_USER) for spec in made.specs]

        async def work() -> None:
            await install.install(await install.plan(targets, made.specs[0].name), targets, cluster.map)

        asyncio.run(work())
        cluster.wait_for_replicas()
        return made

    @property
    def specs(self) -> tuple[ShardSpec, ...]:
        """Every shard with the operator's logins."""
        return tuple(
            ShardSpec(shard.name, _spec(shard.primary), tuple(map(_spec, shard.replicas)))
            for shard in self.cluster.shards
        )

    def config(self, **sections: Any) -> dict[str, Any]:
        """The sidecar's configuration, with the operator in it."""
        operator = {"user": OPERATOR, "password": OPERATOR_PASSWORD}
        return self.cluster.config(**{"operator": operator, **sections})

    @asynccontextmanager
    async def operator(self, shard: int = 0) -> AsyncIterator[asyncpg.Connection]:
        """A connection to a shard's primary, as a command has it."""
        connection = await connect(self.specs[shard].primary, "operator")
        try:
            yield connection
        finally:
            connection.terminate()

    async def publish(self, change: Change, *concerned: int) -> ShardMap:
        """Publish a change that concerns these shards."""
        async with AsyncExitStack() as stack:
            catalog = await stack.enter_async_context(self.operator())
            primaries = {
                self.specs[shard].name: await stack.enter_async_context(self.operator(shard))
                for shard in concerned
            }
            return await maps.publish(catalog, change, "a test", primaries)


def placed(tenant: str, shard: int) -> Change:
    """A tenant's placement on a shard."""
    key: PlacedKey = ("tenant", tenant.encode())
    return lambda old: replace(old, placements={**old.placements, key: shard})


def unchanged(old: ShardMap) -> ShardMap:
    """The map as it is, under a new number."""
    return old


def owner(shard_map: ShardMap, tenant: str) -> int:
    """The shard that a map gives a tenant."""
    return shard_map.owner("tenant", KeyFamily.TEXT, tenant.encode())


def _spec(server: Server) -> ServerSpec:
    login = Login(OPERATOR, DATABASE, Secret(OPERATOR_PASSWORD))
    return ServerSpec(Address("127.0.0.1", server.port), login)

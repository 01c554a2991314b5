"""The workloads' shards as an installation: with fences and a catalog, so that tenants can move."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from shardproxy.backend.server import Address, Login
from shardproxy.backend.shards import ServerSpec, ShardSpec
from shardproxy.catalog import install, maps
from shardproxy.demo.cluster import APP_USER, DATABASE, Shard
from shardproxy.demo.postgres import Run, Server
from shardproxy.rebalance.installation import Installation
from shardproxy.secret import Secret
from shardproxy.topology.keys import KeyFamily
from tests.histories import shards as clusters
from tests.histories.shards import OPERATOR, OPERATOR_PASSWORD, TENANTS, Shards
from tests.support import aio
from tests.support.proxy import Proxy


@dataclass(frozen=True)
class Installed:
    """Shards with fences and a catalog on the first, and the sidecars in front of them."""

    shards: Shards
    sidecars: Sequence[Proxy]

    @property
    def installation(self) -> Installation:
        """As an operator sees it."""
        return Installation({shard.name: spec(shard) for shard in self.shards.shards}, "shard-a")

    async def owners(self) -> dict[str, str]:
        """Each tenant's shard now."""
        catalog = await asyncpg.connect(self.shards.operator_dsn(self.shards.shards[0].primary), timeout=5.0)
        try:
            shard_map = await maps.read(catalog)
        finally:
            catalog.terminate()
        return {
            tenant: shard_map.shards[shard_map.owner("tenant", KeyFamily.TEXT, tenant.encode())]
            for tenant in TENANTS
        }

    def names(self) -> tuple[str, ...]:
        """The shards."""
        return tuple(shard.name for shard in self.shards.shards)

    def left_behind(self) -> dict[str, str]:
        """What moves may not leave, by shard: slots, publications, subscriptions, triggers, states, markers."""
        found = {}
        for shard in self.shards.shards:
            rows = shard.primary.query(
                "SELECT slot_name FROM pg_replication_slots UNION ALL SELECT pubname FROM pg_publication "
                "UNION ALL SELECT subname FROM pg_subscription UNION ALL SELECT 'marker' FROM shardproxy.marker "
                "UNION ALL SELECT tgname FROM pg_trigger WHERE tgname ~ '^shardproxy_' "
                "UNION ALL SELECT proname FROM pg_proc WHERE proname ~ '^shardproxy_' "
                "UNION ALL SELECT 'moving' FROM shardproxy.moving UNION ALL SELECT gid FROM pg_prepared_xacts",
                dbname=DATABASE,
            )
            if rows:
                found[shard.name] = rows
        return found


def spec(shard: Shard) -> ShardSpec:
    """A shard with the operator's logins."""
    return ShardSpec(shard.name, server_spec(shard.primary), tuple(map(server_spec, shard.replicas)))


def server_spec(server: Server) -> ServerSpec:
    """A server with the operator's login."""
    login = Login(OPERATOR, DATABASE, Secret(OPERATOR_PASSWORD))
    return ServerSpec(Address("127.0.0.1", server.port), login)


@contextmanager
def installed(
    run: Run, *, sidecars: int = 2, count: int = 3, replicas: int = 0, **sections: Any
) -> Iterator[Installed]:
    """``count`` such shards in ``run``, with so many sidecars in front of them, configured with ``sections``."""
    shards = clusters.start(run, count=count, replicas=replicas)
    aio.run(_install(shards))
    with shards.sidecars(sidecars, **sections) as proxies:
        yield Installed(shards, proxies)


async def _install(shards: Shards) -> None:
    targets = [install.Target(shard.name, server_spec(shard.primary), APP_USER) for shard in shards.shards]
    await install.install(await install.plan(targets, "shard-a"), targets, shards.map)

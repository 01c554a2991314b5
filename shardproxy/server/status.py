"""What the operator is shown of this sidecar: one moment of all its parts."""

import asyncio
from typing import TYPE_CHECKING

from shardproxy.admin.status import CatalogStatus, MoveStatus, PoolStatus, ShardStatus, Status
from shardproxy.backend.shards import ServerPool
from shardproxy.counters import Counters
from shardproxy.version import VERSION

if TYPE_CHECKING:
    from shardproxy.server.sidecar import Sidecar


class SidecarStatus:
    """The :class:`~shardproxy.admin.status.StatusSource` of a running sidecar."""

    def __init__(self, sidecar: "Sidecar") -> None:
        self._sidecar = sidecar
        self._started = asyncio.get_running_loop().time()

    def status(self) -> Status:
        """This moment."""
        sidecar = self._sidecar
        now = asyncio.get_running_loop().time()
        return Status(
            version=VERSION,
            uptime=now - self._started,
            now=now,
            listening=sidecar.listeners.is_open,
            draining=sidecar.shared.draining,
            schema_known=sidecar.shared.is_ready,
            addresses=tuple(sidecar.listeners.addresses),
            counters=self._counters(),
            pools=tuple(_pool(pool) for pool in sidecar.shards.pools),
            shards=tuple(ShardStatus.of(health) for health in sidecar.monitor.shards),
            epoch=sidecar.shared.shard_map.epoch,
            waits=len(sidecar.shared.news.waiting),
            moves=MoveStatus.of(sidecar.shared.shard_map),
            catalog=self._catalog(now),
        )

    def _catalog(self, now: float) -> CatalogStatus | None:
        installation = self._sidecar.installation
        follower = installation.follower
        if installation.name is None or follower is None:
            return None
        age = None if follower.answered is None else now - follower.answered
        return CatalogStatus(installation.name, age, follower.failure)

    def _counters(self) -> Counters:
        """The planner counts by itself; its figures are put where the others are."""
        counters = self._sidecar.counters.snapshot()
        planner, proxy = self._sidecar.shared.planner, counters.proxy
        proxy.plan_cache_hits, proxy.plan_cache_misses = planner.hits, planner.misses
        proxy.plan_cache_evictions = planner.evictions
        return counters


def _pool(pool: ServerPool) -> PoolStatus:
    return PoolStatus(
        shard=pool.shard,
        role=pool.role,
        server=str(pool.spec.address),
        idle=len(pool.idle),
        active=len(pool.active),
        connecting=pool.connecting,
        waiting=pool.waiting,
        behind=pool.behind,
    )

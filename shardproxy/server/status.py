"""What the admin pages show of a sidecar."""

import asyncio
from typing import TYPE_CHECKING

from shardproxy.admin.status import PoolStatus, ShardStatus, Status
from shardproxy.version import VERSION

if TYPE_CHECKING:
    from shardproxy.server.sidecar import Sidecar


class SidecarStatus:
    """A running sidecar as ``admin`` reads it. ``started`` is the event loop's time of its making."""

    def __init__(self, sidecar: "Sidecar") -> None:
        self.sidecar = sidecar
        self.started = asyncio.get_running_loop().time()

    def status(self) -> Status:
        """This moment of the sidecar."""
        sidecar, now = self.sidecar, asyncio.get_running_loop().time()
        return Status(
            version=VERSION,
            uptime=now - self.started,
            now=now,
            listening=bool(sidecar.listeners.addresses),
            draining=sidecar.shared.draining,
            schema_known=sidecar.shared.is_ready,
            addresses=tuple(sidecar.listeners.addresses),
            counters=sidecar.counters.snapshot(),
            pools=tuple(
                PoolStatus(
                    pool.shard,
                    str(pool.role),
                    str(pool.spec.address),
                    idle=len(pool.idle),
                    active=len(pool.active),
                    connecting=pool.connecting,
                    waiting=pool.waiting,
                )
                for pool in sidecar.shards.pools
            ),
            shards=tuple(map(ShardStatus.of, sidecar.monitor.shards)),
        )

"""Moments of a proxy for the tests of what is shown."""

from dataclasses import replace
from typing import Any

from shardproxy.admin.status import PoolStatus, ShardStatus, Status
from shardproxy.backend.server import Address, Login
from shardproxy.counters import Counters
from shardproxy.monitor.servers import ServerState, WatchedServer
from shardproxy.routing.route import Role


def server(host: str, role: Role, shard: str = "shard-a", **state: Any) -> ServerState:
    watched = WatchedServer(shard, role, Address(host, 5432), Login("app", "shop"))
    fields: dict[str, Any] = {"reachable": True, "role": role, "timeline": 1, "since": 40.0, "failure": None}
    return ServerState(watched, **(fields | state))


PRIMARY = server("p", Role.PRIMARY)
REPLICA = server("r", Role.REPLICA, in_rotation=True, lag_seconds=0.25, lag_bytes=512)
SHARD = ShardStatus("shard-a", PRIMARY.server.name, True, (PRIMARY, REPLICA))
LOST = server("p", Role.PRIMARY, "shard-b", reachable=False, failure="no <answer> in time")
LOST_SHARD = ShardStatus("shard-b", None, False, (LOST,))


def moment(**fields: Any) -> Status:
    """A ready proxy with one healthy shard and one that is lost."""
    return replace(
        Status(
            version="1.2.3",
            uptime=100.0,
            now=50.0,
            listening=True,
            draining=False,
            schema_known=True,
            addresses=("127.0.0.1:6432",),
            counters=Counters(),
            pools=(
                PoolStatus("shard-a", "primary", "p:5432", idle=1, active=2, connecting=3, waiting=4),
                PoolStatus("shard-a", "replica", "r:5432", idle=1, active=0, connecting=0, waiting=0),
                PoolStatus("shard-a", "replica", "s:5432", idle=5, active=1, connecting=0, waiting=2),
            ),
            shards=(SHARD, LOST_SHARD),
        ),
        **fields,
    )

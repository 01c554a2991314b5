"""What SHOW answers from what this process knows by itself."""

from collections.abc import Sequence
from typing import Final

from shardproxy.admin.status import ClientStatus, Status
from shardproxy.console.commands import ADMINS_HELP, HELP
from shardproxy.console.table import INT8, TEXT, TIMESTAMPTZ, Answer, Value
from shardproxy.monitor.servers import ServerState
from shardproxy.routing.route import Role
from shardproxy.topology.shard_map import ShardMap

_SHARDS: Final = (
    ("shard", TEXT),
    ("role", TEXT),
    ("address", TEXT),
    ("state", TEXT),
    ("in_rotation", TEXT),
    ("lag_bytes", INT8),
    ("lag_ms", INT8),
    ("epoch", INT8),
    ("failure", TEXT),
)
_POOLS: Final = (
    ("shard", TEXT),
    ("role", TEXT),
    ("server", TEXT),
    ("idle", INT8),
    ("active", INT8),
    ("connecting", INT8),
    ("waiting", INT8),
    ("behind", TEXT),
)
_CLIENTS: Final = (
    ("user", TEXT),
    ("application_name", TEXT),
    ("address", TEXT),
    ("state", TEXT),
    ("tenant", TEXT),
    ("connected", TIMESTAMPTZ),
)


def help_(*, admin: bool) -> Answer:
    """The commands that the user may say."""
    return Answer((("command", TEXT), ("what", TEXT)), [*HELP, *(ADMINS_HELP if admin else ())])


def version(status: Status) -> Answer:
    """The version."""
    return Answer((("version", TEXT),), [(f"shardproxy {status.version}",)])


def shards(status: Status, shard_map: ShardMap) -> Answer:
    """Every server. ``epoch``: the newest that changed what is on its shard; NULL if the map has no such."""
    epochs = dict(zip(shard_map.shards, shard_map.shard_epochs, strict=True))
    rows = [
        _server(state, shard.writable, epochs.get(shard.name))
        for shard in status.shards
        for state in shard.servers
    ]
    return Answer(_SHARDS, rows)


def _server(state: ServerState, writable: bool, epoch: int | None) -> Sequence[Value]:
    server = state.server
    lag = state.lag_seconds
    return (
        server.shard,
        server.role.value,
        str(server.address),
        "up" if state.reachable else "down",
        writable and state.reachable if server.role is Role.PRIMARY else state.in_rotation,
        state.lag_bytes,
        None if lag is None else round(lag * 1000),
        epoch,
        state.failure,
    )


def pools(status: Status) -> Answer:
    """Every pool."""
    rows = [
        (
            pool.shard,
            str(pool.role),
            pool.server,
            pool.idle,
            pool.active,
            pool.connecting,
            pool.waiting,
            pool.behind,
        )
        for pool in status.pools
    ]
    return Answer(_POOLS, rows)


def clients(found: Sequence[ClientStatus]) -> Answer:
    """Who is connected, the oldest first."""
    rows = [
        (each.user, each.application_name, each.address, each.state, each.tenant, each.connected)
        for each in sorted(found, key=lambda each: each.connected)
    ]
    return Answer(_CLIENTS, rows)


def config(entries: Sequence[tuple[str, str | None]]) -> Answer:
    """The configuration, an option a row."""
    return Answer((("option", TEXT), ("value", TEXT)), list(entries))

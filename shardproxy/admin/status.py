"""What the operator is shown: one moment of the proxy as immutable values, safe to read in another thread."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shardproxy.counters import Counters
from shardproxy.monitor.servers import ServerState
from shardproxy.monitor.shard_health import ShardHealth
from shardproxy.topology.shard_map import ShardMap


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """The connections of one pool, by what they do now, and the clients that wait for one.

    ``role`` is ``"primary"`` or ``"replica"``; a shard with several replicas has a pool for each. ``behind``:
    a replica that has not replayed what the map stands on, and is not used.
    """

    shard: str
    role: str
    server: str
    idle: int
    active: int
    connecting: int
    waiting: int
    behind: bool = False


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """The servers of one shard. ``primary`` names the one that takes writes, None when there is none;
    ``writable``: it is the one configured as the primary, so that the proxy sends writes.
    """

    name: str
    primary: str | None
    writable: bool
    servers: tuple[ServerState, ...]

    @classmethod
    def of(cls, health: ShardHealth) -> "ShardStatus":
        """The shard as the monitor sees it now."""
        primary = health.primary
        return cls(health.name, None if primary is None else primary.name, health.writable, health.states)


@dataclass(frozen=True, slots=True)
class MoveStatus:
    """A move as the map tells of it. ``owner`` is the shard whose rows count."""

    number: int
    what: str
    source: str
    target: str
    owner: str

    @classmethod
    def of(cls, shard_map: ShardMap) -> "tuple[MoveStatus, ...]":
        """Those in progress."""
        names = shard_map.shards
        return tuple(
            cls(
                move.number,
                f"{len(move.keys)} keys" if move.keys else f"{len(move.buckets)} buckets",
                names[move.source],
                names[move.target],
                names[move.owner],
            )
            for move in shard_map.moves
        )


@dataclass(frozen=True, slots=True)
class ClientStatus:
    """A client. ``user`` is empty before it has said one; ``state``: ``login``, ``idle``, ``active``,
    ``idle in transaction`` or ``console``; ``tenant``: what its session has named.
    """

    user: str
    application_name: str | None
    address: str
    state: str
    tenant: str | None
    connected: datetime


@dataclass(frozen=True, slots=True)
class CatalogStatus:
    """How the catalog is followed. ``age``: seconds since its last answer, None before the first.

    ``failure`` says why it does not answer now.
    """

    installation: str
    age: float | None
    failure: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """One moment of the proxy.

    ``uptime`` and ``now`` are seconds; ``now`` is of the clock that ``ServerState.since`` is of.
    ``listening``: clients can connect at ``addresses``. ``draining``: no new client is taken. ``counters``
    is a snapshot. ``epoch`` is of the map in force, 0 where it is the configuration's; ``catalog`` is None
    then. ``waits``: statements that wait for a newer one.
    """

    version: str
    uptime: float
    now: float
    listening: bool
    draining: bool
    schema_known: bool
    addresses: tuple[str, ...]
    counters: Counters
    pools: tuple[PoolStatus, ...]
    shards: tuple[ShardStatus, ...]
    epoch: int = 0
    waits: int = 0
    moves: tuple[MoveStatus, ...] = ()
    catalog: CatalogStatus | None = None

    @property
    def unready(self) -> tuple[str, ...]:
        """Why no client should be sent here now; empty when the proxy is ready.

        One shard that takes writes is enough: a sidecar whose readiness hung on every shard would turn the
        failure of one into the failure of all.
        """
        reasons = (
            (self.draining, "draining"),
            (not self.listening, "not listening"),
            (self.catalog is not None and self.epoch == 0, "the catalog has not told its map yet"),
            (not self.schema_known, "the schema is not known yet"),
            (not any(shard.writable for shard in self.shards), "no shard has a primary that can be reached"),
        )
        return tuple(reason for applies, reason in reasons if applies)


class StatusSource(Protocol):
    """The running proxy, as this package needs it."""

    def status(self) -> Status:
        """This moment; called on the event loop, where it may take well below a millisecond."""

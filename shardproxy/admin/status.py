"""What the operator is shown: one moment of the proxy as immutable values, safe to read in another thread."""

from dataclasses import dataclass
from typing import Protocol

from shardproxy.counters import Counters
from shardproxy.monitor.servers import ServerState
from shardproxy.monitor.shard_health import ShardHealth


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """The connections of one pool, by what they do now, and the clients that wait for one.

    ``role`` is ``"primary"`` or ``"replica"``; a shard with several replicas has a pool for each.
    """

    shard: str
    role: str
    server: str
    idle: int
    active: int
    connecting: int
    waiting: int


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
class Status:
    """One moment of the proxy.

    ``uptime`` and ``now`` are seconds; ``now`` is of the clock that ``ServerState.since`` is of.
    ``listening``: clients can connect at ``addresses``. ``draining``: no new client is taken. ``counters``
    is a snapshot.
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

    @property
    def unready(self) -> tuple[str, ...]:
        """Why no client should be sent here now; empty when the proxy is ready.

        One shard that takes writes is enough: a sidecar whose readiness hung on every shard would turn the
        failure of one into the failure of all.
        """
        reasons = (
            (self.draining, "draining"),
            (not self.listening, "not listening"),
            (not self.schema_known, "the schema is not known yet"),
            (not any(shard.writable for shard in self.shards), "no shard has a primary that can be reached"),
        )
        return tuple(reason for applies, reason in reasons if applies)


class StatusSource(Protocol):
    """The running proxy, as this package needs it."""

    def status(self) -> Status:
        """This moment; called on the event loop, where it may take well below a millisecond."""

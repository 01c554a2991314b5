"""The servers that are watched, what one look at a server says, and what follows from it: values only."""

from dataclasses import dataclass
from typing import Final

from shardproxy.backend.server import Address, Login
from shardproxy.routing.route import Role

NOT_PROBED: Final = "not probed yet"
NO_ANSWER: Final = "no answer in time"
"""The failure of a server that hangs, or cannot be reached through the network."""


@dataclass(frozen=True, slots=True)
class WatchedServer:
    """One server of a shard. ``role`` is what the configuration says it is, which is checked and never
    assumed.

    ``weight`` is a replica's share of the reads relative to the shard's other replicas; 0 gives it none.
    """

    shard: str
    role: Role
    address: Address
    login: Login
    weight: int = 1

    @property
    def name(self) -> str:
        """How logs and metrics call it."""
        return str(self.address)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a server said in one look. Positions in the WAL are bytes from its start, as pg_lsn counts.

    ``timeline``: of a primary always known; of a replica, the one it follows, if it streams and the role
    may see it. ``written`` and ``inserted``: a primary's pg_current_wal_lsn and pg_current_wal_insert_lsn.
    ``received``, ``replayed``, ``replay_age`` (seconds since the commit that was replayed last) and
    ``streaming`` (it has a WAL receiver) are a replica's. ``fenced``: the database is a shard of an
    installation.
    """

    role: Role
    timeline: int | None = None
    system_identifier: int | None = None
    written: int | None = None
    inserted: int | None = None
    received: int | None = None
    replayed: int | None = None
    replay_age: float | None = None
    streaming: bool = False
    fenced: bool = False


@dataclass(frozen=True, slots=True)
class ServerState:
    """What is known of a server. ``role``, ``timeline`` and ``system_identifier`` are the last seen, None
    before.

    ``lag_bytes`` and ``lag_seconds`` are a reachable replica's distance to its primary, None when unknown;
    see ``lag``. ``complete``: a replica has all that its primary acknowledged before that time of the event
    loop. ``in_rotation``: reads may be sent to it. ``since`` is the event loop's time of the last
    change of anything but the lag; ``failure`` says why it is not reachable.
    """

    server: WatchedServer
    reachable: bool = False
    role: Role | None = None
    timeline: int | None = None
    system_identifier: int | None = None
    lag_bytes: int | None = None
    lag_seconds: float | None = None
    complete: float | None = None
    in_rotation: bool = False
    fenced: bool = False
    since: float = 0.0
    failure: str | None = NOT_PROBED

    @property
    def probed(self) -> bool:
        """False until the first look at it."""
        return self.failure is not NOT_PROBED

    @property
    def condition(self) -> tuple[object, ...]:
        """What listeners are told about when it changes."""
        return (
            self.probed,
            self.reachable,
            self.role,
            self.timeline,
            self.system_identifier,
            self.in_rotation,
            self.fenced,
        )

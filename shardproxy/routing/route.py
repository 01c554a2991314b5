"""A route: where one statement goes, and why. An immutable value; ``execute`` has one file per kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """Which server of a shard; see RoutingContext.read. Servers have one of the first two.

    ``CAUSAL``: a replica that has all that the session has written, and the primary while none has.
    """

    PRIMARY = "primary"
    REPLICA = "replica"
    CAUSAL = "causal"


class ReadPolicy(StrEnum):
    """``shardproxy.read``: where provably read-only statements outside a transaction go."""

    PRIMARY = "primary"
    REPLICA = "replica"
    CAUSAL = "causal"


@dataclass(frozen=True, slots=True)
class OneShard:
    """The statement runs on one shard, unchanged. ``shard`` is the index in ShardMap.shards.

    ``epoch`` is the shard's in the map that this was made by: on a connection that is in a newer one the
    statement may not run. ``guards`` are the moves that its transaction has to hold up on the shard.
    """

    shard: int
    role: Role
    reason: str
    epoch: int = 0
    guards: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Anywhere:
    """Every shard gives the same answer; the session picks the one it is on, else ``preferred``, else the
    designated one. ``meets``: not another one, though the designated one is away.
    """

    role: Role
    reason: str
    preferred: int | None = None
    meets: bool = False


@dataclass(frozen=True, slots=True)
class FanOut:
    """The same text runs on each of ``shards`` and the rows are concatenated.

    ``epochs`` and ``guards`` are for each shard what they are of OneShard. ``excluded``: the rows that do not
    count on a shard, for each group an expression over :data:`~shardproxy.sql.exclusion.COLUMN`.
    """

    shards: tuple[int, ...]
    role: Role
    reason: str
    epochs: Mapping[int, int] = field(default_factory=dict)
    guards: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    excluded: Mapping[int, Mapping[str, str]] = field(default_factory=dict)


Route = OneShard | Anywhere | FanOut

"""A route: where one statement goes, and why. An immutable value; ``execute`` has one file per kind."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Which server of a shard; see RoutingContext.read."""

    PRIMARY = "primary"
    REPLICA = "replica"


class ReadPolicy(StrEnum):
    """``shardproxy.read``: where provably read-only statements outside a transaction go."""

    PRIMARY = "primary"
    REPLICA = "replica"


@dataclass(frozen=True, slots=True)
class OneShard:
    """The statement runs on one shard, unchanged. ``shard`` is the index in ShardMap.shards."""

    shard: int
    role: Role
    reason: str


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
    """The same text runs on each of ``shards`` and the rows are concatenated."""

    shards: tuple[int, ...]
    role: Role
    reason: str


Route = OneShard | Anywhere | FanOut

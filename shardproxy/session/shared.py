"""What all sessions of a process share. Parts are replaced as a whole on reload; a session looks them up
for each request.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from shardproxy.backend.shards import Shards
from shardproxy.counters import Counters
from shardproxy.routing.route import ReadPolicy
from shardproxy.session.news import MapNews
from shardproxy.session.prepared import Descriptions
from shardproxy.sql.isolation import Isolator
from shardproxy.sql.planner import Planner
from shardproxy.sql.statement import Reach, Statement
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import Sharded


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How sessions behave.

    ``default_read`` is ``shardproxy.read`` of a new session; ``replica_fallback``: reads go to the primary
    while no replica is in rotation, else they fail. ``isolate``: a session's tenant is added to every
    statement. A group of extended-protocol messages longer than ``group_bytes`` bytes is worked on before
    its Sync has come. ``move_wait``: seconds that a statement waits for a newer map, where its rows are
    moving.
    """

    default_read: ReadPolicy = ReadPolicy.PRIMARY
    replica_fallback: bool = True
    isolate: bool = True
    group_bytes: int = 256 * 1024
    move_wait: float = 10.0


class Client(Protocol):
    """The client's side, as a session sees it."""

    def write(self, data: bytes) -> None:
        """Send bytes to the client, in order."""

    def hold(self, data: bytes) -> None:
        """The same, and not before :meth:`write`, :meth:`flush` or :meth:`close`: more will follow soon."""

    def flush(self) -> None:
        """Send what is held."""

    def close(self) -> None:
        """Close after what was written has gone out."""

    def pause_reading(self) -> None:
        """Take no more requests for now."""

    def resume_reading(self) -> None:
        """Take requests again."""


@dataclass(slots=True)
class Shared:
    """See the module. ``search_path`` is the servers' default for our login, which is ``server_user``.
    ``schema_changed`` asks for the schema to be read again. ``news`` tells of newer maps.
    """

    options: SessionOptions
    planner: Planner
    isolator: Isolator
    shard_map: ShardMap
    shards: Shards
    counters: Counters
    descriptions: Descriptions
    search_path: tuple[str, ...]
    schema_changed: Callable[[], None]
    server_user: str = ""
    draining: bool = False
    is_ready: bool = True
    news: MapNews = field(default_factory=MapNews)

    def is_of_tenant_group(self, statement: Statement) -> bool:
        """Whether ``statement`` concerns a table that the tenant of a session has rows of, or runs code that
        may.
        """
        if statement.reach is Reach.UNBOUND:
            return True
        tables = self.shard_map.tables
        for relation in statement.relations:
            rule = tables.rules.get(relation)
            if isinstance(rule, Sharded) and rule.group == tables.tenant_group:
                return True
        return False

"""Choosing the replica for the next read: smooth weighted round robin over those in rotation."""

from shardproxy.monitor.servers import WatchedServer
from shardproxy.monitor.shard_health import ShardHealth


class _Place:
    """One replica's place: ``credit`` grows by its weight at each choice, and who has most is chosen."""

    __slots__ = ("credit", "server")

    def __init__(self, server: WatchedServer) -> None:
        self.server = server
        self.credit = 0


class ReplicaSet:
    """The replicas of one shard, in the order they are read in.

    Mutable: ``_places``, made of the rotation ``_of`` and made again when that changes.
    """

    __slots__ = ("_health", "_of", "_places")

    def __init__(self, health: ShardHealth) -> None:
        self._health = health
        self._of: tuple[WatchedServer, ...] = ()
        self._places: tuple[_Place, ...] = ()

    def pick(self) -> WatchedServer | None:
        """The replica for the next read, in proportion to the weights and without bursts; None: there is
        none."""
        rotation = self._health.rotation
        if rotation is not self._of:
            self._of = rotation
            self._places = tuple(_Place(server) for server in rotation if server.weight > 0)
        best: _Place | None = None
        total = 0
        for place in self._places:
            weight = place.server.weight
            place.credit += weight
            total += weight
            if best is None or place.credit > best.credit:
                best = place
        if best is None:
            return None
        best.credit -= total
        return best.server

"""What the servers of one shard are at present: which is the primary, which replicas may be read. No I/O."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from shardproxy.monitor.lag import Lag, PrimaryHistory, measure
from shardproxy.monitor.servers import ServerState, Sighting, WatchedServer
from shardproxy.routing.route import Role


@dataclass(frozen=True, slots=True)
class RotationOptions:
    """When a replica may be read: at most ``max_lag`` seconds and ``max_lag_bytes`` of WAL behind; None: no
    limit.

    A replica whose lag is not known is behind every limit.
    """

    max_lag: float | None = 10.0
    max_lag_bytes: int | None = None


class ShardHealth:
    """The servers of one shard as last seen.

    Mutable: ``_states`` by server name, in configured order; ``_history``, the positions of the server called
    ``_history_of``; ``_commits``, the ends of its commits, each with the time it was asked at;
    ``_timelines``, the highest timeline any primary of that system identifier had, so that an old primary
    that comes back is known for one even while its successor is away; ``_rotation``, see there.
    """

    def __init__(self, name: str, servers: Iterable[WatchedServer], rotation: RotationOptions) -> None:
        self.name = name
        self._states = {server.name: ServerState(server) for server in servers}
        self._options = rotation
        self._history = PrimaryHistory()
        self._commits = PrimaryHistory()
        self._history_of: str | None = None
        self._timelines: dict[int | None, int] = {}
        self._rotation: tuple[WatchedServer, ...] = ()

    @property
    def states(self) -> tuple[ServerState, ...]:
        """The state of each server, in configured order."""
        return tuple(self._states.values())

    def state(self, server: str) -> ServerState:
        """The state of the server of that name. :raises KeyError: the shard has none."""
        return self._states[server]

    @property
    def primary(self) -> WatchedServer | None:
        """The server that takes writes: reachable, not in recovery, on the highest timeline ever seen.

        When several are (a copy that was started as a server of its own), the configured primary if it is one
        of them, else None. The answer may be a server that is configured as a replica; see :attr:`writable`.
        """
        highest = self._highest_timeline()
        found = [
            state.server
            for state in self._states.values()
            if state.reachable and state.role is Role.PRIMARY and self._is_ours(state)
            if (state.timeline or 0) >= highest
        ]
        if len(found) == 1:
            return found[0]
        return next((server for server in found if server.role is Role.PRIMARY), None)

    @property
    def writable(self) -> bool:
        """Whether the configured primary is the primary."""
        primary = self.primary
        return primary is not None and primary.role is Role.PRIMARY

    @property
    def rotation(self) -> tuple[WatchedServer, ...]:
        """The replicas that may be read; the same tuple until it changes."""
        return self._rotation

    def seen(
        self, server: WatchedServer, sighting: Sighting, now: float, *, asked: float | None = None
    ) -> ServerState:
        """The server answered at ``now`` (seconds of the event loop's clock), having been asked at ``asked``;
        its new state.
        """
        before = self._states[server.name]
        state = replace(
            before,
            reachable=True,
            role=sighting.role,
            timeline=sighting.timeline,
            system_identifier=sighting.system_identifier,
            fenced=sighting.fenced,
            failure=None,
        )
        self._states[server.name] = state  # the primary is decided with this answer in
        lag = Lag(None, None)
        if sighting.role is Role.PRIMARY:
            self._note_primary(state, sighting, now, now if asked is None else asked)
            complete = None
        else:
            complete = self._commits.complete_at(sighting.replayed or 0)
            primary = self.primary
            reachable = primary is not None and primary.name == self._history_of
            lag = measure(sighting, self._history, primary_reachable=reachable, now=now)
        state = replace(state, lag_bytes=lag.bytes, lag_seconds=lag.seconds, complete=complete)
        return self._store(before, state, now)

    def lost(self, server: WatchedServer, failure: str, now: float) -> ServerState:
        """The server did not answer, because of ``failure``; its new state."""
        before = self._states[server.name]
        state = replace(before, reachable=False, failure=failure, lag_bytes=None, lag_seconds=None)
        return self._store(before, state, now)

    def _note_primary(self, state: ServerState, sighting: Sighting, now: float, asked: float) -> None:
        known = self._timelines.get(state.system_identifier, 0)
        self._timelines[state.system_identifier] = max(known, state.timeline or 0)
        primary = self.primary
        if primary is None or primary.name != state.server.name:
            return
        if self._history_of != primary.name:
            self._history.clear()
            self._commits.clear()
            self._history_of = primary.name
        if sighting.written is not None:
            self._history.record(now, sighting.written)
        if sighting.inserted is not None:
            self._commits.record(asked, sighting.inserted)

    def _store(self, before: ServerState, state: ServerState, now: float) -> ServerState:
        self._states[before.server.name] = state
        # One answer can change what the others may do: it may tell the shard's identity or a new timeline.
        for name, each in self._states.items():
            settled = replace(each, in_rotation=self._may_be_read(each))
            old = before if name == before.server.name else each
            if settled.condition != old.condition:
                settled = replace(settled, since=now)
            self._states[name] = settled
        rotation = tuple(each.server for each in self._states.values() if each.in_rotation)
        if rotation != self._rotation:
            self._rotation = rotation
        return self._states[before.server.name]

    def _may_be_read(self, state: ServerState) -> bool:
        lag, options = state.lag_seconds, self._options
        return (
            state.reachable
            and state.server.role is Role.REPLICA
            and state.role is Role.REPLICA
            and self._is_ours(state)
            # Who follows an old primary may have rows that the shard never had.
            and (state.timeline is None or state.timeline >= self._highest_timeline())
            and (options.max_lag is None or (lag is not None and lag <= options.max_lag))
            and (
                options.max_lag_bytes is None
                or (state.lag_bytes is not None and state.lag_bytes <= options.max_lag_bytes)
            )
        )

    def _lineage(self) -> frozenset[int | None]:
        """The system identifiers that servers with the shard's data have; None stands for one that is hidden.

        The configured primary's, once it was seen; until then the one that all agree on who were seen, and
        when they do not agree there is none.
        """
        known = {state.system_identifier for state in self._states.values()} - {None}
        for state in self._states.values():
            if state.server.role is Role.PRIMARY and state.system_identifier is not None:
                known = {state.system_identifier}
        return frozenset({None, *known}) if len(known) < 2 else frozenset()

    def _is_ours(self, state: ServerState) -> bool:
        """The server has the shard's data, as far as can be told; another cluster has another identifier."""
        return state.system_identifier in self._lineage()

    def _highest_timeline(self) -> int:
        lineage = self._lineage()
        return max((line for of, line in self._timelines.items() if of in lineage), default=0)

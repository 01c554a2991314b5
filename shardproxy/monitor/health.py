"""Watching all servers in the background: one task each, a state each, and a word to whoever wants to know.

A server that dies is noticed when its connection ends, at once; one that hangs after ``interval`` plus the
time for an answer (see ``probe``), with the defaults within 1.5 s, a replica within 1.0 s.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from shardproxy.monitor.probe import Probe, ProbeFailed, ProbeOptions
from shardproxy.monitor.servers import ServerState, WatchedServer
from shardproxy.monitor.shard_health import RotationOptions, ShardHealth

logger = logging.getLogger(__name__)

Listener = Callable[[ServerState, ServerState], None]
"""Called with a server's state before and after; see :meth:`HealthMonitor.subscribe`."""


@dataclass(frozen=True, slots=True)
class HealthOptions:
    """``interval``: seconds from one look at a server to the next."""

    interval: float = 0.5
    probe: ProbeOptions = field(default_factory=ProbeOptions)
    rotation: RotationOptions = field(default_factory=RotationOptions)


class HealthMonitor:
    """The health of every shard. Used from one event loop.

    Mutable: ``_owner`` is the task whose TaskGroup holds one task for each server, None while stopped;
    ``_servers`` and ``_shards`` are those that are watched now; ``_changed`` says that they are others than
    before; ``_unseen`` are servers that have not been looked at since the start.
    """

    def __init__(self, servers: Iterable[WatchedServer], options: HealthOptions) -> None:
        self._servers: tuple[WatchedServer, ...] = ()
        self._options = options
        self._shards: dict[str, ShardHealth] = {}
        self._changed = asyncio.Event()
        self.watch(servers)
        self._listeners: list[Listener] = []
        self._owner: asyncio.Task[None] | None = None
        self._unseen: set[tuple[str, str]] = set()
        self._all_seen = asyncio.Event()

    def watch(self, servers: Iterable[WatchedServer]) -> None:
        """From now on watch these; the servers of a shard stay the same as long as it is watched."""
        self._servers = tuple(servers)
        known, self._shards = self._shards, {}
        for name in dict.fromkeys(server.shard for server in self._servers):
            members = [server for server in self._servers if server.shard == name]
            self._shards[name] = known.get(name) or ShardHealth(name, members, self._options.rotation)
        self._changed.set()

    @property
    def shards(self) -> tuple[ShardHealth, ...]:
        """The health of each shard, in configured order."""
        return tuple(self._shards.values())

    def shard(self, name: str) -> ShardHealth:
        """The health of the shard of that name. :raises KeyError: there is none."""
        return self._shards[name]

    @property
    def states(self) -> tuple[ServerState, ...]:
        """The state of every server, shard by shard."""
        return tuple(state for shard in self._shards.values() for state in shard.states)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Have ``listener`` called after each change of a server's reachability, role, timeline, system
        identifier or place in the rotation (not of its lag alone). The answer ends the subscription.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def start(self) -> None:
        """Begin to watch; returns when every server has answered, or failed to, once."""
        if self._owner is not None:
            raise RuntimeError("the monitor is running")
        self._unseen = {(server.shard, server.name) for server in self._servers}
        self._all_seen.clear()
        self._owner = asyncio.create_task(self._watch_all(), name="monitor")
        if self._unseen:
            await self._all_seen.wait()

    async def stop(self) -> None:
        """Stop watching and close all connections. The states stay as they are."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.cancel()
            await asyncio.wait((owner,))

    async def _watch_all(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                watching: dict[tuple[str, str], asyncio.Task[None]] = {}
                while True:
                    self._changed.clear()
                    wanted = {(server.shard, server.name): server for server in self._servers}
                    for key, server in wanted.items():
                        if key not in watching:
                            watching[key] = group.create_task(self._watch(server), name=f"monitor {key[1]}")
                    for key in watching.keys() - wanted.keys():
                        watching.pop(key).cancel()
                    await self._changed.wait()
        except Exception:  # a defect of ours; what nobody watches must not go on being called well
            logger.critical("the monitor has ended", exc_info=True)
            for server in self._servers:
                self._lose(server, "the monitor has ended")

    async def _watch(self, server: WatchedServer) -> None:
        lost = asyncio.Event()
        probe = Probe(server, self._options.probe, lost.set)
        shard, clock = self._shards[server.shard], asyncio.get_running_loop().time
        try:
            while True:
                lost.clear()
                asked = clock()
                try:
                    sighting = await probe.look()
                except ProbeFailed as failed:
                    self._lose(server, str(failed))
                else:
                    before = shard.states
                    shard.seen(server, sighting, clock(), asked=asked)
                    self._tell(server, before, shard.states)
                try:
                    async with asyncio.timeout(self._options.interval):
                        await lost.wait()
                except TimeoutError:
                    pass
        finally:
            probe.close()

    def _lose(self, server: WatchedServer, failure: str) -> None:
        shard = self._shards[server.shard]
        before = shard.states
        shard.lost(server, failure, asyncio.get_running_loop().time())
        self._tell(server, before, shard.states)

    def _tell(
        self, looked_at: WatchedServer, before: tuple[ServerState, ...], after: tuple[ServerState, ...]
    ) -> None:
        """Tell what a look at one server has changed for it and for the others of its shard."""
        for old, new in zip(before, after, strict=True):
            if old.condition != new.condition:
                _log(new)
                for listener in tuple(self._listeners):
                    try:
                        listener(old, new)
                    except Exception:  # the watching goes on, whatever becomes of who listens
                        logger.exception("a listener of the monitor failed")
        if self._unseen:
            self._unseen.discard((looked_at.shard, looked_at.name))
            if not self._unseen:
                self._all_seen.set()


def _log(state: ServerState) -> None:
    server = state.server
    role = state.role or "of unknown role"
    if not state.reachable:
        logger.warning("= %s %s is not reachable: %s", server.shard, server.name, state.failure)
    elif state.role is not server.role:
        logger.warning("= %s %s is %s, configured as %s", server.shard, server.name, role, server.role)
    else:
        place = ", in rotation" if state.in_rotation else ""
        logger.info("= %s %s is %s on timeline %s%s", server.shard, server.name, role, state.timeline, place)

"""For tests of the monitor: real servers as it is told of them, and waiting for what it tells."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from shardproxy.backend.server import Address, Login
from shardproxy.demo.postgres import Server
from shardproxy.monitor.health import HealthMonitor, HealthOptions
from shardproxy.monitor.servers import ServerState, WatchedServer
from shardproxy.routing.route import Role


def watched(server: Server, role: Role, *, user: str = "postgres", shard: str = "shard-a") -> WatchedServer:
    """A real server as the monitor is told of it."""
    return WatchedServer(shard, role, Address("127.0.0.1", server.port), Login(user, "postgres"))


class Watch:
    """A running monitor. ``changes`` are all that were told; :meth:`until` waits for one."""

    def __init__(self, monitor: HealthMonitor) -> None:
        self.monitor = monitor
        self.shard = monitor.shards[0]
        self.changes: list[tuple[ServerState, ServerState]] = []
        self._told = asyncio.Event()
        monitor.subscribe(self._listen)

    def _listen(self, before: ServerState, after: ServerState) -> None:
        self.changes.append((before, after))
        self._told.set()

    async def until(self, condition: Callable[[], bool], timeout: float = 20.0) -> float:
        """Return when ``condition`` holds after some change; the seconds it took."""
        clock = asyncio.get_running_loop().time
        started = clock()
        async with asyncio.timeout(timeout):
            while not condition():
                self._told.clear()
                await self._told.wait()
        return clock() - started


@asynccontextmanager
async def watching(*servers: WatchedServer, options: HealthOptions | None = None) -> AsyncIterator[Watch]:
    """A monitor of these servers while the block runs."""
    monitor = HealthMonitor(servers, options or HealthOptions())
    watch = Watch(monitor)
    try:
        await monitor.start()
        yield watch
    finally:
        await monitor.stop()

"""An initialised installation of two shards in databases of its own, and connections to it of all kinds."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import asyncpg

from shardproxy.backend.epoch import enter_script
from shardproxy.backend.server import Address, Login
from shardproxy.backend.shards import ServerSpec, ShardSpec
from shardproxy.catalog import install, maps
from shardproxy.catalog.connect import connect
from shardproxy.demo.postgres import Server
from shardproxy.secret import Secret
from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.shard_map import ShardMap, build
from shardproxy.topology.shard_map import ShardSpec as OnRing
from shardproxy.topology.tables import Sharded, TableRules

APP = "app"
APP_PASSWORD = "app"
RULES = TableRules(
    {("public", "orders"): Sharded("tenant_id", "tenant")}, {"tenant": KeyFamily.TEXT}, "tenant"
)
NAMES = ("shard-a", "shard-b")


def first_map() -> ShardMap:
    """The map that is installed."""
    return build([OnRing(name) for name in NAMES], RULES)


def placed(shard_map: ShardMap, tenant: str, shard: int) -> ShardMap:
    """The map with one more placement."""
    return replace(shard_map, placements={**shard_map.placements, ("tenant", tenant.encode()): shard})


@dataclass(frozen=True)
class Fenced:
    """Two shards in one database each; ``shard-a`` has a replica and the catalog."""

    database: str
    primaries: tuple[Server, Server]
    replica: Server

    def server(self, server: Server, user: str = "postgres") -> ServerSpec:
        """How to log in on a server, as the operator or as the application's role."""
        password = server.dsn().split(":", 2)[2].split("@", 1)[0] if user == "postgres" else APP_PASSWORD
        return ServerSpec(Address("127.0.0.1", server.port), Login(user, self.database, Secret(password)))

    @property
    def specs(self) -> tuple[ShardSpec, ShardSpec]:
        """Both shards, for the operator."""
        a, b = (self.server(each) for each in self.primaries)
        return ShardSpec("shard-a", a, (self.server(self.replica),)), ShardSpec("shard-b", b)

    @property
    def targets(self) -> list[install.Target]:
        """Both shards, for the installation."""
        return [install.Target(spec.name, spec.primary, APP) for spec in self.specs]

    async def install(self) -> None:
        """The fences and the catalog."""
        await install.install(await install.plan(self.targets, "shard-a"), self.targets, first_map())

    @asynccontextmanager
    async def operator(self, shard: int = 0, *, replica: bool = False) -> AsyncIterator[asyncpg.Connection]:
        """A connection as a command has it."""
        spec = self.specs[shard]
        connection = await connect(spec.replicas[0] if replica else spec.primary, "operator")
        try:
            yield connection
        finally:
            connection.terminate()

    @asynccontextmanager
    async def app(
        self, shard: int = 0, *, replica: bool = False, **settings: str
    ) -> AsyncIterator[asyncpg.Connection]:
        """A connection of the application's role, in no epoch."""
        server = self.replica if replica else self.primaries[shard]
        connection = await asyncpg.connect(
            server.dsn(user=APP, password=APP_PASSWORD, dbname=self.database),
            server_settings={"application_name": "an application", **settings},
        )
        try:
            yield connection
        finally:
            connection.terminate()

    async def publish(self, *concerned: int) -> int:
        """Publish some change that concerns these shards; its epoch."""
        async with self.operator() as catalog, self.operator(0) as a, self.operator(1) as b:
            named = {NAMES[i]: (a, b)[i] for i in concerned}
            published = await maps.publish(catalog, lambda old: old, "a test", named)
            return published.epoch


async def enter(connection: asyncpg.Connection, epoch: int, leaving: int | None = None) -> None:
    """As a sidecar does it."""
    await connection.execute(enter_script(epoch, leaving))


async def refusal(coroutine: Any) -> str:
    """The SQLSTATE of the server's error that awaiting raises."""
    try:
        await coroutine
    except asyncpg.PostgresError as error:
        return str(error.sqlstate)
    raise AssertionError("no error")


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    """Return when ``condition`` holds, which nothing announces."""
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.005)


async def ended(connection: asyncpg.Connection) -> None:
    """Return when the server has ended the connection."""
    gone = asyncio.Event()
    connection.add_termination_listener(lambda _: gone.set())
    if not connection.is_closed():
        await gone.wait()

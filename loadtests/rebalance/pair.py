"""Two shards, an installation without sidecars: every tenant is on the left one, and moves to the right."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import asyncpg

from shardproxy.backend.server import Address, Login
from shardproxy.backend.shards import ServerSpec, ShardSpec
from shardproxy.catalog import install
from shardproxy.demo.cluster import APP_USER, DATABASE, create_primaries
from shardproxy.demo.postgres import Server
from shardproxy.demo.run import Run
from shardproxy.rebalance.installation import Installation
from shardproxy.replication.subscription import conninfo
from shardproxy.secret import Secret
from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.shard_map import ShardSpec as OnRing
from shardproxy.topology.shard_map import build
from shardproxy.topology.tables import Sharded, TableRules

NAMES: Final = ("left", "right")
OPERATOR, PASSWORD = "operator", "operator"
SETTINGS: Final = {"wal_level": "logical", "shared_buffers": "256MB", "max_wal_size": "4GB"}
_SCHEMA: Final = Path(__file__).with_name("schema.sql")
_FILL: Final = (
    "INSERT INTO accounts (tenant_id, account_id) SELECT $1, n FROM generate_series(1, $2::int) AS n"
)


@dataclass(frozen=True)
class Pair:
    """Both, as an operator sees them, with a connection to each."""

    installation: Installation
    connections: tuple[asyncpg.Connection, asyncpg.Connection]

    @classmethod
    async def start(cls, run: Run) -> Self:
        """Start the servers in ``run`` and make them an installation."""
        servers = create_primaries(run, NAMES, _SCHEMA.read_text(), settings=SETTINGS)
        for server in servers:
            server.query(f"CREATE ROLE {OPERATOR} SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
        specs = dict(zip(NAMES, map(_spec, NAMES, servers), strict=True))
        targets = [install.Target(name, spec.primary, APP_USER) for name, spec in specs.items()]
        rules = TableRules(
            {("public", table): Sharded("tenant_id", "tenant") for table in ("accounts", "history")},
            {"tenant": KeyFamily.TEXT},
            "tenant",
        )
        shard_map = build([OnRing("left"), OnRing("right", 0)], rules)
        await install.install(await install.plan(targets, "left"), targets, shard_map)
        left, right = [await _connect(server) for server in servers]
        return cls(Installation(specs, "left"), (left, right))

    @property
    def conninfo(self) -> str:
        """How the right one's server reaches the left one."""
        primary = self.installation.shard("left").primary
        return conninfo(primary.address, primary.login).replace("'", "''")

    async def fill(self, tenant: str, rows: int) -> None:
        """Give a tenant rows."""
        await self.connections[0].execute(_FILL, tenant, rows)

    async def empty(self) -> None:
        """Remove every row."""
        for connection in self.connections:
            await connection.execute("TRUNCATE accounts, history; CHECKPOINT")

    def close(self) -> None:
        """Close the connections."""
        for connection in self.connections:
            connection.terminate()


async def _connect(server: Server) -> asyncpg.Connection:
    connection = await asyncpg.connect(
        host="127.0.0.1", port=server.port, user=OPERATOR, password=PASSWORD, database=DATABASE
    )
    await connection.execute("SELECT shardproxy.enter(0, NULL)")
    return connection


def _spec(name: str, server: Server) -> ShardSpec:
    login = Login(OPERATOR, DATABASE, Secret(PASSWORD))
    return ShardSpec(name, ServerSpec(Address("127.0.0.1", server.port), login))

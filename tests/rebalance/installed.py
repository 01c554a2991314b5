"""A cluster with fences and a catalog, an operator, and looks at what moves leave behind."""

import json
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from shardproxy.backend.server import Address, Login
from shardproxy.backend.shards import ServerSpec, ShardSpec
from shardproxy.catalog import install
from shardproxy.demo.cluster import APP_USER, DATABASE
from shardproxy.demo.postgres import Server
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.drive import Soak
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.options import MoveOptions
from shardproxy.secret import Secret
from shardproxy.topology.map_document import from_document
from shardproxy.topology.shard_map import ShardMap
from tests.support import sample
from tests.support.aio import run
from tests.support.cluster import Cluster

OPERATOR: Final = "operator"
PASSWORD: Final = "it's \\secret"

QUICK: Final = MoveOptions(grace=1.0, patience=30.0)
"""Sessions of tests that are in no epoch do not hold a move up for long."""

TABLES: Final = tuple(name for name, rule in sample.TABLES.items() if rule == {"key": "tenant_id"})
"""The tables of the tenants' group."""


def next_shard(name: str) -> str:
    """Another shard than the one called ``name``."""
    return sample.SHARDS[(sample.SHARDS.index(name) + 1) % len(sample.SHARDS)]


@dataclass(frozen=True)
class Installed:
    """The cluster's three shards as an installation; the catalog is on shard-a."""

    cluster: Cluster

    @property
    def installation(self) -> Installation:
        """As an operator sees it."""
        specs = (
            ShardSpec(shard.name, self.server(shard.primary), tuple(map(self.server, shard.replicas)))
            for shard in self.cluster.shards
        )
        return Installation({spec.name: spec for spec in specs}, "shard-a")

    def server(self, server: Server, user: str = OPERATOR) -> ServerSpec:
        """How to log in on a server."""
        return ServerSpec(Address("127.0.0.1", server.port), Login(user, DATABASE, Secret(PASSWORD)))

    def install(self) -> None:
        """Make the operator, the fences and the catalog."""
        for shard in self.cluster.shards:
            quoted = PASSWORD.replace("'", "''")
            shard.primary.query(f"CREATE ROLE {OPERATOR} SUPERUSER LOGIN PASSWORD '{quoted}'")
        specs = self.installation.shards.values()
        targets = [install.Target(spec.name, spec.primary, APP_USER) for spec in specs]

        async def make() -> None:
            await install.install(await install.plan(targets, "shard-a"), targets, self.cluster.map)

        run(make())

    def connect(self, shard: int | str) -> psycopg.Connection[Any]:
        """A superuser's autocommitting connection that no retirement waits for; also to the oracle."""
        if shard == "oracle":
            return psycopg.connect(self.cluster.oracle_dsn(superuser=True), autocommit=True)
        connection = psycopg.connect(self.cluster.dsn(shard, superuser=True), autocommit=True)
        connection.execute("SELECT shardproxy.enter(0, NULL)")
        return connection

    def query(self, shard: int | str, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows from one shard."""
        with self.connect(shard) as connection:
            cursor = connection.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []

    def map(self) -> ShardMap:
        """The map in force."""
        epoch, document = self.query(
            "shard-a", "SELECT epoch, document::text FROM shardproxy.map ORDER BY epoch DESC LIMIT 1"
        )[0]
        return from_document(json.loads(document), epoch)

    def rows(self, shard: int | str, tenant: str) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of a tenant on one shard, by table, each as the text of its columns, in order."""
        with self.connect(shard) as connection:
            return {
                table: connection.execute(
                    f"SELECT t::text FROM {table} AS t WHERE tenant_id = %s ORDER BY 1", (tenant,)
                ).fetchall()
                for table in TABLES
            }

    def counts(self, shard: int | str, tenant: str) -> dict[str, int]:
        """How many rows of a tenant each table has on one shard."""
        return {table: len(rows) for table, rows in self.rows(shard, tenant).items()}

    def where(self, tenant: str) -> str:
        """The shard that owns a tenant now."""
        shard_map = self.map()
        return shard_map.shards[shard_map.owner("tenant", sample.FAMILIES["tenant"], tenant.encode())]

    def newest_move(self) -> int:
        """The number of the move that was begun last."""
        return int(self.query("shard-a", "SELECT max(move) FROM shardproxy.move")[0][0])

    def end_moves(self) -> None:
        """End what a test that failed has left under way, so that it is the only one that fails."""
        for (number,) in self.query(
            "shard-a",
            "SELECT move FROM shardproxy.move WHERE state IN ('running', 'aborting') ORDER BY move DESC",
        ):
            run(rebalance.resume(self.installation, number, accept_differences=True, soak=Soak.END), 60)

    def primary(self, shard: str) -> Server:
        """A shard's server."""
        return self.cluster.shards[self.cluster.map.index[shard]].primary

    def left_behind(self) -> list[str]:
        """What moves have left on any server; all of it should be nothing."""
        found = []
        for shard in self.cluster.shards:
            with self.connect(shard.name) as connection:
                for what, sql in _LEFT.items():
                    found += [f"{shard.name}: {what} {row}" for row in connection.execute(sql).fetchall()]
        shard_map = self.map()
        found += [f"map: {move}" for move in shard_map.moves]
        return found


_LEFT: Final = {
    "slot": "SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE 'shardproxy%'",
    "publication": "SELECT pubname FROM pg_publication",
    "subscription": "SELECT subname FROM pg_subscription",
    "origin": "SELECT roname FROM pg_replication_origin",
    "moving": "SELECT * FROM shardproxy.moving",
    "marker": "SELECT * FROM shardproxy.marker",
    "trigger": "SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgname ~ '^shardproxy_'",
    "function": "SELECT proname FROM pg_proc WHERE proname ~ '^shardproxy_'",
    "prepared transaction": "SELECT gid FROM pg_prepared_xacts",
    "session": "SELECT application_name, state FROM pg_stat_activity"
    " WHERE application_name ~ '^shardproxy (move|mover|snapshot|plan) '",
    "lock": "SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory' AND classid::int8 = "
    f"{int.from_bytes(b'shpM', 'big')}",
}

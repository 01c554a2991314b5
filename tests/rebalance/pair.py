"""Two servers; each test has databases of its own on them, with its own tables, as an installation."""

import itertools
import json
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from shardproxy.backend.server import Address, Login
from shardproxy.backend.shards import ServerSpec, ShardSpec
from shardproxy.catalog import install
from shardproxy.catalog.journal import Keys, What
from shardproxy.demo.postgres import Server
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.move import Outcome
from shardproxy.rebalance.obstacles import Obstacle
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.plan import make_plan
from shardproxy.rebalance.progress import Report, silent
from shardproxy.secret import Secret
from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.map_document import from_document
from shardproxy.topology.shard_map import ShardMap, build
from shardproxy.topology.shard_map import ShardSpec as OnRing
from shardproxy.topology.tables import Sharded, TableRule, TableRules
from tests.rebalance.installed import QUICK
from tests.support.aio import run

NAMES: Final = ("left", "right")
FAMILIES: Final = {"tenant": KeyFamily.TEXT, "device": KeyFamily.INTEGER, "doc": KeyFamily.UUID}
PASSWORD: Final = "secret"
_numbers = itertools.count(1)

ORDERS: Final = "CREATE TABLE orders (tenant_id text, id int, note text, PRIMARY KEY (tenant_id, id));"


@dataclass(frozen=True)
class Pair:
    """The shards ``left``, which has the catalog and every key, and ``right``, in databases of one name."""

    database: str
    servers: tuple[Server, Server]

    @classmethod
    def create(
        cls,
        servers: tuple[Server, Server],
        ddl: str = ORDERS,
        rules: dict[str, TableRule] | None = None,
        *,
        user: str = "postgres",
    ) -> "Pair":
        """New databases with ``ddl`` in both, made and administered by ``user``."""
        pair = cls(f"pair{next(_numbers)}", servers)
        for server in servers:
            server.query(f"CREATE DATABASE {pair.database} OWNER {user}")
            server.query(ddl, dbname=pair.database, user=user)
        named = {
            ("public", name): rule
            for name, rule in (rules or {"orders": Sharded("tenant_id", "tenant")}).items()
        }
        shard_map = build(
            [OnRing("left"), OnRing("right", 0)], TableRules(named, FAMILIES, "tenant"), designated="left"
        )
        specs = pair.installation(user).shards.values()
        targets = [install.Target(spec.name, spec.primary, user) for spec in specs]

        async def make() -> None:
            await install.install(await install.plan(targets, "left"), targets, shard_map)

        run(make())
        return pair

    def installation(self, user: str = "postgres") -> Installation:
        """As an operator sees it."""
        specs = {}
        for name, server in zip(NAMES, self.servers, strict=True):
            password = server.dsn().split(":", 2)[2].split("@", 1)[0] if user == "postgres" else PASSWORD
            login = Login(user, self.database, Secret(password))
            specs[name] = ShardSpec(name, ServerSpec(Address("127.0.0.1", server.port), login))
        return Installation(specs, "left")

    def query(self, shard: str, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run SQL on one shard, as the superuser, in epoch 0."""
        server = self.servers[NAMES.index(shard)]
        with psycopg.connect(server.dsn(dbname=self.database), autocommit=True) as connection:
            connection.execute("SELECT shardproxy.enter(0, NULL)")
            cursor = connection.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []

    def both(self, sql: str) -> None:
        """Run SQL on both shards."""
        for name in NAMES:
            self.query(name, sql)

    def map(self) -> ShardMap:
        """The map in force."""
        epoch, document = self.query(
            "left", "SELECT epoch, document::text FROM shardproxy.map ORDER BY epoch DESC LIMIT 1"
        )[0]
        return from_document(json.loads(document), epoch)

    def move(
        self,
        what: What | str,
        target: str = "right",
        *,
        user: str = "postgres",
        options: MoveOptions = QUICK,
        report: Report = silent,
    ) -> list[Outcome]:
        """Move a tenant, or anything."""
        if isinstance(what, str):
            what = Keys("tenant", (what,))
        return run(rebalance.move(self.installation(user), what, target, options, report), 60)

    def obstacles(self, what: What | str, target: str = "right", *, user: str = "postgres") -> list[Obstacle]:
        """What is in the way of a move, and the warnings."""
        if isinstance(what, str):
            what = Keys("tenant", (what,))
        plan = run(make_plan(self.installation(user), what, target, QUICK))
        return [each for planned in plan.moves for each in (*planned.obstacles, *planned.warnings)]

    def left_behind(self) -> list[tuple[Any, ...]]:
        """Objects of moves on either server."""
        found = []
        for name in NAMES:
            for sql in (
                "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()",
                "SELECT pubname FROM pg_publication",
                "SELECT subname FROM pg_subscription JOIN pg_database AS d ON d.oid = subdbid"
                " WHERE d.datname = current_database()",
                "SELECT move, state FROM shardproxy.moving",
                "SELECT move FROM shardproxy.marker",
                "SELECT tgname FROM pg_trigger WHERE tgname ~ '^shardproxy_'",
                "SELECT proname FROM pg_proc WHERE proname ~ '^shardproxy_'",
            ):
                found += self.query(name, sql)
        return found

"""A cluster for the workloads, whose tenants may move: shards without any rule about whose rows they hold."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from shardproxy.demo.cluster import (
    APP_PASSWORD,
    APP_USER,
    DATABASE,
    Shard,
    app_dsn,
    create_primaries,
    create_replicas,
    shard_names,
)
from shardproxy.demo.postgres import Run, Server
from shardproxy.demo.run import side_by_side
from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.shard_map import ShardMap, ShardSpec, build
from shardproxy.topology.tables import Sharded, TableRules
from tests.support.proxy import Proxy

SCHEMA = Path(__file__).with_name("schema.sql").read_text()
TABLES = ("accounts", "entries", "lists", "list_entries", "set_elements", "counters", "registers")
TENANTS = ("vega", "lyra", "007", "north", "o'hara", "Ünal", "zenith", "a b", "7")
"""Three on each shard, in the order of the shards."""
OPERATOR = "operator"
OPERATOR_PASSWORD = "operator of the shards"
SETTINGS = {
    "wal_level": "logical",
    "max_replication_slots": "40",
    "max_wal_senders": "40",
    "max_logical_replication_workers": "24",
    "max_sync_workers_per_subscription": "4",
    "max_worker_processes": "40",
    "max_connections": "200",
}


@dataclass(frozen=True)
class Shards:
    """Running servers with empty tables. The role ``app`` owns them; OPERATOR is a superuser."""

    shards: tuple[Shard, ...]

    def dsn(self, shard: int) -> str:
        """The database on a shard's primary, as the application."""
        return app_dsn(self.shards[shard].primary)

    def operator_dsn(self, server: Server) -> str:
        """The database on any server, as the operator."""
        return server.dsn(user=OPERATOR, password=OPERATOR_PASSWORD, dbname=DATABASE)

    @cached_property
    def map(self) -> ShardMap:
        """Where the tenants are as long as nothing has moved."""
        rules = TableRules(
            {("public", table): Sharded("tenant_id", "tenant") for table in TABLES},
            {"tenant": KeyFamily.TEXT},
            "tenant",
        )
        return build([ShardSpec(shard.name) for shard in self.shards], rules)

    def owner(self, tenant: str) -> int:
        """The shard of a tenant that has not moved."""
        return self.map.owner("tenant", KeyFamily.TEXT, tenant.encode())

    def holders(self) -> dict[tuple[str, str], list[int]]:
        """For each (table, tenant) that has rows, the shards that have them."""
        each = (f"SELECT DISTINCT '{table}', tenant_id FROM {table}" for table in TABLES)
        sql = " UNION ALL ".join(each)
        found: dict[tuple[str, str], list[int]] = {}
        for index, shard in enumerate(self.shards):
            for line in shard.primary.query(sql, dbname=DATABASE).splitlines():
                table, _, tenant = line.partition("|")
                found.setdefault((table, tenant), []).append(index)
        return found

    def clear(self) -> None:
        """Remove every row."""
        truncate = f"TRUNCATE {', '.join(TABLES)}"
        side_by_side([partial(shard.primary.query, truncate, dbname=DATABASE) for shard in self.shards])

    def config(self, **sections: Any) -> dict[str, Any]:
        """A sidecar's configuration, as YAML has it; ``sections`` replace whole ones."""
        return {
            "database": DATABASE,
            "auth": {"method": "scram", "users": [{"name": APP_USER, "password": APP_PASSWORD}]},
            "server": {"user": APP_USER, "password": APP_PASSWORD},
            "shards": [
                {
                    "name": shard.name,
                    "primary": f"127.0.0.1:{shard.primary.port}",
                    "replicas": [f"127.0.0.1:{replica.port}" for replica in shard.replicas],
                }
                for shard in self.shards
            ],
            "groups": {"tenant": "text"},
            "tables": {table: {"key": "tenant_id"} for table in TABLES},
        } | sections

    @contextmanager
    def sidecars(self, count: int, **sections: Any) -> Iterator[Sequence[Proxy]]:
        """So many sidecars in front."""
        with ExitStack() as stack:
            yield [stack.enter_context(Proxy(self.config(**sections))) for _ in range(count)]


def start(
    run: Run, *, count: int = 3, replicas: int = 0, settings: Mapping[str, str] | None = None
) -> Shards:
    """Start ``count`` shards in ``run``, each with ``replicas``; ``settings`` stand above SETTINGS."""
    primaries = create_primaries(run, shard_names(count), SCHEMA, settings=SETTINGS | dict(settings or {}))
    for primary in primaries:
        primary.query(f"CREATE ROLE {OPERATOR} SUPERUSER LOGIN PASSWORD '{OPERATOR_PASSWORD}'")
    if not replicas:
        return Shards(tuple(Shard(each.name, each) for each in primaries))
    return Shards(tuple(create_replicas(primaries, replicas)))

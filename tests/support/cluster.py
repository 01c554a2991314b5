"""A small cluster of real PostgreSQL servers: three shards, and one *oracle* that holds all rows.

Each shard has CHECKs that admit only its own rows, so a misrouted write fails by itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
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
)
from shardproxy.demo.load import SCHEMA
from shardproxy.demo.postgres import Run, Server
from shardproxy.demo.run import side_by_side
from shardproxy.topology.shard_map import ShardMap
from tests.support import sample

EXTRA_SCHEMA = Path(__file__).with_name("extra_schema.sql").read_text()
_SERIALS = {"customers": "customer_id", "products": "product_id", "orders": "order_id", "audit": "audit_id"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """The servers and what is on them. Tests that write call :meth:`reset` when they are done.

    The database is ``shop``; the role ``app`` with password ``app`` owns it and all tables.
    """

    shards: tuple[Shard, ...]
    oracle: Server
    map: ShardMap

    def dsn(self, shard: int | str, *, superuser: bool = False) -> str:
        """The database on one shard's primary, as ``app`` or as the superuser."""
        index = self.map.index[shard] if isinstance(shard, str) else shard
        return _dsn(self.shards[index].primary, superuser)

    def replica_dsn(self, shard: int, replica: int = 0, *, superuser: bool = False) -> str:
        """The database on one shard's replica."""
        return _dsn(self.shards[shard].replicas[replica], superuser)

    def oracle_dsn(self, *, superuser: bool = False) -> str:
        """The database that holds all rows."""
        return _dsn(self.oracle, superuser)

    def owner(self, key: Any, table: str = "tenants") -> int:
        """The index of the shard that owns a tenant, or a key of another table's group (int, UUID)."""
        return sample.owner(table, key)

    def tenants_of(self, shard: int) -> tuple[str, ...]:
        """The tenants on one shard, the largest first; never none."""
        found = tuple(tenant for tenant in sample.tenants() if self.owner(tenant) == shard)
        assert found
        return found

    @property
    def servers(self) -> tuple[Server, ...]:
        """Every server."""
        return (*(server for shard in self.shards for server in shard.servers), self.oracle)

    def reset(self) -> None:
        """Put back every row as it was at the start, on every server."""
        jobs = [partial(_fill, shard.primary, index) for index, shard in enumerate(self.shards)]
        side_by_side([*jobs, partial(_fill, self.oracle, None)])
        self.wait_for_replicas()

    def wait_for_replicas(self) -> None:
        """Return when every replica has replayed what its primary has written."""
        for shard in self.shards:
            for replica in shard.replicas:
                replica.wait_for_replay(shard.primary)

    def config(self, **sections: Any) -> dict[str, Any]:
        """The proxy's configuration for this cluster, as YAML has it; ``sections`` replace whole ones."""
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
            "groups": dict(sample.GROUPS),
            "placements": dict(sample.PLACEMENTS),
            "tables": dict(sample.TABLES),
        } | sections


def start(
    run: Run, *, replicas: int = 0, settings: Mapping[str, str] | None = None, checks: bool = True
) -> Cluster:
    """Start a cluster in ``run``, loaded; ``settings`` are every server's.

    Without ``checks`` a shard takes any row: for tests that move rows.
    """
    names = [*sample.SHARDS, "oracle"]
    *primaries, oracle = create_primaries(run, names, SCHEMA + EXTRA_SCHEMA, settings=settings)
    cluster = Cluster(tuple(Shard(each.name, each) for each in primaries), oracle, sample.shard_map())
    if checks:
        side_by_side([partial(_add_checks, server, index) for index, server in enumerate(primaries)])
    cluster.reset()
    if not replicas:
        return cluster
    return Cluster(tuple(create_replicas(primaries, replicas)), oracle, cluster.map)


def _dsn(server: Server, superuser: bool) -> str:
    return server.dsn(dbname=DATABASE) if superuser else app_dsn(server)


def _add_checks(server: Server, shard: int) -> None:
    checks = {table: sample.only_own_rows(table, shard) for table in sample.TABLES}
    server.query(
        "".join(
            f"ALTER TABLE {table} ADD CONSTRAINT only_own_rows CHECK ({condition});\n"
            for table, condition in checks.items()
            if condition is not None
        ),
        dbname=DATABASE,
    )


def _fill(server: Server, shard: int | None) -> None:
    """Replace all rows of a server by those of a shard, or by all of them."""
    # As a replication worker: triggers (append-only tables, where an order begins) do not fire.
    script = ["SET session_replication_role = replica;\nBEGIN;\n"]
    script.append(f"TRUNCATE {', '.join(sample.COLUMNS)} CASCADE;\n")
    for table, rows in sample.rows().items():
        mine = [row for row in rows if shard is None or sample.belongs(table, row, shard)]
        script.append(f"COPY {table} ({', '.join(sample.COLUMNS[table])}) FROM stdin;\n")
        script += [_copy_line(row) for row in mine]
        script.append("\\.\n")
    for table, column in _SERIALS.items():
        script.append(f"ALTER TABLE {table} ALTER {column} RESTART 1000000;\n")
    server.query("".join([*script, "COMMIT;\n"]), dbname=DATABASE)


def _copy_line(row: Iterable[Any]) -> str:
    return "\t".join(map(_copy_field, row)) + "\n"


def _copy_field(value: Any) -> str:
    if value is None:
        return r"\N"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")

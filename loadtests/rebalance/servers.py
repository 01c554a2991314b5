"""Three shards with the rows of a tenant that moves and of others that stay, as an installation, and sidecars
in front.
"""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from shardproxy.config.load import load
from shardproxy.demo.cluster import APP_PASSWORD, APP_USER, DATABASE, Shard, create_primaries, shard_names
from shardproxy.demo.installation import OPERATOR, install, make_operator
from shardproxy.demo.ports import PortLease
from shardproxy.demo.run import Run, side_by_side
from shardproxy.demo.sidecar import Sidecar, write_configuration
from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.shard_map import ShardSpec, build
from shardproxy.topology.tables import Sharded, TableRules

TABLES: Final = ("accounts", "history")
MOVING: Final = "acme"
OTHERS_ACCOUNTS: Final = 1_000
_SCHEMA = Path(__file__).with_name("schema.sql")
_ACCOUNTS: Final = (
    "INSERT INTO accounts (tenant_id, account_id) SELECT '{}', n FROM generate_series(1, {}) AS n;\n"
)
_SETTINGS: Final = {
    "wal_level": "logical",
    "shared_buffers": "256MB",
    "max_logical_replication_workers": "24",
    "max_worker_processes": "40",
}


def others(count: int) -> tuple[str, ...]:
    """The names of so many other tenants."""
    return tuple(f"tenant-{number}" for number in range(1, count + 1))


class Servers:
    """Everything that is measured. ``configurations`` are the sidecars' files; ``source`` and ``target`` are
    the names of the shard that has the moving tenant and of another one; ``spare`` is that of one which the
    files have and the map does not.
    """

    def __init__(self, run: Run, accounts: int, sidecars: int, tenants: int) -> None:
        """Start it all, with so many accounts of the moving tenant, and so many other tenants."""
        *names, self.spare = shard_names(4)
        primaries = create_primaries(run, [*names, self.spare], _SCHEMA.read_text(), settings=_SETTINGS)
        shares: list[dict[str, int]] = [{} for _ in names]
        for tenant, count in {MOVING: accounts, **dict.fromkeys(others(tenants), OTHERS_ACCOUNTS)}.items():
            shares[_owner(names, tenant)][tenant] = count
        side_by_side(
            [
                partial(primary.query, "".join(map(_ACCOUNTS.format, share, share.values())), dbname=DATABASE)
                for primary, share in zip(primaries, shares, strict=False)
            ]
        )
        self.source = names[_owner(names, MOVING)]
        self.target = next(name for name in names if name != self.source)
        self.configurations: list[Path] = []
        self.dsns: list[str] = []
        password = make_operator(primaries)
        with ExitStack() as stack:
            for number in range(sidecars):
                self._sidecar(run, number, [Shard(each.name, each) for each in primaries], password, stack)
            self._stack = stack.pop_all()

    def _sidecar(
        self, run: Run, number: int, shards: Sequence[Shard], password: str, stack: ExitStack
    ) -> None:
        leases = [PortLease.take(), PortLease.take()]
        for lease in leases:
            stack.callback(lease.release)
        path = run.directory / f"sidecar-{number}.yaml"
        ports = (leases[0].port, leases[1].port)
        write_configuration(path, _configuration(shards[:-1], ports, password))
        asyncio.run(install(load(path)))
        write_configuration(path, _configuration(shards, ports, password))
        sidecar = Sidecar(run, path, leases[1].port)
        stack.callback(sidecar.stop)
        sidecar.wait_until_ready()
        self.configurations.append(path)
        self.dsns.append(f"postgresql://{APP_USER}:{APP_PASSWORD}@127.0.0.1:{leases[0].port}/{DATABASE}")

    def close(self) -> None:
        """End the sidecars; the servers end with their run."""
        self._stack.close()


def _owner(names: Sequence[str], tenant: str) -> int:
    rules = TableRules(
        {("public", table): Sharded("tenant_id", "tenant") for table in TABLES},
        {"tenant": KeyFamily.TEXT},
        "tenant",
    )
    shard_map = build([ShardSpec(name) for name in names], rules)
    return shard_map.owner("tenant", KeyFamily.TEXT, tenant.encode())


def _configuration(shards: Sequence[Shard], ports: tuple[int, int], operator: str) -> dict[str, Any]:
    port, http_port = ports
    return {
        "database": DATABASE,
        "listen": [f"127.0.0.1:{port}"],
        "http": {"host": "127.0.0.1", "port": http_port},
        "auth": {"method": "scram", "users": [{"name": APP_USER, "password": APP_PASSWORD}]},
        "server": {"user": APP_USER, "password": APP_PASSWORD},
        "operator": {"user": OPERATOR, "password": operator},
        "shards": [{"name": shard.name, "primary": f"127.0.0.1:{shard.primary.port}"} for shard in shards],
        "groups": {"tenant": "text"},
        "tables": {table: {"key": "tenant_id"} for table in TABLES},
        "pool": {"size": 20},
        "log": {"level": "warning"},
    }

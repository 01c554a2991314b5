"""The whole demo as one thing that is set up and taken down: servers, rows, configuration, sidecar."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shardproxy.config import assemble
from shardproxy.config.load import load as load_configuration
from shardproxy.console.options import NAME as CONSOLE
from shardproxy.demo import data, interrupt
from shardproxy.demo.cluster import (
    APP_PASSWORD,
    APP_USER,
    DATABASE,
    Shard,
    create_primaries,
    create_replicas,
    reopen,
    shard_names,
)
from shardproxy.demo.installation import install, make_operator
from shardproxy.demo.load import SCHEMA, load
from shardproxy.demo.ports import PortLease
from shardproxy.demo.postgres import Install, Run
from shardproxy.demo.shape import Kept, Shape, Wanted
from shardproxy.demo.sidecar import Sidecar, configuration, write_configuration
from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.shard_map import ShardMap


class Report(Protocol):
    """Told how far the set-up is."""

    def begin(self, what: str, total: int | None = None) -> None:
        """A new phase; ``total`` is in orders, None when it is not known."""

    def advance(self, orders: int) -> None:
        """So many more orders of the phase are done."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the sidecar listens. ``sql`` and ``http`` are leased until the stage is taken down."""

    sql: PortLease
    http: PortLease

    @classmethod
    def take(cls, wanted: int | None) -> "Ports":
        """``wanted`` or DemoError; when nothing is wanted 6432 if that is free, else any."""
        sql = PortLease.take(wanted, only=True) if wanted is not None else PortLease.take(6432)
        return cls(sql, PortLease.take(9187))

    def release(self) -> None:
        """Give them back."""
        self.sql.release()
        self.http.release()


class Stage:
    """A demo. :meth:`close` takes it down: the sidecar first, then replicas, then primaries.

    ``shards``, ``map``, ``config`` and ``sidecar`` are set by :meth:`set_up`.
    """

    shards: list[Shard]
    map: ShardMap
    config: Path
    sidecar: Sidecar

    def __init__(self, install: Install, wanted: Wanted, directory: Path | None, port: int | None) -> None:
        """Claim what it needs: the directory, if one is named, and the ports."""
        self.install = install
        with ExitStack() as stack:
            self._kept = Kept(directory) if directory is not None else None
            if self._kept is not None:
                stack.callback(self._kept.close)
            self.shape: Shape = self._kept.agree(wanted) if self._kept is not None else wanted.shape()
            self.amount = self.shape.amount()
            self.ports = Ports.take(port)
            stack.callback(self.ports.release)
            self.run = stack.enter_context(Run(install, directory))
            self._claimed = stack.pop_all()

    def set_up(self, report: Report) -> None:
        """Bring everything up, and return when the sidecar is ready."""
        names = shard_names(self.shape.shards)
        fresh = self._kept is None or self._kept.shape is None
        if fresh:
            self._create(names, report)
        else:
            report.begin(f"starting {len(names)} shards again")
            self.shards = reopen(self.run, names, self.shape.replicas)
        self._configure()
        if fresh:
            self._fill(report)
        self._install(report)
        report.begin("starting the sidecar")
        self.sidecar = Sidecar(self.run, self.config, self.ports.http.port)
        self.sidecar.wait_until_ready()

    def close(self) -> None:
        """Take it down in order; safe at any time."""
        if hasattr(self, "sidecar"):
            self.sidecar.stop()
        self._claimed.close()

    @property
    def dsn(self) -> str:
        """Where applications connect."""
        return self._dsn(DATABASE)

    @property
    def console(self) -> str:
        """Where its operator connects."""
        return self._dsn(CONSOLE)

    @property
    def metrics(self) -> str:
        """The URL of the metrics."""
        return f"http://127.0.0.1:{self.ports.http.port}/metrics"

    @property
    def tenants(self) -> list[str]:
        """Every tenant, the largest first."""
        return [tenant.tenant_id for tenant in data.tenants(self.amount)]

    def _dsn(self, database: str) -> str:
        return f"postgresql://{APP_USER}:{APP_PASSWORD}@127.0.0.1:{self.ports.sql.port}/{database}"

    def owner(self, tenant: str) -> int:
        """The index of a tenant's shard."""
        return self.map.owner("tenant", KeyFamily.TEXT, tenant.encode())

    def _create(self, names: tuple[str, ...], report: Report) -> None:
        if self._kept is not None:
            self._kept.write(self.shape, complete=False)
        report.begin(f"starting {counted(len(names), 'shard')}")
        primaries = create_primaries(self.run, names, SCHEMA)
        if self.shape.replicas:
            report.begin(f"starting {counted(len(names) * self.shape.replicas, 'replica')}")
        self.shards = create_replicas(primaries, self.shape.replicas)

    def _configure(self) -> None:
        self.config = self.run.directory / "shardproxy.yaml"
        tenants = self.tenants
        placed = tenants[1] if len(tenants) > 1 else None
        password = make_operator([shard.primary for shard in self.shards])
        content = configuration(self.shards, self.ports.sql.port, self.ports.http.port, placed, password)
        write_configuration(self.config, content)
        # The sidecar's own reading of the file says where rows belong.
        self.map = assemble.shard_map(load_configuration(self.config))

    def _fill(self, report: Report) -> None:
        report.begin(f"loading {counted(self.amount.orders, 'order')}", self.amount.orders)
        dsns = [shard.primary.dsn(dbname=DATABASE, socket=True) for shard in self.shards]
        interrupt.run(load(dsns, self.owner, self.amount, report.advance))
        if self._kept is not None:
            self._kept.write(self.shape, complete=True)

    def _install(self, report: Report) -> None:
        """From here on the map is the catalog's, where tenants may have moved in an earlier run."""
        report.begin("making it an installation")
        self.map = interrupt.run(install(load_configuration(self.config)))
        for shard in self.shards:
            for replica in shard.replicas:
                replica.wait_for_replay(shard.primary)


def counted(number: int, noun: str) -> str:
    """``1 shard``, ``3 shards``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")

"""The sidecar: every part put together, in the order in which they start and stop."""

import asyncio
import logging
from dataclasses import replace

from shardproxy.admin.http import HttpServer
from shardproxy.backend.shards import Shards
from shardproxy.config import assemble
from shardproxy.config.model import Config
from shardproxy.counters import Counters
from shardproxy.errors import ConfigError
from shardproxy.frontend.connection import ClientConnection
from shardproxy.frontend.gate import Gate
from shardproxy.frontend.registry import Registry
from shardproxy.monitor.health import HealthMonitor
from shardproxy.monitor.servers import ServerState
from shardproxy.routing.route import Role
from shardproxy.server.knowledge import Knowledge, Known
from shardproxy.server.listeners import Listeners
from shardproxy.server.status import SidecarStatus
from shardproxy.session.prepared import Descriptions
from shardproxy.session.settings import NO_SETTINGS, parse_search_path
from shardproxy.session.shared import Shared
from shardproxy.sql.planner import Planner
from shardproxy.sql.schema import Schema

log = logging.getLogger(__name__)

SWEEP_PERIOD = 1.0
UNKNOWN_SCHEMA = Schema(relations={}, functions={}, system_relations=frozenset())


class Sidecar:
    """One process's proxy. ``config`` is what is in force; see :meth:`reload`."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.counters = Counters()
        specs = assemble.shard_specs(config)
        shard_map = assemble.shard_map(config)
        self.shards = Shards(specs, assemble.backend_options(config), self.counters, NO_SETTINGS)
        self.knowledge = Knowledge(specs, shard_map.designated, shard_map.tables, self._schema_read)
        self.shared = Shared(
            options=assemble.session_options(config),
            planner=self._planner(UNKNOWN_SCHEMA),
            shard_map=shard_map,
            shards=self.shards,
            counters=self.counters,
            descriptions=Descriptions(max(1 << 20, config.limits.plan_cache_bytes // 4)),
            parameters={},
            search_path=("public",),
            schema_changed=self.knowledge.changed,
            is_ready=False,
        )
        self.registry = Registry(config.limits.clients)
        self.gate = Gate(
            assemble.frontend_options(config), self.shared, self.registry, assemble.socket_options(config)
        )
        self.listeners = Listeners(lambda: ClientConnection(self.gate))
        self.monitor = HealthMonitor(assemble.watched_servers(specs), assemble.health_options(config))
        self.monitor.subscribe(self._health_changed)
        self.http: HttpServer | None = None
        self._sweeper: asyncio.Task[None] | None = None

    def _planner(self, schema: Schema) -> Planner:
        rules = assemble.table_rules(self.config)
        return Planner(schema, rules, cache_bytes=self.config.limits.plan_cache_bytes)

    # --- start and stop -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read the schema, watch the servers, listen. Raises ConfigError for an address that cannot be
        opened.
        """
        await asyncio.gather(self.knowledge.start(), self.monitor.start())
        await self.listeners.open(self.config.listen)
        self._sweeper = asyncio.create_task(self._sweep(), name="sweeper")
        if self.config.http is not None:
            self.http = HttpServer(SidecarStatus(self))
            try:
                await self.http.start(self.config.http.host, self.config.http.port)
            except OSError as error:
                raise ConfigError(
                    f"cannot listen on http {self.config.http.host}:{self.config.http.port}: {error}"
                ) from error
            log.info("http on %s:%d", self.config.http.host, self.http.port)
        log.info("listening on %s", ", ".join(self.listeners.addresses))

    async def drain(self, timeout: float) -> None:
        """Accept no more clients and let open transactions end, for at most ``timeout`` seconds."""
        self.shared.draining = True
        await self.listeners.close()
        for connection in list(self.gate.connections):
            connection.end_if_idle()
        deadline = asyncio.get_running_loop().time() + timeout
        while self.gate.connections and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
        if self.gate.connections:
            log.warning("%d clients were cut off in their transactions", len(self.gate.connections))

    async def stop(self) -> None:
        """End every session and close everything. Idempotent; also after a start that failed half-way."""
        self.shared.draining = True
        await self.listeners.close()
        for connection in list(self.gate.connections):
            connection.terminate()
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self.knowledge.stop()
        await self.monitor.stop()
        await self.shards.close()
        self.shards.abort()
        if self.http is not None:
            await self.http.stop()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_PERIOD)
            self.shards.sweep()
            planner, proxy = self.shared.planner, self.counters.proxy
            proxy.plan_cache_hits, proxy.plan_cache_misses = planner.hits, planner.misses
            proxy.plan_cache_evictions = planner.evictions

    # --- what changes while it runs -------------------------------------------------------------------------

    def _schema_read(self, known: Known) -> None:
        shared = self.shared
        shared.planner = self._planner(known.schema)
        login = assemble.shard_specs(self.config)[shared.shard_map.designated].primary.login
        names = parse_search_path(known.search_path)
        shared.search_path = tuple(login.user if name == "$user" else name for name in names)
        shared.descriptions.clear()
        shared.templates.clear()
        if not shared.is_ready:
            shared.is_ready = True
            log.info("schema read: %d relations", len(known.schema.relations))
        else:
            log.info("the schema has changed: %d relations", len(known.schema.relations))

    def _health_changed(self, before: ServerState, after: ServerState) -> None:
        server = after.server
        for shard in self.shards.all:
            if shard.name != server.shard or server.role is not Role.REPLICA:
                continue
            for pool in shard.replicas:
                if pool.spec.address == server.address:
                    pool.in_rotation = after.in_rotation
                    if not after.in_rotation:
                        pool.drop_idle("replica left the rotation")

    def reload(self, config: Config) -> list[str]:
        """Take over what can change while clients are connected; returns what cannot, by name."""
        old = self.config
        kept = [
            name
            for name in ("database", "listen", "http", "shards", "designated", "ring", "server")
            if getattr(old, name) != getattr(config, name)
        ]
        kept += [
            name
            for name in ("groups", "placements", "tenant_group")
            if getattr(old, name) != getattr(config, name)
        ]
        config = config.model_copy(update={name: getattr(old, name) for name in kept})
        self.config = config
        rules = assemble.table_rules(config)
        shared = self.shared
        shared.options = assemble.session_options(config)
        shared.shard_map = replace(shared.shard_map, tables=rules)
        shared.planner = self._planner(shared.planner.schema)
        shared.templates.clear()
        self.knowledge.rules = rules
        self.knowledge.changed()
        self.gate.options = assemble.frontend_options(config)
        self.registry.limit = config.limits.clients
        backend = assemble.backend_options(config)
        for pool in self.shards.pools:
            pool.options = backend.primary_pool if pool.role is Role.PRIMARY else backend.replica_pool
        return kept

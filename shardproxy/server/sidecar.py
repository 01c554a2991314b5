"""The sidecar: every part put together, in the order in which they start and stop."""

import asyncio
import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

from shardproxy.admin.http import HttpServer
from shardproxy.backend.shards import ServerPool, Shards, ShardSpec
from shardproxy.catalog.agreement import Disagreement, check_agreement
from shardproxy.config import assemble
from shardproxy.config.agreement import placed
from shardproxy.config.load import checked, read
from shardproxy.config.model import Config
from shardproxy.counters import Counters
from shardproxy.errors import ConfigError
from shardproxy.frontend.connection import ClientConnection
from shardproxy.frontend.gate import Gate
from shardproxy.frontend.registry import Registry
from shardproxy.monitor.health import HealthMonitor
from shardproxy.monitor.servers import NO_ANSWER, ServerState
from shardproxy.routing.route import Role
from shardproxy.server.console import console_of
from shardproxy.server.installation import Installation
from shardproxy.server.knowledge import Knowledge, Known
from shardproxy.server.listeners import Listeners
from shardproxy.server.reload import merge
from shardproxy.server.status import SidecarStatus
from shardproxy.session.prepared import Descriptions
from shardproxy.session.settings import NO_SETTINGS, parse_search_path
from shardproxy.session.shared import Shared
from shardproxy.sql.isolation import Isolator
from shardproxy.sql.planner import Planner
from shardproxy.sql.schema import Schema
from shardproxy.topology.numbering import extended, renumbered
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import TableRules

log = logging.getLogger(__name__)

SWEEP_PERIOD = 1.0
FAREWELL = 1.0
"""Seconds in which clients that are cut off can still be told."""
UNKNOWN_SCHEMA = Schema(relations={}, functions={}, system_relations=frozenset())


class Sidecar:
    """One process's proxy. ``config`` is what is in force, and was read from ``path``; see :meth:`reload`.
    ``failed``: why it cannot go on.

    Mutable: ``_used`` are the shards that are used now; ``_closing`` closes the pools of those that leave.
    """

    def __init__(self, config: Config, path: Path) -> None:
        self.config = config
        self.path = path
        self.counters = Counters()
        specs = assemble.shard_specs(config)
        shard_map = assemble.shard_map(config)
        self.shards = Shards(specs, assemble.backend_options(config), self.counters, NO_SETTINGS)
        self.knowledge = Knowledge(
            _first(config.designated_index, specs), shard_map.tables, self._schema_read
        )
        self.shared = Shared(
            options=assemble.session_options(config),
            planner=Planner(UNKNOWN_SCHEMA, shard_map.tables, cache_bytes=config.limits.plan_cache_bytes),
            isolator=Isolator(UNKNOWN_SCHEMA, shard_map.tables),
            shard_map=shard_map,
            shards=self.shards,
            counters=self.counters,
            descriptions=Descriptions(max(1 << 20, config.limits.plan_cache_bytes // 4)),
            search_path=("public",),
            schema_changed=self.knowledge.changed,
            is_ready=False,
        )
        self.registry = Registry(config.limits.clients)
        self.gate = Gate(
            assemble.frontend_options(config), self.shared, self.registry, assemble.socket_options(config)
        )
        self.gate.virtual = self.console = console_of(self)
        self.listeners = Listeners(lambda: cast("asyncio.Protocol", ClientConnection(self.gate)))
        self.monitor = HealthMonitor(assemble.watched_servers(specs), assemble.health_options(config))
        self.monitor.subscribe(self._health_changed)
        self.installation = Installation(
            specs, config.catalog.shard, assemble.wish(config), self._map_published
        )
        self.shared.news.hurry = self.installation.hurry_for_moves
        self._closing: set[asyncio.Task[None]] = set()
        self._wire()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.http: HttpServer | None = None
        self._used = specs
        self._sweeper: asyncio.Task[None] | None = None
        self._adopting: asyncio.Task[None] | None = None

    # --- start and stop -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Answer probes, learn whose the map is, read the schema, watch the servers, listen.

        Raises ConfigError for an address that cannot be opened, Disagreement when the shards are not, or not
        any more, what the configuration says.
        """
        await self._start_http()
        await self.installation.start()
        await asyncio.gather(self.knowledge.start(), self.monitor.start())
        await self.listeners.open(self.config.listen)
        self._sweeper = asyncio.create_task(self._sweep(), name="sweeper")
        log.info("listening on %s", ", ".join(self.listeners.addresses))

    async def _start_http(self) -> None:
        address = self.config.http
        if address is None:
            return
        self.http = HttpServer(SidecarStatus(self))
        try:
            await self.http.start(address.host, address.port)
        except OSError as error:
            raise ConfigError(f"cannot listen on http {address.host}:{address.port}: {error}") from error
        log.info("http on %s:%d", address.host, self.http.port)

    async def drain(self, timeout: float) -> None:
        """Accept no more clients and let open transactions end, for at most ``timeout`` seconds."""
        self.shared.draining = True
        await self.listeners.close()
        for connection in list(self.gate.connections):
            connection.end_if_idle()
        if not await self.gate.emptied(timeout):
            log.warning("%d clients were cut off in their transactions", len(self.gate.connections))

    async def stop(self) -> None:
        """End every session and close everything. Idempotent; also after a start that failed half-way."""
        self.shared.draining = True
        await self.listeners.close()
        for connection in list(self.gate.connections):
            connection.terminate()
        await self.gate.emptied(FAREWELL)
        for task in (self._sweeper, self._adopting, *self._closing):
            if task is not None:
                task.cancel()
        self.failed.cancel()
        await self.console.close()
        await self.installation.stop()
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
            self._renew_sessions()
            self._adopt_if_fenced()
            self._let_go_of_the_hung()

    def _let_go_of_the_hung(self) -> None:
        """Nobody waits for a server that hangs longer than for a place in its pool."""
        now = asyncio.get_running_loop().time()
        for pool in self.shards.pools:
            state = self.monitor.shard(pool.shard).state(str(pool.spec.address))
            if state.failure == NO_ANSWER and now - state.since > pool.options.wait_timeout and pool.size:
                log.warning("%s hangs: %d connections are given up", pool.name, pool.size - pool.connecting)
                pool.give_up(f"the server has not answered for {pool.options.wait_timeout:g} s")

    # --- what changes while it runs -------------------------------------------------------------------------

    def _map_published(self, shard_map: ShardMap, installation: str) -> None:
        """From now on statements go by this map."""
        shared, before = self.shared, self.shared.shard_map.tables
        alike = before.spread_as(shard_map.tables)
        tables = before if alike else replace(shard_map.tables, trusted=before.trusted)
        anew = not shared.shard_map.epoch and not self.gate.connections  # nobody knows a number yet
        names = shard_map.shards if anew else extended(self.shards.names, shard_map)
        numbered = replace(renumbered(shard_map, names), tables=tables)
        self._arrange(numbered)
        self.shards.enter(numbered.shard_epochs, installation)
        shared.shard_map = numbered
        if not alike:
            self._plan_with(shared.planner.schema, tables)
            self.knowledge.rules = tables
            self.knowledge.changed()
        shared.news.published()
        log.info("= the map is of epoch %d", shard_map.epoch)
        self._renew_sessions()

    def _wire(self) -> None:
        """What pools tell and ask of the rest."""
        for pool in self.shards.pools:
            pool.on_retired = partial(self.installation.hurry, pool.shard)
            pool.complete = partial(self._complete, pool)

    def _arrange(self, shard_map: ShardMap) -> None:
        """Use, watch and read the shards that this map lists, as far as the configuration has servers."""
        listed = shard_map.names
        for shard in self.shards.arrange(shard_map.shards, listed):
            log.info("= shard %s is not used any more", shard.name)
            for pool in shard.pools:
                pool.complete = lambda: None  # nobody watches it
            task = asyncio.create_task(shard.close(), name=f"closing {shard.name}")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        if missing := [name for name in listed if name in self.shards.unconfigured]:
            log.error(
                "the map lists shards that the configuration does not (%s): what needs them is refused until "
                "the file names them; edit it and send SIGHUP",
                ", ".join(missing),
            )
        self._wire()
        specs = tuple(shard.spec for shard in self.shards.present)
        if specs != self._used:
            self._used = specs
            self.monitor.watch(assemble.watched_servers(specs))
            designated = shard_map.shards[shard_map.designated]
            first = next((i for i, spec in enumerate(specs) if spec.name == designated), 0)
            self.knowledge.specs = _first(first, specs)
            self.knowledge.changed()

    def _renew_sessions(self) -> None:
        """Sessions that keep their server connections take them along into a new epoch."""
        if any(pool.has_stale for pool in self.shards.pools):
            for connection in list(self.gate.connections):
                if connection.session is not None:
                    connection.session.renew()

    def _adopt_if_fenced(self) -> None:
        """The shards may have become an installation while the configuration was the map."""
        if self.installation.name is not None or not any(state.fenced for state in self.monitor.states):
            return
        if not self.failed.done() and (self._adopting is None or self._adopting.done()):
            self._adopting = asyncio.create_task(self._adopt(), name="adopt")

    async def _adopt(self) -> None:
        try:
            await self.installation.start()
        except ConfigError as error:
            self.shared.is_ready = False
            if not self.failed.done():
                self.failed.set_exception(error)

    def _schema_read(self, known: Known) -> None:
        shared = self.shared
        self._plan_with(known.schema, shared.shard_map.tables)
        login = known.login
        shared.search_path = parse_search_path(known.defaults["search_path"])
        self.shards.set_defaults(known.defaults)
        self.gate.forget_reports()
        shared.server_user = login.user
        shared.descriptions.clear()
        for pool in self.shards.pools:
            pool.prepare_anew()
        if not shared.is_ready:
            shared.is_ready = True
            log.info("schema read: %d relations", len(known.schema.relations))
        else:
            log.info("the schema has changed: %d relations", len(known.schema.relations))

    def _plan_with(self, schema: Schema, rules: TableRules) -> None:
        """From now on statements are understood under this schema and these rules, without older plans."""
        self.shared.planner = self.shared.planner.replace(schema, rules)
        self.shared.isolator = Isolator(schema, rules)

    def _health_changed(self, before: ServerState, after: ServerState) -> None:
        server = after.server
        self._adopt_if_fenced()
        if after.reachable and not before.reachable:
            self.gate.forget_reports()
        for pool in self.shards.pools:
            if (pool.shard, pool.role, pool.spec.address) == (server.shard, server.role, server.address):
                self._rotate(pool, after)

    def _complete(self, pool: ServerPool) -> float | None:
        return self.monitor.shard(pool.shard).state(str(pool.spec.address)).complete

    @staticmethod
    def _rotate(pool: ServerPool, state: ServerState) -> None:
        if pool.role is Role.PRIMARY:
            pool.in_rotation = state.reachable
            return
        pool.in_rotation = state.in_rotation
        if not state.in_rotation:
            pool.drop_idle("replica left the rotation")

    def read_again(self) -> list[str]:
        """Read the file again and :meth:`reload` it. Raises ConfigError for mistakes in it, and takes over
        nothing then.
        """
        loaded = read(self.path)
        try:
            return self.reload(checked(loaded))
        except Disagreement as error:
            raise placed(error, loaded) from None

    def reload(self, config: Config) -> list[str]:
        """Take over what can change while clients are connected; returns what cannot, by name.

        Raises Disagreement, and takes over nothing, when the catalog says otherwise.
        """
        shared, current = self.shared, self.installation.shard_map
        if current is not None:
            check_agreement(assemble.wish(config), current)
        config, kept = merge(self.config, config, installed=current is not None)
        self.config = config
        shared.options = assemble.session_options(config)
        rules = assemble.table_rules(config)  # which the catalog, if there is one, has just agreed with
        shared.shard_map = replace(shared.shard_map, tables=rules)
        if current is not None:
            specs = assemble.shard_specs(config)
            self.shards.configure(specs)
            self._arrange(shared.shard_map)
            self.shards.enter(shared.shard_map.shard_epochs, str(self.installation.name))
            self.installation.configure(specs, assemble.wish(config))
        self._plan_with(shared.planner.schema, rules)
        self.knowledge.rules = rules
        self.knowledge.changed()
        self.gate.options = assemble.frontend_options(config)
        self.console.options = assemble.console_options(config)
        self.registry.limit = config.limits.clients
        self.shards.reconfigure(assemble.backend_options(config))
        return kept


def _first(number: int, specs: tuple[ShardSpec, ...]) -> tuple[ShardSpec, ...]:
    """The same with that one at the head."""
    return (specs[number], *specs[:number], *specs[number + 1 :])

"""The shards: for each a pool to its primary and one to each replica, and which replica answers next."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shardproxy.backend.cancel import cancel
from shardproxy.backend.connection import ServerConnection
from shardproxy.backend.entry import Entry
from shardproxy.backend.login import open_connection, role_problem
from shardproxy.backend.pool import Pool, PoolOptions
from shardproxy.backend.server import Address, Login, SocketOptions
from shardproxy.counters import Counters
from shardproxy.errors import ConfigError, Unavailable
from shardproxy.routing.route import Role

PRIMARY = Role.PRIMARY


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """One server of a shard as it was configured; ``weight`` is its share of the reads among replicas."""

    address: Address
    login: Login
    weight: int = 1


@dataclass(frozen=True, slots=True)
class ShardSpec:
    """One shard as it was configured."""

    name: str
    primary: ServerSpec
    replicas: tuple[ServerSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """How connections to shards are opened and kept; durations in seconds.

    ``defaults`` are settings that sessions begin with on every server alike, whatever its own are.
    """

    primary_pool: PoolOptions
    replica_pool: PoolOptions
    sockets: SocketOptions
    connect_timeout: float = 2.0
    login_timeout: float = 10.0
    cancel_timeout: float = 5.0
    defaults: Mapping[str, str] = field(default_factory=dict)

    def pool(self, role: Role) -> PoolOptions:
        """The limits of a pool of connections to that role."""
        return self.primary_pool if role is Role.PRIMARY else self.replica_pool


class ServerPool(Pool):
    """The pool of one server, and what is known of the server.

    ``in_rotation`` is False while the monitor finds it unreachable, and a replica also while it lags or is
    none. A primary out of rotation still serves its own shard's rows, which nobody else has. ``on_retired``
    is called when the shard says that the map is old. ``complete`` tells up to which time of the event
    loop a replica has all that its primary has acknowledged; None: unknown.
    """

    def __init__(
        self,
        shard: str,
        role: Role,
        spec: ServerSpec,
        options: BackendOptions,
        counters: Counters,
        settings: object,
    ) -> None:
        self.shard = shard
        self.role = role
        self.spec = spec
        self.in_rotation = True
        self.on_retired: Callable[[], None] = lambda: None
        self.complete: Callable[[], float | None] = lambda: None
        self._backend = options
        self._settings = settings
        super().__init__(
            f'shard "{shard}" ({role} {spec.address})',
            self._open_connection,
            options.pool(role),
            counters.pool(shard, role),
            counters.shard(shard, role),
        )

    @property
    def behind(self) -> bool:
        """It is a replica that has not replayed what the map stands on."""
        return self.entry is not None and self.entry.behind

    @property
    def has_stale(self) -> bool:
        """A connection that somebody holds, or that is on its way, is in an older epoch."""
        entry = self.entry
        return entry is not None and any(each.epoch != entry.epoch for each in self.active)

    def set_epoch(self, epoch: int, here: str) -> None:
        """From now on nobody is handed a connection that is not in ``epoch``, on the shard ``here``."""
        if self.entry is None:
            is_replica = self.role is Role.REPLICA
            self.entry = Entry(self, epoch, here, is_replica=is_replica, on_retired=self._tell_retired)
        else:
            self.entry.change(epoch)
        self.renew_idle()

    def _tell_retired(self) -> None:
        self.on_retired()

    def reconfigure(self, options: BackendOptions) -> None:
        """Keep to ``options`` from now on; connections that exist stay."""
        if options.defaults != self._backend.defaults:
            self.drop_idle("sessions begin with other settings")
            for connection in self.active:
                connection.retired = True
        self._backend = options
        self.options = options.pool(self.role)

    async def _open_connection(self) -> ServerConnection:
        options = self._backend
        login = self.spec.login
        connection = await open_connection(
            self.spec.address,
            replace(login, settings={**login.settings, **options.defaults}),
            self.role,
            options.sockets,
            connect_timeout=options.connect_timeout,
            login_timeout=options.login_timeout,
            settings=self._settings,
        )
        connection.on_parameter = self._on_parameter
        connection.defaults = options.defaults
        connection.retired = options.defaults != self._backend.defaults
        return connection

    def _on_parameter(self, connection: ServerConnection, name: str, value: str) -> None:
        """A promotion is reported on every open connection: reads from a former replica would be another
        history's.
        """
        if name == "in_hot_standby" and role_problem(self.role, connection.parameters) is not None:
            connection.retired = True  # the answer under way is the old history's and still good
            self.drop_idle("server changed its role")

    async def cancel(self, connection: ServerConnection) -> bool:
        """Cancel what ``connection`` of this pool runs."""
        return await self.start_cancel(connection)

    def start_cancel(self, connection: ServerConnection) -> "asyncio.Task[bool]":
        """The same in a task of the pool, which goes on when the caller is gone; it counts at once."""
        return self.start(cancel(self.spec.address, connection, self._backend.cancel_timeout))


class Shard:
    """One shard: ``primary`` and ``replicas``."""

    def __init__(
        self, spec: ShardSpec, options: BackendOptions, counters: Counters, settings: object
    ) -> None:
        self.name = spec.name
        self.spec = spec
        self.primary = ServerPool(spec.name, Role.PRIMARY, spec.primary, options, counters, settings)
        self.replicas = [
            ServerPool(spec.name, Role.REPLICA, s, options, counters, settings) for s in spec.replicas
        ]
        self._credit = [0] * len(self.replicas)

    @property
    def pools(self) -> list[ServerPool]:
        """Primary first."""
        return [self.primary, *self.replicas]

    def pool_for(self, role: Role, fallback: bool, after: float | None = None) -> ServerPool:
        """The pool that a statement for ``role`` uses; ``fallback``: the primary stands in for replicas.

        ``after``: for Role.CAUSAL, the event loop's time of the last write that the statement has to see.
        Raises Unavailable (57P03) when no replica is in rotation and none may stand in.
        """
        if role is PRIMARY:
            return self.primary
        replica = self.replica(after)
        if replica is not None:
            return replica
        if fallback or role is Role.CAUSAL:
            return self.primary
        raise Unavailable(
            f'shard "{self.name}" has no replica in rotation',
            hint="SET shardproxy.read = 'primary'.",
            sqlstate="57P03",
        )

    def replica(self, after: float | None = None) -> ServerPool | None:
        """The replica whose turn it is (smooth weighted round robin), None when none is in rotation that has
        all that was acknowledged up to ``after``.
        """
        best, total = -1, 0
        for i, pool in enumerate(self.replicas):
            if after is not None and not _has_all(pool, after):
                continue
            if pool.in_rotation and not pool.behind and pool.spec.weight > 0:
                total += pool.spec.weight
                self._credit[i] += pool.spec.weight
                if best < 0 or self._credit[i] > self._credit[best]:
                    best = i
        if best < 0:
            return None
        self._credit[best] -= total
        return self.replicas[best]


def _has_all(replica: ServerPool, after: float) -> bool:
    complete = replica.complete()
    return complete is not None and complete > after


class Shards:
    """All shards in the order of the shard map. ``spare`` are configured and not in the map (yet)."""

    def __init__(
        self, specs: Sequence[ShardSpec], options: BackendOptions, counters: Counters, settings: object
    ) -> None:
        self.all = [Shard(spec, options, counters, settings) for spec in specs]
        self.spare: list[Shard] = []
        self._options = options

    def __getitem__(self, index: int) -> Shard:
        return self.all[index]

    def __len__(self) -> int:
        return len(self.all)

    @property
    def pools(self) -> list[ServerPool]:
        """Every pool of every shard."""
        return [pool for shard in (*self.all, *self.spare) for pool in shard.pools]

    def arrange(self, names: Sequence[str]) -> None:
        """Take over the shards of a map, in its order. Raises ConfigError for one that is not configured."""
        known = {shard.name: shard for shard in (*self.all, *self.spare)}
        if missing := [name for name in names if name not in known]:
            raise ConfigError(f"shards that the configuration does not name: {', '.join(missing)}")
        self.all = [known.pop(name) for name in names]
        self.spare = list(known.values())

    def enter(self, epochs: Sequence[int], installation: str) -> None:
        """From now on nobody is handed a connection that is not in its shard's epoch."""
        for shard, epoch in zip(self.all, epochs, strict=True):
            for pool in shard.pools:
                pool.set_epoch(epoch, f"{installation}/{shard.name}")

    def in_order(self, first: int) -> list[int]:
        """The numbers of all shards for what any of them can answer: ``first``, then the others, and last
        those whose primary is out of rotation.
        """
        order = [first, *(number for number in range(len(self.all)) if number != first)]
        if not self.all[first].primary.in_rotation:
            order.sort(key=lambda number: not self.all[number].primary.in_rotation)
        return order

    def reconfigure(self, options: BackendOptions) -> None:
        """From now on the pools keep to ``options``, but for their defaults, which stay."""
        self._options = replace(options, defaults=self._options.defaults)
        for pool in self.pools:
            pool.reconfigure(self._options)

    def set_defaults(self, defaults: Mapping[str, str]) -> None:
        """From now on sessions begin with these settings on every server; a connection that began otherwise
        is given to nobody any more.
        """
        self._options = replace(self._options, defaults=defaults)
        for pool in self.pools:
            pool.reconfigure(self._options)

    def sweep(self) -> None:
        """Upkeep of every pool; called about once a second."""
        for pool in self.pools:
            pool.sweep()

    async def close(self) -> None:
        """Close every pool; active connections are closed when they come back."""
        await asyncio.gather(*(pool.close() for pool in self.pools))

    def abort(self) -> None:
        """Close every connection at once."""
        for pool in self.pools:
            pool.abort()

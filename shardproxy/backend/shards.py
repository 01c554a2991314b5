"""The shards: for each a pool to its primary and one to each replica, and which replica answers next."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shardproxy.backend.cancel import cancel
from shardproxy.backend.connection import ServerConnection
from shardproxy.backend.entry import Entry
from shardproxy.backend.login import open_connection, role_problem
from shardproxy.backend.pool import Pool, PoolOptions
from shardproxy.backend.server import Address, Login, SocketOptions
from shardproxy.counters import Counters
from shardproxy.errors import Unavailable
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

    async def close(self) -> None:
        """Close every pool; active connections are closed when they come back."""
        await asyncio.gather(*(pool.close() for pool in self.pools))

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
    """All shards by their numbers, which are for life: see ``topology.numbering``.

    ``names`` has the name of each number. Mutable: ``all``, for each number its shard, None where the map
    does not list it or no servers are configured for it; ``leaving``, shards that have been there, as long
    as somebody holds a connection to them.
    """

    def __init__(
        self, specs: Sequence[ShardSpec], options: BackendOptions, counters: Counters, settings: object
    ) -> None:
        self.names: tuple[str, ...] = ()
        self.all: list[Shard | None] = []
        self.leaving: list[Shard] = []
        self._specs = {spec.name: spec for spec in specs}
        self._options = options
        self._counters = counters
        self._settings = settings
        self.arrange([spec.name for spec in specs], frozenset(self._specs))

    def __getitem__(self, number: int) -> Shard:
        """The shard of that number. Raises Unavailable (57P03) for one that cannot be used."""
        shard = self.all[number]
        if shard is not None:
            return shard
        name = self.names[number]
        if name in self._specs:
            raise Unavailable(f'shard "{name}" is not in the map any more', sqlstate="57P03")
        raise Unavailable(
            f'shard "{name}" is in the map, and this sidecar has no servers for it',
            hint="Add it under shards in the sidecar's configuration, and send SIGHUP.",
            sqlstate="57P03",
        )

    @property
    def present(self) -> list[Shard]:
        """Those that can be used."""
        return [shard for shard in self.all if shard is not None]

    @property
    def pools(self) -> list[ServerPool]:
        """Every pool of every shard that can be used."""
        return [pool for shard in self.present for pool in shard.pools]

    @property
    def unconfigured(self) -> list[str]:
        """The names of numbers for which no servers are configured."""
        return [name for name in self.names if name not in self._specs]

    def arrange(self, names: Sequence[str], listed: Collection[str]) -> list[Shard]:
        """From now on shards have their number by ``names``, and those that are ``listed`` are used.

        Who has a number keeps it, except while nobody uses any. Answers the shards that are leaving by this,
        whose pools are to be closed.
        """
        used = {shard.name: shard for shard in self.present}
        self.names = tuple(names)
        self.all = [self._shard(name, used) if name in listed else None for name in names]
        gone = list(used.values())
        self.leaving += gone
        return gone

    def configure(self, specs: Sequence[ShardSpec]) -> None:
        """From now on these servers are known; :meth:`arrange` takes them over."""
        self._specs = {spec.name: spec for spec in specs}

    def _shard(self, name: str, used: dict[str, Shard]) -> Shard | None:
        """The shard of that name, taken out of ``used`` if it is there, else made; None without servers."""
        spec = self._specs.get(name)
        if spec is None:
            return None
        return used.pop(name, None) or Shard(spec, self._options, self._counters, self._settings)

    def enter(self, epochs: Sequence[int], installation: str) -> None:
        """From now on nobody is handed a connection that is not in its shard's epoch."""
        for shard, epoch in zip(self.all, epochs, strict=True):
            for pool in shard.pools if shard is not None else ():
                pool.set_epoch(epoch, f"{installation}/{pool.shard}")

    def in_order(self, first: int) -> list[int]:
        """The numbers of all shards for what any of them can answer: ``first``, then the others, and last
        those whose primary is out of rotation.
        """
        away = {number: not shard.primary.in_rotation for number, shard in enumerate(self.all) if shard}
        order = [number for number in (first, *(each for each in away if each != first)) if number in away]
        if away.get(first, True):
            order.sort(key=away.__getitem__)
        return order or [first]

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
        self.leaving = [shard for shard in self.leaving if any(pool.size for pool in shard.pools)]

    async def close(self) -> None:
        """Close every pool; active connections are closed when they come back."""
        await asyncio.gather(*(shard.close() for shard in (*self.present, *self.leaving)))

    def abort(self) -> None:
        """Close every connection at once."""
        for shard in (*self.present, *self.leaving):
            for pool in shard.pools:
                pool.abort()

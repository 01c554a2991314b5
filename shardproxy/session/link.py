"""The session's link to a shard: the one server connection it holds, if any, and the bytes in between.

A connection is taken for a request and given back at the ReadyForQuery that ends it, unless a transaction
block is open on it or the session is pinned to it.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from shardproxy.backend.connection import ServerConnection
from shardproxy.backend.entry import Behind
from shardproxy.backend.holds import hold
from shardproxy.backend.place import Place
from shardproxy.backend.request import command
from shardproxy.backend.shards import ServerPool
from shardproxy.errors import Refused, RouteAgain, ShardproxyError, Unavailable
from shardproxy.routing.route import Anywhere, OneShard, ReadPolicy, Role
from shardproxy.session import moving
from shardproxy.session.own_writes import OwnWrites
from shardproxy.session.script import script
from shardproxy.session.settings import SET_BY_QUERY, ServerSettings
from shardproxy.session.transaction import BEGUN, BROKEN, OPEN
from shardproxy.wire import client_messages
from shardproxy.wire.client_messages import query
from shardproxy.wire.replies import QUERY, SKIP_TAG, SYNC, FailWith
from shardproxy.wire.server_messages import READY_IDLE

if TYPE_CHECKING:
    from shardproxy.session.session import Session

PRIMARY = Role.PRIMARY
LOST = Unavailable.sqlstate
FAILING_MESSAGE = client_messages.bind(b"", b"shardproxy_refused")
"""Bind of a statement that no server has: the error that makes a server's transaction fail together with
ours.
"""


class Link:
    """What ``session`` holds of the shards.

    ``connection`` of ``pool``, of shard number ``shard``, is None when nothing is held. ``anywhere``: any
    shard could have answered what it was held for so far. ``pinned`` says why the session keeps its
    connection; ``temporary`` are the tables that it may have made there. ``in_group``: extended-protocol
    messages were sent and their Sync was not. ``relaying``: a ReadyForQuery is owed that ends the client's
    request. ``waiting`` is the place in a pool's queue, or the wait for a map. ``copying``: the client's COPY
    data goes to the server; ``copy_begins`` ends when a server has answered COPY FROM STDIN. ``own_writes``
    are known from when the session first reads causally; ``reading``: the connection was taken for a read.
    """

    def __init__(self, session: "Session") -> None:
        self.session = session
        self.connection: ServerConnection | None = None
        self.pool: ServerPool | None = None
        self.shard = -1
        self.anywhere = False
        self.pinned: str | None = None
        self.temporary: set[str] = set()
        self.in_group = False
        self.relaying = False
        self.copying = False
        self.waiting: asyncio.Future[Any] | Place | None = None
        self.copy_begins: asyncio.Future[None] | None = None
        self.started = 0.0
        causal = session.initial.read is ReadPolicy.CAUSAL
        self.own_writes: OwnWrites | None = OwnWrites() if causal else None
        self.reading = False

    @property
    def held(self) -> bool:
        """The session is bound to its connection: the next statement must go there."""
        return self.connection is not None

    # --- taking a connection --------------------------------------------------------------------------------

    def take_now(self, route: OneShard | Anywhere) -> ServerConnection | None:
        """:meth:`take` and :meth:`open_block` where neither has anything to wait for; None: await them."""
        session = self.session
        session.raise_loss()
        if self._opens_apart():
            return None
        if self.connection is None:
            return self._take_idle(route)
        if isinstance(route, OneShard):
            if route.shard != self.shard or not self._is_still_here(self.connection, route):
                return None
            self.anywhere = False
        return self.connection

    def _take_idle(self, route: OneShard | Anywhere) -> ServerConnection | None:
        """An idle connection that has the session's settings already, of the primary to be asked first.

        Replicas take turns, and one whose turn it is may have to open its first connection.
        """
        if route.role is not PRIMARY:
            return None
        session = self.session
        shared = session.shared
        shard = self._first_of(route)
        servers = shared.shards.all[shard]
        if servers is None:
            return None
        one = isinstance(route, OneShard)
        if not one and not servers.primary.in_rotation:
            return None
        pool = servers.primary
        connection = pool.at_hand()
        if connection is None or connection.settings is not session.settings_at_rest():
            return None
        if isinstance(route, OneShard) and not self._is_still_here(connection, route):
            return None
        self.anywhere = not one
        pool.try_acquire()
        self._hold(connection, pool, shard)
        self.reading = False
        if session.slow:
            connection.pause_reading()
        return connection

    async def take(self, route: OneShard | Anywhere) -> ServerConnection:
        """The connection for ``route``, with the session's settings; the held one if it fits.

        A block moves to the route's shard if it may. Raises Refused where the session is bound to another
        shard, Unavailable when there is no connection to be had, RouteAgain where the rows are elsewhere by
        now, and the link is as it was before.
        """
        connection = await self._take(route)
        if isinstance(route, OneShard):
            await self._check_still_here(connection, route)
        return connection

    def _is_still_here(self, connection: ServerConnection, route: OneShard) -> bool:
        """Whether :meth:`_check_still_here` has nothing to do."""
        epoch = connection.epoch
        if epoch is not None and epoch > route.epoch and not self.is_under_way:
            return False
        return not route.guards or connection.holds.issuperset(route.guards)

    async def _check_still_here(self, connection: ServerConnection, route: OneShard) -> None:
        """Where rows of the route are moving, hold that up for the transaction. Raises RouteAgain."""
        if connection.epoch is not None and connection.epoch > route.epoch and not self.is_under_way:
            self.give_back()
            raise RouteAgain
        if not route.guards or connection.holds.issuperset(route.guards):
            return
        if self.in_group:
            raise RouteAgain
        if self.is_under_way and await moving.leave(self.session):
            connection = await self._take(route)
        try:
            await hold(connection, route.guards)
        except ShardproxyError:
            if not self.is_under_way:
                self.give_back()
            raise
        self.session.raise_loss()

    @property
    def is_under_way(self) -> bool:
        """The connection was taken by an earlier request, or message, of the same transaction."""
        return self.in_group or self.session.transaction.block is OPEN

    async def _take(self, route: OneShard | Anywhere) -> ServerConnection:
        self.session.raise_loss()
        if self.connection is not None:
            if not isinstance(route, OneShard) or route.shard == self.shard:
                self.anywhere = self.anywhere and not isinstance(route, OneShard)
                return self.connection
            if not await moving.leave(self.session):
                raise self._elsewhere(route)
            self.session.raise_loss()
        self.anywhere = not isinstance(route, OneShard)
        if isinstance(route, OneShard):
            connection = await self._take_from(route.shard, route.role)
        else:
            connection = await self._take_from_any(route)
        self.session.raise_loss()
        return connection

    async def _take_from_any(self, route: Anywhere) -> ServerConnection:
        """From the preferred shard, or the designated one, or another one while that is away."""
        shared = self.session.shared
        failure: Unavailable | None = None
        first = self._first_of(route)
        for shard in (first,) if route.meets else shared.shards.in_order(first):
            try:
                return await self._take_from(shard, route.role)
            except Unavailable as error:
                if error.sqlstate != LOST:
                    raise
                failure = failure or error
        assert failure is not None
        raise failure

    def _first_of(self, route: OneShard | Anywhere) -> int:
        if isinstance(route, OneShard):
            return route.shard
        return self.session.shared.shard_map.designated if route.preferred is None else route.preferred

    async def _take_from(self, shard: int, role: Role) -> ServerConnection:
        connection, pool = await self._acquire(shard, role)
        self._hold(connection, pool, shard)
        self.reading = role is not PRIMARY
        wanted = self.session.settings_at_rest()
        if connection.settings is not wanted:
            await self._apply(connection, wanted)
        if self.session.slow:
            connection.pause_reading()
        return connection

    def _hold(self, connection: ServerConnection, pool: ServerPool, shard: int) -> None:
        self.connection, self.pool, self.shard = connection, pool, shard
        connection.sink = self

    async def _acquire(self, shard: int, role: Role) -> tuple[ServerConnection, ServerPool]:
        shared = self.session.shared
        while True:
            after = self.last_write(shared.shards[shard].name) if role is Role.CAUSAL else None
            pool = shared.shards[shard].pool_for(role, shared.options.replica_fallback, after)
            connection = pool.try_acquire()
            if connection is not None:
                return connection, pool
            self.waiting = place = pool.request()
            try:
                return await place, pool
            except Behind:  # another server of the shard is not
                continue
            finally:
                self.waiting = None

    async def _apply(self, connection: ServerConnection, wanted: ServerSettings) -> None:
        """Bring the connection to the session's settings; on an error it is not used."""
        connection.settings = None
        try:
            await command(connection, wanted.script())
        except ShardproxyError:
            self.drop("settings could not be applied")
            raise
        connection.settings = wanted

    def last_write(self, shard: str) -> float | None:
        """The time that a causal read on the shard of that name has to know of."""
        if self.own_writes is None:
            self.own_writes = OwnWrites(since=self.session.loop.time())
        return self.own_writes.on(shard)

    def _note_write(self) -> None:
        """What was sent to a primary has ended, and was no read of its own."""
        if self.own_writes is not None and not self.reading and self.pool is not None:
            self.own_writes.note(self.pool.shard, self.session.loop.time())

    def _elsewhere(self, route: OneShard) -> Refused:
        names = self.session.shared.shard_map.shards
        here, there = names[self.shard], names[route.shard]
        begin = (
            "Begin it with a statement that names the tenant, or SET shardproxy.tenant before it: any shard "
            f"would have done so far, but what ran on {here} cannot be taken back unnoticed."
        )
        if self.pinned is not None:
            return Refused(
                f"the session is bound to shard {here} by {self.pinned}, "
                f"and the statement belongs to shard {there}",
                hint="Use another connection for it, or DISCARD ALL first.",
            )
        if self.session.transaction.status != READY_IDLE or (
            self.connection and self.connection.status != READY_IDLE
        ):
            return Refused(
                f"a transaction on several shards: it is open on {here}, "
                f"and the statement belongs to {there}",
                hint=begin if self.anywhere else "Commit first, or use one transaction for each tenant.",
            )
        return Refused(
            f"a pipeline on several shards: it is one transaction, begun on {here}, "
            f"and the statement belongs to {there}",
            hint=begin if self.anywhere else "Send Sync between statements of different tenants.",
        )

    def _opens_apart(self) -> bool:
        """The block that no server has yet is opened ahead of its first statement: see :meth:`open_block`."""
        session = self.session
        transaction = session.transaction
        if transaction.block is not BEGUN:
            return False
        if transaction.before.server is not session.settings.server:
            return True
        return any(map(_returns_row, transaction.opening))

    async def open_block(self) -> None:
        """Open the block ahead of its first statement where it has settings of its own, so that the server
        reports when they go, or where opening it brings rows, which the client must not see.
        """
        connection, transaction = self.connection, self.session.transaction
        if connection is not None and self._opens_apart():
            await command(connection, script(transaction.opening).encode())
            transaction.take_opening()
            transaction.opened(failed=False)

    # --- sending --------------------------------------------------------------------------------------------

    def send_query(
        self,
        text: bytes,
        opening: list[str],
        flags: int = 0,
        rewritten: bool = False,
        closing: Sequence[str] = (),
    ) -> None:
        """A simple query, led by the statements that open the block; its replies are relayed.

        ``rewritten``: the text is not the client's, so positions in errors would mislead. ``closing`` are
        statements of ours to follow the client's, as many as the session expects effects of.
        """
        connection = self.connection
        assert connection is not None
        head = script(opening) if opening else ""
        if closing:
            text += "\n;".join(["", *closing]).encode()
            connection.stream.tags = len(self.session.effects)
        self.begin_request(connection)
        connection.stream.prefix = -1 if rewritten else len(head)
        connection.stream.promise(QUERY | flags | SKIP_TAG * len(opening))
        self.begin_relay()
        connection.send(query(head.encode() + text if opening else text))

    def begin_request(self, connection: ServerConnection) -> None:
        """From now on the server's replies are to what is sent next."""
        connection.stream.error = None
        connection.stream.completed = 0

    def begin_relay(self) -> None:
        """From now on a ReadyForQuery is owed that ends the client's request."""
        self.relaying = True
        self.started = self.session.loop.time()

    def fail_transaction(self, reply: bytes) -> None:
        """Make the open transaction fail, because a statement of it failed here; the client sees
        ``reply``.
        """
        connection = self.connection
        assert connection is not None
        connection.stream.promise(FailWith(reply))
        connection.stream.promise(SYNC)
        self.begin_relay()
        connection.send(FAILING_MESSAGE + client_messages.SYNC)

    # --- giving back ----------------------------------------------------------------------------------------

    def give_back(self) -> None:
        """Return the connection to its pool, if it is held and nothing binds the session to it."""
        if self.connection is not None and self.pinned is None:
            connection, pool = self.connection, self.pool
            self._detach()
            assert pool is not None
            pool.release(connection)

    def forget_closed(self) -> None:
        """Let go of a connection that was lost during a request of our own; its block has failed."""
        if self.connection is not None and self.connection.closed:
            self._detach()
            if self.session.transaction.block is OPEN:
                self.session.transaction.block = BROKEN

    def drop(self, reason: str) -> None:
        """Close the connection: its state is not what somebody else may have."""
        if self.connection is not None:
            connection = self.connection
            self._detach()
            connection.abort(reason)

    def _detach(self) -> None:
        if self.connection is not None:
            self.connection.sink = None
            self.connection.stream.prefix = 0
            self.connection.stream.tags = -1
        self.connection = None
        self.pool = None
        self.pinned = None
        self.temporary.clear()
        self.in_group = self.relaying = self.copying = False
        self._copy_has_begun()

    # --- Sink -----------------------------------------------------------------------------------------------

    def reply(self, connection: ServerConnection, data: bytes) -> None:
        self.session.client.write(data)
        if connection.stream.skipping:
            self._copy_has_begun()
            if self.copying:  # not any more
                self.copying = False
                self.session.pump()

    def _copy_has_begun(self) -> None:
        if self.copy_begins is not None and not self.copy_begins.done():
            self.copy_begins.set_result(None)

    def ready(self, connection: ServerConnection, status: int) -> None:
        connection.stream.prefix = 0
        connection.stream.tags = -1
        self.in_group = self.relaying = self.copying = False
        traffic = connection.counters
        traffic.queries += 1
        traffic.latency.observe(self.session.loop.time() - self.started)
        self._note_write()
        self.session.relayed(status)

    def copy_in(self, connection: ServerConnection) -> None:
        self.copying = True
        self._copy_has_begun()
        self.session.pump_copy()

    def lost(self, connection: ServerConnection, error: ShardproxyError) -> None:
        mid_message = connection.stream.mid_message
        idle = not connection.stream.owed
        self._note_write()
        self._detach()
        self.session.lost(error, mid_message=mid_message, idle=idle)

    def pause(self) -> None:
        self.session.client.pause_reading()

    def resume(self) -> None:
        self.session.client.resume_reading()


def _returns_row(sql: str) -> bool:
    return sql.startswith(SET_BY_QUERY)

"""The extended query protocol: Parse, Bind, Describe, Execute, Close, Flush, Sync (manual, "Extended Query").

What the proxy knows it answers itself, at its place among the server's replies. Parse is answered from
what a server once said of the text; a statement is prepared on a server connection when it is first bound
there. All messages up to Sync are one transaction and go to one shard. After an error everything up to
Sync is skipped, here as on the server.
"""

from collections.abc import Coroutine, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from shardproxy.backend.connection import ServerConnection
from shardproxy.errors import Refused, RouteAgain, ShardproxyError
from shardproxy.routing.parameters import BindValues
from shardproxy.routing.route import Anywhere, FanOut, OneShard
from shardproxy.session import effects, local, moving, names, portal_here, portal_on_shards, told
from shardproxy.session.describe import Describer, SkippedError
from shardproxy.session.eager import Outcome, settled
from shardproxy.session.effects import expect
from shardproxy.session.link import FAILING_MESSAGE, Link
from shardproxy.session.prepared import Description, Portal, Prepared
from shardproxy.session.request import Request
from shardproxy.session.transaction import NO_BLOCK, OPEN
from shardproxy.sql.planner import Planner
from shardproxy.sql.schema import FIRST_USER_OID
from shardproxy.sql.statement import Kind, Statement
from shardproxy.wire import client_messages
from shardproxy.wire.client_messages import (
    DESCRIBE_UNNAMED,
    EXECUTE_UNNAMED,
    FLUSH,
    Bind,
    message,
    parse_bind,
    parse_close,
    parse_describe,
    parse_empty,
    parse_execute,
    parse_parse,
    rename_statement,
)
from shardproxy.wire.client_messages import SYNC as SYNC_MESSAGE
from shardproxy.wire.replies import BIND, CLOSE, DESCRIBE, DROP, EXECUTE, PARSE, SYNC, FailWith, Learn
from shardproxy.wire.server_messages import (
    BIND_COMPLETE,
    CLOSE_COMPLETE,
    PARSE_COMPLETE,
    READY_IDLE,
    ready_for_query,
)

if TYPE_CHECKING:
    from shardproxy.session.session import Session

PARSE_MESSAGE = 0x50
BIND_MESSAGE = 0x42
DESCRIBE_MESSAGE = 0x44
EXECUTE_MESSAGE = 0x45
CLOSE_MESSAGE = 0x43
SYNC_KIND = 0x53
_OWNERS = count()
Wait = Coroutine[Any, Any, None] | None
"""What has to be awaited until a message is worked off; None: it is."""


class Extended:
    """Handles one session's extended-protocol messages.

    ``statements`` and ``portals`` are the client's, by its names. ``skipping``: an error was given, Sync
    has not come. ``out`` are the messages for the server that are not sent yet. ``_sync_sent``: no group
    is open on a server. ``_fresh``: the next message begins a group. ``group`` are the messages of the
    running one, if they came together; ``guard`` is what it depends on.
    """

    def __init__(self, session: "Session") -> None:
        self.session = session
        self.link: Link = session.link
        self.statements: dict[bytes, Prepared] = {}
        self.portals: dict[bytes, Portal] = {}
        self.skipping = False
        self.out: list[bytes] = []
        self._sync_sent = True
        self._fresh = True
        self._owner = b"%d/" % next(_OWNERS)
        self.describer = Describer(session, self)
        self.guard: told.Guard | None = None
        self.group: Sequence[tuple[int, bytes]] = ()

    def run(self, messages: Sequence[tuple[int, bytes]], again: bool = False) -> Outcome:
        """A group of messages. True: answered; False: a ReadyForQuery is on its way. ``again``: it was sent
        before, and will not be a third time.
        """
        self.group = messages if self._fresh and not again else ()
        if self._fresh:
            self._fresh = False
            if self.session.transaction.block is NO_BLOCK:
                self.session.transaction.start(self.session.settings)
        return self._run(messages, 0)

    def _run(self, messages: Sequence[tuple[int, bytes]], at: int) -> Outcome:
        """The messages from number ``at`` on."""
        answered = True
        for i in range(at, len(messages)):
            kind, body = messages[i]
            if kind == SYNC_KIND:
                parse_empty(body)
                answered = self._sync()
            elif not self.skipping:
                bound_next = i + 1 < len(messages) and messages[i + 1][0] == BIND_MESSAGE
                try:
                    wait = self._message(kind, body, bound_next)
                except ShardproxyError as error:
                    self._fail(error)
                else:
                    if wait is not None:
                        return self._go_on(wait, messages, i + 1)
        self.send()
        if answered:
            self.group = ()
        return answered

    def _message(self, kind: int, body: bytes, bound_next: bool) -> Wait:
        """One message; ``bound_next``: Bind follows."""
        if kind == BIND_MESSAGE:
            return self._bind(body)
        if kind == EXECUTE_MESSAGE:
            return self._execute(body)
        if kind == DESCRIBE_MESSAGE:
            return self._describe(body)
        if kind == PARSE_MESSAGE:
            return self._parse(body, bound_next)
        return self._close(body) if kind == CLOSE_MESSAGE else self._flush(body)

    async def _go_on(
        self, wait: Coroutine[Any, Any, None], messages: Sequence[tuple[int, bytes]], at: int
    ) -> bool:
        """Wait for a message that has to, then :meth:`_run`."""
        try:
            await wait
        except ShardproxyError as error:
            self._fail(error)
        return await settled(self._run(messages, at))

    # --- replies and messages, in order ---------------------------------------------------------------------

    def emit(self, reply: bytes) -> None:
        """An answer of our own, behind what a server owes first."""
        link = self.link
        if link.in_group and link.connection is not None:
            link.connection.stream.promise(reply)
        else:
            self.session.client.hold(reply)

    def send(self) -> None:
        """Send what the group has for the server. Our own answers go out with the server's, if it will
        answer.
        """
        connection = self.link.connection
        if connection is not None:
            if self.out:
                connection.send(b"".join(self.out))
            if connection.stream.out:
                connection.flush()
        if connection is None or not connection.stream.owed:
            self.session.client.flush()
        self.out.clear()

    def _fail(self, error: ShardproxyError) -> None:
        """An error of ours in the middle of a group; a server that is part of it has to fail too."""
        if error.severity == "FATAL":
            raise error
        self.skipping = True
        if isinstance(error, SkippedError):
            return
        session = self.session
        session.count_refusal(error)
        reply = session.error_reply(error)
        link = self.link
        link.forget_closed()
        if link.connection is not None and session.on_server and session.transaction.block is OPEN:
            self.enter_group(link.connection)
        if link.in_group and link.connection is not None:
            link.connection.stream.promise(FailWith(reply))
            self.out.append(FAILING_MESSAGE)
            return
        link.give_back()
        session.client.write(reply + session.break_off())

    def answer_loss(self) -> bool:
        """The connection was lost and the client told; True if its request ends there, else at the Sync to
        come.
        """
        self.out.clear()
        self.skipping = not self._sync_sent
        return self._sync_sent

    # --- Parse ----------------------------------------------------------------------------------------------

    def _parse(self, body: bytes, bound_next: bool) -> Wait:
        """``bound_next``: Bind follows, so a server will say what is wrong with the statement soon enough."""
        session = self.session
        name, text, oids = parse_parse(body)
        if not name:
            self.statements.pop(name, None)
        prepared = Prepared(text, oids, self._owner + name)
        statement = self._plan(prepared)
        session.check_allowed(statement)
        self._check_names(statement)
        if (name or not bound_next or prepared.needs_types()) and self.describer.known(prepared) is None:
            return self._learn_and_keep(name, prepared)
        self._keep(name, prepared)
        return None

    async def _learn_and_keep(self, name: bytes, prepared: Prepared) -> None:
        await self.describer.learn(prepared)
        self._keep(name, prepared)

    def _keep(self, name: bytes, prepared: Prepared) -> None:
        if name in self.statements:
            raise ShardproxyError(
                f'prepared statement "{name.decode(errors="replace")}" already exists', sqlstate="42P05"
            )
        self.statements[name] = prepared
        self.emit(PARSE_COMPLETE)

    def _plan(self, prepared: Prepared) -> Statement:
        """The plan under the schema and the search_path that hold now."""
        session = self.session
        planner: Planner = session.shared.planner
        search_path = session.search_path()
        if prepared.planner is not planner or prepared.search_path != search_path:
            planned = planner.extended(prepared.text, search_path)
            if len(planned.statements) != 1:
                raise ShardproxyError(
                    "cannot insert multiple commands into a prepared statement", sqlstate="42601"
                )
            prepared.take(planned.statements[0], planner, search_path)
        folded = session.settings.server.folded
        if session.constants_move:  # the change is on its way, and may fail
            folded = f" as {prepared.owner!r} may have made it"
            prepared.is_new = True
        prepared.under(folded)
        if planner.checking_type is not None and max(prepared.oids, default=0) >= FIRST_USER_OID:
            raise Refused(
                f"a parameter that may be of the type {planner.checking_type}, whose checks may read tables",
                hint="Leave the types of parameters to the server, or declare the functions of its checks "
                "under trusted_functions.",
            )
        return prepared.statement

    def _check_names(self, statement: Statement) -> None:
        if self.session.names_move and statement.kind in names.ROUTED:
            raise names.behind("SET or ROLLBACK in the same pipeline", hint="Send Sync before it.")

    # --- Bind -----------------------------------------------------------------------------------------------

    def _bind(self, body: bytes) -> Wait:
        bind = parse_bind(body)
        prepared = self._statement(bind[1])
        learned = prepared.description is not None
        self._check_names(self._plan(prepared))
        if (
            prepared.description is None
            and (learned or prepared.needs_types())
            and self.describer.known(prepared) is None
        ):
            return self._learn_and_bind(bind, prepared, body)
        return self._bind_known(bind, prepared, body)

    async def _learn_and_bind(self, bind: Bind, prepared: Prepared, body: bytes) -> None:
        await self.describer.learn(prepared)
        wait = self._bind_known(bind, prepared, body)
        if wait is not None:
            await wait

    def _bind_known(self, bind: Bind, prepared: Prepared, body: bytes) -> Wait:
        """Bind a statement of which is known what has to be."""
        name, _, formats, values, result_formats = bind
        statement = prepared.statement
        if not prepared.takes(len(values)):
            raise _wrong_count(bind, prepared)
        self.session.check_allowed(statement)
        if not name:
            self.portals.pop(b"", None)
        elif name in self.portals:
            raise ShardproxyError(f'cursor "{name.decode()}" already exists', sqlstate="42P03")
        portal = Portal(prepared, BindValues(formats, values, prepared.value_oids()), result_formats)
        request = Request(self.session, prepared.text, portal.values, 1, prepared.own_settings())
        if request.explains:
            portal.request = request
        elif statement.plain or not self._is_local(statement):
            return self._bind_away(name, portal, request, body)
        portal.local = True
        self._bound(name, portal)
        return None

    def _bound(self, name: bytes, portal: Portal) -> None:
        """``portal``, by ``name`` the client's, is bound here and not on a server."""
        self.portals[name] = portal
        self.emit(BIND_COMPLETE)

    def _is_local(self, statement: Statement) -> bool:
        return local.is_local(self.session, statement) or local.is_set_in_unopened_block(
            self.session, statement
        )

    def _bind_away(self, name: bytes, portal: Portal, request: Request, body: bytes) -> Wait:
        """Bind what one shard answers, or several."""
        prepared, statement = portal.prepared, portal.prepared.statement
        portal.text, portal.rewritten = request.server_text((statement,))
        portal.name = prepared.name_of(portal.text) if portal.rewritten else prepared.name
        epoch = self.session.shared.shard_map.epoch
        route = request.route(statement)
        if isinstance(route, FanOut):
            self._bind_on_several(name, portal, route, body)
            return None
        connection = self.link.take_now(route)
        if connection is None or not (self._is_as_told(connection, portal) or self._may_guard(statement)):
            return self._take_and_bind(name, portal, request, route, epoch, body)
        self._bind_on(connection, name, portal, body)
        return None

    def _bind_on_several(self, name: bytes, portal: Portal, route: FanOut, body: bytes) -> None:
        portal.fan_out = route
        portal.bind = body[body.index(0) :]  # without a name, as the shards' own portals are
        if self.link.in_group:
            raise Refused("reading several shards inside a pipeline", hint="Send Sync before it.")
        self._bound(name, portal)

    async def _take_and_bind(
        self,
        name: bytes,
        portal: Portal,
        request: Request,
        route: OneShard | Anywhere,
        epoch: int,
        body: bytes,
    ) -> None:
        """Bind by ``route``, which was made by the map of ``epoch``, or by the route of a newer map."""
        prepared, statement = portal.prepared, portal.prepared.statement
        while True:
            try:
                connection = await self.link.take(route)
                break
            except RouteAgain as again:
                await self.session.simple.wait_to_route(again, epoch)
            epoch = self.session.shared.shard_map.epoch
            found = request.route(statement)
            if isinstance(found, FanOut):
                self._bind_on_several(name, portal, found, body)
                return
            route = found
        shape = prepared.told
        if shape is not None and statement.kind is Kind.QUERY and not self._may_guard(statement):
            await told.hold_to(shape, self, connection, prepared, portal.name, portal.text)
        await self.link.open_block()
        self._bind_on(connection, name, portal, body)

    def _is_as_told(self, connection: ServerConnection, portal: Portal) -> bool:
        """The statement is on the server what the client was told, if it was told anything."""
        shape = portal.prepared.told
        return shape is None or connection.prepared.get(portal.name) == shape

    def _may_guard(self, statement: Statement) -> bool:
        """Whether the request may go out at once though the statement may be another by now."""
        return statement.read_only and told.repeatable(self.group) is not None

    def _bind_on(self, connection: ServerConnection, name: bytes, portal: Portal, body: bytes) -> None:
        """Send Bind for ``portal`` to a server."""
        prepared, statement = portal.prepared, portal.prepared.statement
        guarded = not self._is_as_told(connection, portal) and self._may_guard(statement)
        if not statement.plain:
            effects.settings_of(statement, portal.values)
            self.session.pin(statement)
        self.enter_group(connection)
        if portal.rewritten:
            connection.stream.prefix = -1
        if self.session.transaction.opening:
            self._open_block(connection)
        if guarded:
            self._prepare_guarded(connection, portal)
        else:
            self.out.append(prepared.prepare(connection, portal.name, portal.text))
        connection.stream.promise(BIND)
        self.out.append(rename_statement(body, portal.name))
        self.portals[name] = portal

    def _prepare_guarded(self, connection: ServerConnection, portal: Portal) -> None:
        prepared = portal.prepared
        learned = Learn(portal.name, told=prepared.told)
        self.guard = told.Guard(prepared, portal.text, learned)
        prepared.renew(connection, portal.name)
        self.out.append(connection.describe(learned, portal.text, prepared.oids))

    def enter_group(self, connection: ServerConnection) -> None:
        """The next message for the server is one of a group, if not the first."""
        link = self.link
        if not link.in_group:
            link.in_group = True
            self._sync_sent = False
            link.begin_request(connection)
            link.started = self.session.loop.time()

    def _open_block(self, connection: ServerConnection) -> None:
        """The statements that open the block, ahead of the first one for a shard."""
        self._run_unseen(connection, self.session.transaction.take_opening())

    def _run_unseen(self, connection: ServerConnection, sqls: Sequence[str]) -> None:
        """Statements of ours among the client's."""
        for sql in sqls:
            for owed in (PARSE, BIND, EXECUTE):
                connection.stream.promise(owed | DROP)
            self.out.append(
                client_messages.parse(b"", sql.encode(), ())
                + client_messages.bind(b"", b"")
                + client_messages.execute(b"", 0)
            )

    def _statement(self, name: bytes) -> Prepared:
        prepared = self.statements.get(name)
        if prepared is None:
            shown = (
                f'prepared statement "{name.decode(errors="replace")}"'
                if name
                else "unnamed prepared statement"
            )
            raise ShardproxyError(f"{shown} does not exist", sqlstate="26000")
        return prepared

    # --- Describe -------------------------------------------------------------------------------------------

    def _describe(self, body: bytes) -> Wait:
        kind, name = parse_describe(body)
        if kind == b"S":
            prepared = self._statement(name)
            self._plan(prepared)
            known = self.describer.known(prepared)
            if known is None:
                return self._learn_and_describe(prepared)
            self._tell(prepared, known)
            return None
        portal = self._portal(name)
        if portal is not None and portal.local:
            self.emit(portal_here.description(self, portal))
        elif portal is not None and portal.fan_out is not None:
            return portal_on_shards.describe(self, portal)
        else:
            connection = self._held(name)
            self.enter_group(connection)
            connection.stream.promise(DESCRIBE)
            self.out.append(message(b"D", body) if name else DESCRIBE_UNNAMED)
        return None

    async def _learn_and_describe(self, prepared: Prepared) -> None:
        self._tell(prepared, await self.describer.learn(prepared))

    def _tell(self, prepared: Prepared, description: Description) -> None:
        """The client is told what a statement is, which must not change after that."""
        if prepared.told is None:
            prepared.told = description.shape
        elif prepared.told != description.shape:
            self.emit(description.parameters)  # PostgreSQL does not notice before it comes to the columns
            raise told.changed()
        self.emit(self.describer.answer(prepared, description))

    def _portal(self, name: bytes) -> Portal | None:
        """The client's portal, or None for one that only the server knows (a cursor of DECLARE)."""
        portal = self.portals.get(name)
        if portal is None and not self.session.on_server:
            raise _no_portal(name)
        return portal

    def _held(self, name: bytes) -> ServerConnection:
        connection = self.link.connection
        if connection is None:
            raise _no_portal(name)
        return connection

    # --- Execute --------------------------------------------------------------------------------------------

    def _execute(self, body: bytes) -> Wait:
        session = self.session
        name, limit = parse_execute(body)
        portal = self._portal(name)
        if portal is not None and portal.local:
            return portal_here.execute(self, portal)
        if portal is not None and portal.fan_out is not None:
            return portal_on_shards.execute(self, portal, limit)
        connection = self._held(name)
        self.enter_group(connection)
        connection.stream.promise(EXECUTE)
        self.out.append(message(b"E", body) if name or limit else EXECUTE_UNNAMED)
        if portal is None:
            session.effects.append(None)
            session.transaction.script = None
            return None
        prepared = portal.prepared
        statement = prepared.statement
        expect(session, statement, portal.values)
        closing = effects.restoring(session, statement)
        if session.transaction.script is not None:
            moving.follow(session, statement, portal.values, prepared.text, closing)
        if statement.plain:
            return None
        self._run_unseen(connection, closing)
        return self._copy_begins() if statement.kind is Kind.COPY_IN else None

    async def _copy_begins(self) -> None:
        """Wait until the server takes COPY data, or will not: what the client sends next depends on it."""
        link = self.link
        link.copy_begins = begins = self.session.loop.create_future()
        self.out.append(FLUSH)
        self.send()
        try:
            await begins
        finally:
            link.copy_begins = None

    # --- Close, Flush, Sync ---------------------------------------------------------------------------------

    def _close(self, body: bytes) -> Wait:
        kind, name = parse_close(body)
        if kind == b"S":
            self.statements.pop(name, None)
            self.emit(CLOSE_COMPLETE)
            return None
        portal = self.portals.pop(name, None)
        connection = self.link.connection
        if connection is None or (portal is not None and (portal.local or portal.fan_out is not None)):
            self.emit(CLOSE_COMPLETE)
            return None
        self.enter_group(connection)
        connection.stream.promise(CLOSE)
        self.out.append(message(b"C", body))
        return None

    def _flush(self, body: bytes) -> Wait:
        if self.link.in_group:
            self.out.append(FLUSH)
        return None

    def _sync(self) -> bool:
        """End of the group. True: it was answered here; False: the server's ReadyForQuery is on its way."""
        session = self.session
        link = self.link
        if link.copying:
            return True  # a server that waits for COPY data ignores it, and the client will send another
        self.skipping = False
        self._fresh = True
        if link.in_group and link.connection is not None:
            link.connection.stream.promise(SYNC)
            self._sync_sent = True
            link.relaying = True
            self.out.append(SYNC_MESSAGE)
            return False
        if session.status == READY_IDLE:
            self.portals.clear()
        session.client.write(ready_for_query(session.status))
        return True

    @property
    def has_server_portals(self) -> bool:
        """A portal that the client may still use is open on a server."""
        return any(not portal.local and portal.fan_out is None for portal in self.portals.values())

    # --- forgetting -----------------------------------------------------------------------------------------

    def knows(self, name: str | None) -> bool:
        """The client has prepared a statement of that name by the protocol."""
        return name is not None and name.encode() in self.statements

    def forget_unnamed(self) -> None:
        """A simple query destroys the unnamed statement and portal."""
        self.statements.pop(b"", None)
        self.portals.pop(b"", None)

    def forget(self) -> None:
        """DISCARD ALL."""
        self.deallocate(None)
        self.portals.clear()

    def deallocate(self, name: str | None) -> None:
        """DEALLOCATE ``name``, or all (None) but the unnamed one."""
        if name is None:
            self.statements = {name: kept for name, kept in self.statements.items() if not name}
        elif self.statements.pop(name.encode(), None) is None:
            raise ShardproxyError(f'prepared statement "{name}" does not exist', sqlstate="26000")


def _no_portal(name: bytes) -> ShardproxyError:
    return ShardproxyError(f'portal "{name.decode(errors="replace")}" does not exist', sqlstate="34000")


def _wrong_count(bind: Bind, prepared: Prepared) -> ShardproxyError:
    return ShardproxyError(
        f"bind message supplies {len(bind[3])} parameters, but prepared statement "
        f'"{bind[1].decode(errors="replace")}" requires {prepared.parameter_count()}',
        sqlstate="08P01",
    )

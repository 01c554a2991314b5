"""The extended query protocol: Parse, Bind, Describe, Execute, Close, Flush, Sync (manual, "Extended Query").

What the proxy knows it answers itself, at its place among the server's replies. Parse is answered from
what a server once said of the text; a statement is prepared on a server connection when it is first bound
there. All messages up to Sync are one transaction and go to one shard. After an error everything up to
Sync is skipped, here as on the server.
"""

from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING

from shardproxy.backend.connection import ServerConnection
from shardproxy.backend.request import learn
from shardproxy.errors import Refused, RouteAgain, ShardproxyError
from shardproxy.routing.parameters import BindValues
from shardproxy.routing.route import Anywhere, FanOut, Role
from shardproxy.session import effects, local, moving, names, portal_on_shards, told
from shardproxy.session.link import FAILING_MESSAGE
from shardproxy.session.prepared import Description, DescriptionKey, Portal, Prepared, described
from shardproxy.session.request import EXPLAIN_COLUMNS, Request
from shardproxy.session.transaction import Block
from shardproxy.sql.hints import leading_settings
from shardproxy.sql.schema import FIRST_USER_OID
from shardproxy.sql.statement import Kind, Statement
from shardproxy.wire import client_messages, server_messages
from shardproxy.wire.client_messages import SYNC as SYNC_MESSAGE
from shardproxy.wire.client_messages import Bind
from shardproxy.wire.replies import BIND, CLOSE, DESCRIBE, DROP, EXECUTE, PARSE, SYNC, FailWith, Learn
from shardproxy.wire.server_messages import READY_IDLE, TEXT_OID, ready_for_query

if TYPE_CHECKING:
    from shardproxy.session.session import Session

PARSE_MESSAGE = 0x50
BIND_MESSAGE = 0x42
SYNC_KIND = 0x53
_OWNERS = count()
EXPLAIN_ROW = local.Answer("EXPLAIN", EXPLAIN_COLUMNS).description()


class Extended:
    """Handles one session's extended-protocol messages.

    ``statements`` and ``portals`` are the client's, by its names. ``skipping``: an error was given, Sync
    has not come. ``out`` are the messages for the server that are not sent yet. ``_sync_sent``: no group
    is open on a server. ``_fresh``: the next message begins a group. ``group`` are the messages of the
    running one, if they came together; ``guard`` is what it depends on.
    """

    def __init__(self, session: "Session") -> None:
        self.session = session
        self.statements: dict[bytes, Prepared] = {}
        self.portals: dict[bytes, Portal] = {}
        self.skipping = False
        self.out: list[bytes] = []
        self._sync_sent = True
        self._fresh = True
        self._owner = b"%d/" % next(_OWNERS)
        self.guard: told.Guard | None = None
        self.group: Sequence[tuple[int, bytes]] = ()
        self._handlers: dict[int, Callable[[bytes], Awaitable[None]]] = {
            0x42: self._bind,
            0x44: self._describe,
            0x45: self._execute,
            0x43: self._close,
            0x48: self._flush,
        }

    async def run(self, messages: Sequence[tuple[int, bytes]], *, again: bool = False) -> bool:
        """A group of messages. True: answered; False: a ReadyForQuery is on its way. ``again``: it was sent
        before, and will not be a third time.
        """
        answered = True
        self.group = messages if self._fresh and not again else ()
        if self._fresh:
            self._fresh = False
            if self.session.transaction.block is Block.NONE:
                self.session.transaction.start(self.session.settings)
        for i, (kind, body) in enumerate(messages):
            if kind == SYNC_KIND:
                client_messages.parse_empty(body)
                answered = self._sync()
            elif not self.skipping:
                try:
                    if kind == PARSE_MESSAGE:
                        bound_next = i + 1 < len(messages) and messages[i + 1][0] == BIND_MESSAGE
                        await self._parse(body, bound_next=bound_next)
                    else:
                        await self._handlers[kind](body)
                except SkippedError:
                    self.skipping = True
                except ShardproxyError as error:
                    if error.severity == "FATAL":
                        raise
                    self._fail(error)
        self._send()
        if answered:
            self.group = ()
        return answered

    # --- replies and messages, in order ---------------------------------------------------------------------

    def _emit(self, reply: bytes) -> None:
        """An answer of our own: now, or behind what a server owes first."""
        link = self.session.link
        if link.in_group and link.connection is not None:
            link.connection.stream.promise(reply)
        else:
            self.session.client.write(reply)

    def _send(self) -> None:
        connection = self.session.link.connection
        if connection is not None:
            if self.out:
                connection.send(b"".join(self.out))
            if connection.stream.out:
                connection.flush()
        self.out.clear()

    def _fail(self, error: ShardproxyError) -> None:
        """An error of ours in the middle of a group; a server that is part of it has to fail too."""
        session = self.session
        session.count_refusal(error)
        reply = session.error_reply(error)
        link = session.link
        link.forget_closed()
        self.skipping = True
        if link.connection is not None and session.on_server and session.transaction.block is Block.OPEN:
            self._enter_group(link.connection)
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

    async def _parse(self, body: bytes, *, bound_next: bool = False) -> None:
        """``bound_next``: Bind follows, so a server will say what is wrong with the statement soon enough."""
        session = self.session
        name, text, oids = client_messages.parse_parse(body)
        if not name:
            self.statements.pop(name, None)
        prepared = Prepared(text, oids, self._owner + name)
        statement = self._plan(prepared)
        session.check_allowed(statement)
        self._check_names(statement)
        if name or not bound_next or prepared.needs_types:
            await self._learn(prepared)
        if name in self.statements:
            raise ShardproxyError(
                f'prepared statement "{name.decode(errors="replace")}" already exists', sqlstate="42P05"
            )
        self.statements[name] = prepared
        self._emit(server_messages.PARSE_COMPLETE)

    def _plan(self, prepared: Prepared) -> Statement:
        """The plan under the schema and the search_path that hold now."""
        session = self.session
        planner, search_path = session.shared.planner, session.search_path
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

    async def _learn(self, prepared: Prepared) -> Description:
        """What a server says of the statement; asked once for all sessions."""
        if prepared.description is None:
            session = self.session
            if local.is_local(session, prepared.statement) or prepared.statement.kind is Kind.EMPTY:
                prepared.description = self._own_description(prepared)
            else:
                key = self.description_key(prepared, prepared.text)
                private = prepared.statement.private
                found = None if private else session.shared.descriptions.get(key)
                if found is None:
                    found = described(await self._ask(prepared))
                    if not private:
                        session.shared.descriptions.put(key, found)
                prepared.description = found
        return prepared.description

    def description_key(self, prepared: Prepared, text: bytes) -> DescriptionKey:
        """Under what the description of ``text``, of which ``prepared`` is made, is kept."""
        session = self.session
        return text, prepared.oids, session.search_path, session.settings.server.value("role")

    def _own_description(self, prepared: Prepared) -> Description:
        statement = prepared.statement
        row = server_messages.NO_DATA
        if statement.kind is Kind.SHOW and statement.name is not None:
            row = local.Answer("SHOW", (statement.name,)).description()
        if statement.set_config:
            row = local.Answer("SELECT 1", ("set_config",) * len(statement.set_config)).description()
        oids = (TEXT_OID,) * max([change.parameter for change in statement.set_config], default=0)
        parameters = server_messages.parameter_description(oids)
        return Description(oids, parameters, row, server_messages.shape_of(parameters[5:], row))

    async def _ask(self, prepared: Prepared) -> Learn:
        """Ask the held connection, if there is one, else any of the designated shard."""
        session = self.session
        connection = await session.link.take(Anywhere(Role.PRIMARY, "to describe a statement"))
        try:
            name = prepared.name
            if (
                not session.on_server and not session.link.in_group
            ):  # where SET of the block has not been seen
                name = prepared.name_of(prepared.text, session.settings_at_rest.folded)
            return await self.ask_on(connection, prepared, name, prepared.text)
        finally:
            if not session.on_server:
                session.link.give_back()

    async def ask_on(
        self, connection: ServerConnection, prepared: Prepared, name: bytes, text: bytes
    ) -> Learn:
        """Ask the connection on the link about ``text``, made of ``prepared`` and known there as ``name``; in
        the middle of a group by Parse, Describe and Flush among its messages.
        """
        session, oids = self.session, prepared.oids
        prepared.renew(connection, name)
        if not session.link.in_group:
            return await learn(connection, name, text, oids)
        done = session.loop.create_future()
        learned = Learn(name, lambda: None if done.done() else done.set_result(None))
        self.out.append(connection.describe(learned, text, oids) + client_messages.FLUSH)
        self._send()
        session.learning = done
        try:
            await done
        finally:
            session.learning = None
        if learned.row is None:  # the error has gone by, to the client
            raise SkippedError("skipped")
        return learned

    # --- Bind -----------------------------------------------------------------------------------------------

    async def _bind(self, body: bytes) -> None:
        session = self.session
        bind = client_messages.parse_bind(body)
        prepared = self._statement(bind.statement)
        learned = prepared.description is not None
        statement = self._plan(prepared)
        self._check_names(statement)
        if prepared.description is None and (learned or prepared.needs_types):
            await self._learn(prepared)
        count = prepared.parameter_count
        if count is not None and count != len(bind.values):
            raise _wrong_count(bind, count)
        session.check_allowed(statement)
        if not bind.portal:
            self.portals.pop(b"", None)
        elif bind.portal in self.portals:
            raise ShardproxyError(f'cursor "{bind.portal.decode()}" already exists', sqlstate="42P03")
        portal = Portal(prepared)
        portal.values = values = BindValues(bind.formats, bind.values, prepared.value_oids)
        request = Request(session, prepared.text, values)
        if request.explains:
            portal.local = True
            portal.request = request
        elif self._is_local(statement):
            portal.local = True
        else:
            await self._bind_on_server(portal, request, body, bind.result_formats)
        self.portals[bind.portal] = portal
        if portal.local or portal.fan_out is not None:
            self._emit(server_messages.BIND_COMPLETE)

    def _is_local(self, statement: Statement) -> bool:
        return local.is_local(self.session, statement) or local.is_set_in_unopened_block(
            self.session, statement
        )

    async def _bind_on_server(
        self, portal: Portal, request: Request, body: bytes, result_formats: tuple[int, ...]
    ) -> None:
        session = self.session
        prepared, statement = portal.prepared, portal.prepared.statement
        text, rewritten = request.server_text([statement])
        name = prepared.name_of(text) if rewritten else prepared.name
        while True:
            epoch = session.shared.shard_map.epoch
            found = request.route(statement)
            if isinstance(found, FanOut):
                portal.fan_out = found
                portal.bind = body[body.index(0) :]  # without a name, as the shards' own portals are
                portal.name, portal.text, portal.result_formats = name, text, result_formats
                if session.link.in_group:
                    raise Refused("reading several shards inside a pipeline", hint="Send Sync before it.")
                return
            try:
                connection = await session.link.take(found)
                break
            except RouteAgain as again:
                await session.simple.wait_to_route(again, epoch)
        guarded = False
        if prepared.told is not None and connection.prepared.get(name) != prepared.told:
            guarded = statement.read_only and told.repeatable(self.group) is not None
            if not guarded and statement.kind is Kind.QUERY:
                await told.hold_to(prepared.told, self, connection, prepared, name, text)
        await session.link.open_block()
        effects.settings_of(statement, request.values)
        session.pin(statement)
        self._enter_group(connection)
        if rewritten:
            connection.stream.prefix = -1
        self._open_block(connection)
        if guarded:
            learned = Learn(name, told=prepared.told)
            self.guard = told.Guard(prepared, text, learned)
            prepared.renew(connection, name)
            self.out.append(connection.describe(learned, text, prepared.oids))
        else:
            self.out.append(prepared.prepare(connection, name, text))
        connection.stream.promise(BIND)
        self.out.append(client_messages.rename_statement(body, name))

    def _enter_group(self, connection: ServerConnection) -> None:
        link = self.session.link
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

    async def _describe(self, body: bytes) -> None:
        kind, name = client_messages.parse_describe(body)
        if kind == b"S":
            prepared = self._statement(name)
            self._plan(prepared)
            description = await self._learn(prepared)
            self._tell(prepared, description)
            row = EXPLAIN_ROW if "shardproxy.explain" in leading_settings(prepared.text) else description.row
            self._emit(description.parameters + row)
            return
        portal = self._portal(name)
        if portal is not None and portal.local:
            self._emit(self._local_description(portal))
        elif portal is not None and portal.fan_out is not None:
            description = await self._learn(portal.prepared)
            if portal.prepared.told not in (None, description.shape):
                raise told.changed()
            portal.told = description.shape
            self._emit(server_messages.with_formats(description.row, portal.result_formats))
        else:
            connection = self._held(name)
            self._enter_group(connection)
            connection.stream.promise(DESCRIBE)
            self.out.append(client_messages.message(b"D", body))

    def _tell(self, prepared: Prepared, description: Description) -> None:
        """The client is told what a statement is, which must not change after that."""
        if prepared.told is None:
            prepared.told = description.shape
        elif prepared.told != description.shape:
            self._emit(description.parameters)  # PostgreSQL does not notice before it comes to the columns
            raise told.changed()

    def _local_description(self, portal: Portal) -> bytes:
        if portal.request is not None:
            return portal.request.explanation(portal.prepared.statement).description()
        return self._own_description(portal.prepared).row

    def _portal(self, name: bytes) -> Portal | None:
        """The client's portal, or None for one that only the server knows (a cursor of DECLARE)."""
        portal = self.portals.get(name)
        if portal is None and not self.session.on_server:
            raise _no_portal(name)
        return portal

    def _held(self, name: bytes) -> ServerConnection:
        connection = self.session.link.connection
        if connection is None:
            raise _no_portal(name)
        return connection

    # --- Execute --------------------------------------------------------------------------------------------

    async def _execute(self, body: bytes) -> None:
        session = self.session
        name, limit = client_messages.parse_execute(body)
        portal = self._portal(name)
        if portal is not None and portal.local:
            session.shared.counters.proxy.local_answers += 1
            self._emit((await self._answer(portal)).result())
        elif portal is not None and portal.fan_out is not None:
            await portal_on_shards.execute(self, portal, limit)
        else:
            connection = self._held(name)
            self._enter_group(connection)
            connection.stream.promise(EXECUTE)
            self.out.append(client_messages.message(b"E", body))
            if portal is None:
                session.effects.append(None)
                session.transaction.script = None
                return
            prepared = portal.prepared
            statement = prepared.statement
            effects.expect(session, statement, portal.values)
            closing = effects.restoring(session, statement)
            if session.transaction.script is not None:
                moving.follow(session, statement, portal.values, prepared.text, closing)
            self._run_unseen(connection, closing)
            if statement.kind is Kind.COPY_IN:
                await self._copy_begins()

    async def _copy_begins(self) -> None:
        """Wait until the server takes COPY data, or will not: what the client sends next depends on it."""
        link = self.session.link
        link.copy_begins = begins = self.session.loop.create_future()
        self.out.append(client_messages.FLUSH)
        self._send()
        try:
            await begins
        finally:
            link.copy_begins = None

    async def _answer(self, portal: Portal) -> local.Answer:
        session = self.session
        statement = portal.prepared.statement
        if portal.request is not None:
            return portal.request.explanation(statement)
        sql = portal.prepared.text.decode()
        if not self._is_local(statement):
            raise Refused(
                f"{statement.tag} that was bound before the transaction reached a shard",
                hint="Bind it again.",
            )
        if not local.is_local(session, statement):
            return await local.set_in_unopened_block(session, statement, sql)
        return local.answer(session, statement, sql, portal.values)

    # --- Close, Flush, Sync ---------------------------------------------------------------------------------

    async def _close(self, body: bytes) -> None:
        kind, name = client_messages.parse_close(body)
        if kind == b"S":
            self.statements.pop(name, None)
            self._emit(server_messages.CLOSE_COMPLETE)
            return
        portal = self.portals.pop(name, None)
        connection = self.session.link.connection
        if connection is None or (portal is not None and (portal.local or portal.fan_out is not None)):
            self._emit(server_messages.CLOSE_COMPLETE)
            return
        self._enter_group(connection)
        connection.stream.promise(CLOSE)
        self.out.append(client_messages.message(b"C", body))

    async def _flush(self, body: bytes) -> None:
        if self.session.link.in_group:
            self.out.append(client_messages.FLUSH)

    def _sync(self) -> bool:
        """End of the group. True: it was answered here; False: the server's ReadyForQuery is on its way."""
        session = self.session
        link = session.link
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


class SkippedError(ShardproxyError):
    """The client has been told of an error already; the rest of its group is skipped."""


def _no_portal(name: bytes) -> ShardproxyError:
    return ShardproxyError(f'portal "{name.decode(errors="replace")}" does not exist', sqlstate="34000")


def _wrong_count(bind: Bind, count: int) -> ShardproxyError:
    return ShardproxyError(
        f"bind message supplies {len(bind.values)} parameters, but prepared statement "
        f'"{bind.statement.decode(errors="replace")}" requires {count}',
        sqlstate="08P01",
    )

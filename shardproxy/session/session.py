"""The spine: one client's session. A request comes in, is understood, routed, run, and answered, in that
order.

    receive ─► pump ─► simple / extended ─► sql (what is it?) ─► local (do we answer it ourselves?) ▲
    └─► routing (where?) ─► link (a connection) ─► relay of the replies └──────────────────────────────
    relayed ◄─────────────────────┘

One request is worked on at a time; ``busy`` says so. A request that one shard answers leaves no task
behind: its replies flow from the server connection to the client, and :meth:`Session.relayed` is called at
its end.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from shardproxy.backend.request import command
from shardproxy.errors import ProtocolViolation, Refused, ShardproxyError, StatementError
from shardproxy.routing.route import Anywhere, Role
from shardproxy.session import effects, renewal
from shardproxy.session.eager import start
from shardproxy.session.extended import Extended
from shardproxy.session.link import Link
from shardproxy.session.names import expanded
from shardproxy.session.script import script
from shardproxy.session.settings import ServerSettings, Settings
from shardproxy.session.shared import Client, Shared
from shardproxy.session.simple import Simple
from shardproxy.session.told import broken, repeatable
from shardproxy.session.transaction import Block, Transaction, aborted
from shardproxy.sql.statement import Kind, Statement
from shardproxy.wire import client_messages
from shardproxy.wire.server_messages import (
    READY_FAILED,
    READY_IDLE,
    READY_TRANSACTION,
    error_response,
    is_stale,
    parse_error,
    ready_for_query,
)

QUERY = 0x51
SYNC = 0x53
FLUSH = 0x48
TERMINATE = 0x58
EXTENDED = frozenset(b"PBDECSH")
COPY_DATA = 0x64
log = logging.getLogger(__name__)
COPY_MESSAGES = frozenset(b"dcf")
INBOX_LIMIT = 1 << 20
ALLOWED_IN_FAILED_BLOCK = frozenset({Kind.ROLLBACK, Kind.COMMIT, Kind.ROLLBACK_TO, Kind.EMPTY})


class Session:
    """One client's session, from its login to its end. Used from one event loop.

    ``initial`` are the settings of the start-up packet, under which servers report ``reported``;
    ``settings`` those in force. ``effects`` are what to do when the statements of the running request
    succeed, one for each. ``names_move`` and ``constants_move``: one of them changes what names mean, or how
    literals are read (see ``names``). ``ending``: the request holds a COMMIT, so after a loss it is not known
    whether the block was committed. ``inbox`` holds requests that wait, ``busy`` is True while one is
    worked on.
    """

    def __init__(self, shared: Shared, client: Client, user: str, initial: Settings) -> None:
        self.shared = shared
        self.client = client
        self.user = user
        self.loop = asyncio.get_running_loop()
        self.initial = initial
        self.reported: Mapping[str, str] = {}
        self.settings = initial
        self.transaction = Transaction()
        self.link = Link(self)
        self.simple = Simple(self)
        self.extended = Extended(self)
        self.effects: list[effects.Effect | None] = []
        self.names_move = False
        self.constants_move = False
        self.ending = False
        self.inbox: deque[tuple[int, bytes]] = deque()
        self.inbox_bytes = 0
        self.busy = False
        self.slow = False
        self.closed = False
        self.on_closed: Callable[[], None] = lambda: None
        self.on_idle: Callable[[], None] = lambda: None
        self._task: asyncio.Task[None] | None = None
        self._relay_end: asyncio.Future[bool] | None = None
        self._lost: ShardproxyError | None = None
        self._cancelled = False
        self.learning: asyncio.Future[None] | None = None

    # --- requests come in -----------------------------------------------------------------------------------

    def receive(self, messages: list[tuple[int, bytes]]) -> None:
        """Messages from the client, in order."""
        for message in messages:
            self.inbox.append(message)
            self.inbox_bytes += len(message[1])
        if self.link.copying:
            self.pump_copy()
        if self.inbox_bytes > INBOX_LIMIT and self.busy:
            self.client.pause_reading()
        if not self.busy:
            self.pump()

    def pump(self) -> None:
        """Work on what waits, until one request has to wait for a server."""
        link = self.link
        if link.pinned is not None:
            self.renew()  # before the next request: what it holds up, it has held up long enough
        while self.inbox and not (self.busy or self.closed or self.slow or link.copying):
            kind = self.inbox[0][0]
            if kind in EXTENDED:
                group = self._take_group()
                if group is None:
                    break
                self._work(self.extended.run(group))
                continue
            body = self._pop()[1]
            if kind == TERMINATE:
                self.close()
            elif self.extended.skipping or (link.connection is not None and link.connection.stream.skipping):
                continue  # as PostgreSQL does, up to Sync
            elif self.transaction.block is Block.NONE and not link.in_group:
                self.transaction.start(self.settings)
            if kind == QUERY:
                if link.connection is not None and link.in_group and link.connection.stream.owed:
                    self.fatal(ProtocolViolation("simple query inside a pipeline; Sync has to come first"))
                else:  # drivers flush, read, and go on with a query in place of Sync; it ends the pipeline
                    self._work(self.simple.run(body))
            elif kind == TERMINATE:
                pass
            elif kind == 0x46:  # FunctionCall
                self._work(self._refuse_function_call())
            elif kind not in COPY_MESSAGES:  # those come late after a COPY that failed, and mean nothing
                self.fatal(ProtocolViolation(f"invalid frontend message type {kind}"))
        if self.inbox_bytes <= INBOX_LIMIT and not self.closed:
            self.client.resume_reading()
        if not self.busy and not self.inbox:
            self.on_idle()

    def _pop(self) -> tuple[int, bytes]:
        message = self.inbox.popleft()
        self.inbox_bytes -= len(message[1])
        return message

    def _take_group(self) -> list[tuple[int, bytes]] | None:
        """Extended-protocol messages up to Sync or Flush; what a long pipeline has so far; None: wait for
        more.
        """
        size = count = 0
        for kind, body in self.inbox:
            if kind not in EXTENDED:
                break
            count += 1
            size += len(body)
            if kind in (SYNC, FLUSH) or size > self.shared.options.group_bytes:
                return [self._pop() for _ in range(count)]
        else:
            return None
        return [self._pop() for _ in range(count)]

    def _work(self, request: "Coroutine[Any, Any, bool]") -> None:
        self.busy = True
        self._cancelled = False
        self._task = task = start(self._run(request))
        if task is not None:
            task.add_done_callback(self._worked)

    def renew(self) -> None:
        """Take a connection that is kept along into a new epoch; called now and then while one is stale."""
        if renewal.is_due(self):
            self._work(renewal.renew(self))

    async def _run(self, request: "Coroutine[Any, Any, bool]") -> None:
        try:
            answered = await request
        except ProtocolViolation as error:
            self.fatal(error)
            return
        except ShardproxyError as error:
            answered = self.fail(error)
        except Exception:
            log.exception("internal error in a session")
            self.fatal(ShardproxyError("internal error in shardproxy; its log says more"))
            return
        if answered:
            self.busy = False

    def _worked(self, task: "asyncio.Task[None]") -> None:
        """A request that had to wait has been handled, or handed to the link."""
        if self._task is task:
            self._task = None
            if not self.busy:
                self.pump()

    async def _refuse_function_call(self) -> bool:
        raise Refused("the function call message of the protocol", hint="Call the function in a SELECT.")

    # --- what a request needs to know -----------------------------------------------------------------------

    @property
    def on_server(self) -> bool:
        """A server knows of this session's transaction or state: transaction statements go there."""
        link = self.link
        return link.connection is not None and (
            self.transaction.block is Block.OPEN or link.in_group or link.pinned is not None
        )

    @property
    def status(self) -> int:
        """The ReadyForQuery byte when the proxy answers by itself."""
        connection = self.link.connection
        if connection is not None and self.transaction.block is Block.OPEN:
            return connection.status
        return self.transaction.status

    @property
    def settings_at_rest(self) -> ServerSettings:
        """What a server connection must have before the block's own statements are sent to it."""
        if self.transaction.block is Block.BEGUN:
            return self.transaction.before.server
        return self.settings.server

    @property
    def search_path(self) -> tuple[str, ...]:
        """The schemas in which names are looked up."""
        server, shared = self.settings.server, self.shared
        value, role = server.value("search_path"), server.value("role")
        path: str | tuple[str, ...] = shared.search_path if value is None else value
        held = self.link.connection
        if value is None and held is not None:  # it may have begun before the defaults changed
            path = held.defaults.get("search_path", path)
        if role in (None, "none"):
            return expanded(path, shared.server_user, shared.planner.schema.hidden)
        return expanded(path, role or "")

    @property
    def in_block(self) -> bool:
        """A transaction block is open, here or on a server, or the session is bound to a connection."""
        return self.transaction.block is not Block.NONE or self.link.held

    def pin(self, statement: Statement) -> None:
        """From now on the session keeps its server connection, if ``statement`` leaves state there."""
        reason = statement.pins
        if reason is not None and self.link.pinned is None:
            self.link.pinned = reason
            self.shared.counters.proxy.pins.add(reason)
        if statement.creates is not None:
            self.link.temporary.add(statement.creates)

    async def try_out(self, sqls: Sequence[str]) -> Mapping[str, str]:
        """Let a server check statements in the block that is not open yet, and roll it back.

        Returns what the server reported of its settings in it; raises its error.
        """
        connection = await self.link.take(Anywhere(Role.PRIMARY, "to check a setting"))
        try:
            await command(connection, script([*self.transaction.opening, *sqls]).encode())
            return dict(connection.parameters)
        finally:
            if not connection.closed:
                await command(connection, b"ROLLBACK")
            self.link.give_back()

    def check_allowed(self, statement: Statement) -> None:
        """Raise what PostgreSQL says to ``statement`` in a failed block, and to an unknown table."""
        transaction = self.transaction
        failed = transaction.block is Block.BROKEN or (transaction.failed and not self.link.in_group)
        if failed and statement.kind not in ALLOWED_IN_FAILED_BLOCK:
            self.raise_loss()
            raise aborted()
        self.check_known(statement)

    def check_known(self, statement: Statement) -> None:
        """Raise what PostgreSQL says to a table that does not exist."""
        if statement.unless_temporary is not None and not statement.temporary <= self.link.temporary:
            self.shared.schema_changed()  # it may have come into being since the schema was read
            raise statement.unless_temporary.with_traceback(None)

    # --- a request ends -------------------------------------------------------------------------------------

    async def relay_end(self) -> bool:
        """Wait until the replies of the request on the link have passed; True if there was no error among
        them.
        """
        if not self.link.relaying:
            return self._lost is None
        self._relay_end = self.loop.create_future()
        return await self._relay_end

    def relayed(self, status: int) -> None:
        """The link's request is answered; ``status`` is the server's ReadyForQuery byte."""
        connection = self.link.connection
        assert connection is not None
        stream = connection.stream
        error = stream.error
        if stream.stale is not None:
            stale, stream.stale = stream.stale, None
            if self._begin_again(stale, status) if stale else self._fail_guarded(status):
                return
        for effect in self.effects[: stream.completed] if error is not None else self.effects:
            if effect is not None:
                effect()
        if error is not None:
            self._note_error(error)
        self._settle(status, failed=error is not None)
        if self._relay_end is not None:
            end, self._relay_end = self._relay_end, None
            if not end.done():
                end.set_result(error is None)
        else:
            self.busy = False
            self.pump()

    def _begin_again(self, stale: bytes, status: int) -> bool:
        """A statement of ours on the server was ``stale``: prepare it anew and repeat the request, once; or
        tell the client, as PostgreSQL would, and return False.
        """
        alone = self.transaction.block is Block.NONE and self.link.pinned is None
        messages = repeatable(self.extended.group) if alone else None
        if messages is None:
            self.client.write(stale + ready_for_query(status))
            return False
        self.forget_stale()
        self._settle(status, failed=True)
        self.transaction.start(self.settings)
        self._work(self.extended.run(messages, again=True))
        if not self.busy:
            self.pump()
        return True

    def _fail_guarded(self, status: int) -> bool:
        """The statement is not what the client was told, and nothing of its answer was handed on: it fails.
        False: that is all; True: the server's block has to fail too.
        """
        guard = self.extended.guard
        assert guard is not None
        self.effects.clear()
        reply = self.error_reply(broken(self.extended, guard))
        if status == READY_TRANSACTION:
            self.link.fail_transaction(reply)
            return True
        self.client.write(reply + ready_for_query(status))
        return False

    def _settle(self, status: int, *, failed: bool) -> None:
        """After a ReadyForQuery of a server: where the block is, which settings hold, and the connection's
        return.
        """
        connection = self.link.connection
        assert connection is not None
        self.effects.clear()
        self.extended.group = ()
        self.names_move = False
        self.constants_move = False
        self.ending = False
        if status == READY_IDLE:
            self.settings = self.transaction.end(committed=not failed)
            self.extended.portals.clear()
            if connection.settings is not None:
                connection.settings = self.settings.server
            connection.counters.transactions += 1
            self.link.give_back()
        else:
            self.transaction.opened(failed=status == READY_FAILED)
            if failed:
                self.transaction.script = None

    def _note_error(self, body: bytes) -> None:
        connection = self.link.connection
        assert connection is not None
        connection.counters.error(parse_error(body).get("C", ""))
        if is_stale(body):
            self.forget_stale()

    def forget_stale(self) -> None:
        """What we know of statements is no longer so: ask again."""
        self.shared.descriptions.clear()
        self.shared.schema_changed()

    def fail(self, error: ShardproxyError) -> bool:
        """Answer a simple query with an error of ours; False while a server still has to be told of it."""
        self.count_refusal(error)
        reply = self.error_reply(error)
        self.link.forget_closed()
        if self.link.in_group or (self.on_server and self.transaction.block is Block.OPEN):
            self.link.fail_transaction(reply)
            return False
        if not self.link.relaying:
            self.link.give_back()
        self.client.write(reply + self.break_off() + ready_for_query(self.status))
        return True

    def break_off(self) -> bytes:
        """The transaction, which no server has, has failed; returns what the client has to be told of its
        settings.
        """
        before = self.settings.server
        self.settings = self.transaction.broken()
        return effects.told(self, before)

    def count_refusal(self, error: ShardproxyError) -> None:
        """Count what the client is told."""
        if isinstance(error, Refused):
            self.shared.counters.proxy.refused.add(error.construct)

    @staticmethod
    def error_reply(error: ShardproxyError) -> bytes:
        """The ErrorResponse for ``error``; a server's own goes out as the server wrote it."""
        body = getattr(error, "body", None)
        if isinstance(body, bytes):
            return client_messages.message(b"E", body)
        return error_response(error)

    def lost(self, error: ShardproxyError, *, mid_message: bool, idle: bool) -> None:
        """The server connection is gone, and with it what was open on it."""
        in_block = self.transaction.block is not Block.NONE
        was_ending, self.ending = self.ending, False
        self.effects.clear()
        self.names_move = False
        self.constants_move = False
        self.extended.portals.clear()
        if mid_message:
            self.close()
            return
        if was_ending and in_block:
            error = StatementError(
                f"{error.message}; whether the transaction was committed is not known", sqlstate="08007"
            )
        if in_block or self.busy or not idle:
            before = self.settings.server
            self.settings = self.transaction.end(committed=False)
            self.client.write(effects.told(self, before))
            if in_block and not was_ending:
                self.transaction.block = Block.BROKEN
        if not idle or self.busy:
            self._answer_loss(error)
        elif in_block:
            self._lost = error  # the next statement is told
        else:
            self.fatal(
                ShardproxyError(
                    f"the session's own server connection is gone: {error.message}", sqlstate="57P01"
                )
            )

    def raise_loss(self) -> None:
        """Raise what happened while the request waited for something else: its connection was lost, or it
        was cancelled.
        """
        lost, self._lost = self._lost, None
        if lost is not None:
            raise lost
        if self._cancelled:
            raise canceled()

    def _answer_loss(self, error: ShardproxyError) -> None:
        reply = error_response(error)
        if self._relay_end is not None:
            end, self._relay_end = self._relay_end, None
            self.client.write(reply)
            if not end.done():
                end.set_result(False)
        elif self._task is not None and not self._task.done():
            if self.learning is not None and not self.learning.done():
                self.learning.set_exception(error)
                return
            self._lost = error  # the request is between two waits: it finds out when it uses the link
        else:
            self.client.write(reply)
            if self.extended.answer_loss():
                self.client.write(ready_for_query(self.status))
            self.busy = False
            self.pump()

    def fatal(self, error: ShardproxyError) -> None:
        """End the session with a FATAL error."""
        error.severity = "FATAL"
        self.client.write(error_response(error))
        self.close()

    # --- COPY FROM STDIN ------------------------------------------------------------------------------------

    def pump_copy(self) -> None:
        """The server waits for COPY data: hand on what has come."""
        link = self.link
        while self.inbox and link.copying and not self.closed:
            if self.inbox[0][0] == SYNC and link.in_group and len(self.inbox) == 1:
                return  # without data behind it, it may be the one after an error that has not come yet
            self._copy_message(*self._pop())

    def _copy_message(self, kind: int, body: bytes) -> None:
        link = self.link
        if kind in COPY_MESSAGES:
            assert link.connection is not None
            link.connection.send(client_messages.message(bytes((kind,)), body))
            if kind != COPY_DATA:
                link.copying = False
        elif kind == TERMINATE:
            self.close()
        elif kind not in (SYNC, FLUSH):  # these a server ignores here
            self.fatal(ProtocolViolation(f"unexpected message type 0x{kind:02X} during COPY from stdin"))

    # --- cancel and close -----------------------------------------------------------------------------------

    async def cancel(self) -> bool:
        """Cancel what the session runs or waits for; False when it does neither (then nothing happens).

        Returns once the cancel can hit nothing that the session runs later.
        """
        link = self.link
        if self.simple.fan_out is not None:
            await self.simple.fan_out.cancel()
            return True
        if not (self.busy or link.in_group):
            return False
        if not link.relaying and not link.in_group:  # it is being understood: see raise_loss
            self._cancelled = True
        if link.waiting is not None and not link.waiting.done():
            link.waiting.set_exception(canceled())
        elif link.connection is not None and link.pool is not None:
            return await link.pool.cancel(link.connection)
        return True

    def client_is_slow(self) -> None:
        """The client does not take bytes as fast as they come: hold the servers back, begin nothing new."""
        self.slow = True
        if self.simple.fan_out is not None:
            self.simple.fan_out.pause()
        elif self.link.connection is not None:
            self.link.connection.pause_reading()

    def client_keeps_up(self) -> None:
        """The client takes bytes again."""
        self.slow = False
        if self.simple.fan_out is not None:
            self.simple.fan_out.resume()
        elif self.link.connection is not None:
            self.link.connection.resume_reading()
        if not self.busy:
            self.pump()

    def _spawn(self, work: "Coroutine[Any, Any, object]") -> None:
        task = self.loop.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    _background: "set[asyncio.Task[object]]" = set()  # noqa: RUF012 - cancel requests outlive their session

    def close(self) -> None:
        """End the session: its connection is given back if nothing is open on it. Idempotent."""
        if self.closed:
            return
        self.closed = True
        self.inbox.clear()
        link = self.link
        connection, pool = link.connection, link.pool
        if connection is not None and pool is not None:
            if link.pinned is not None or link.relaying or link.in_group or connection.stream.owed:
                if link.relaying:
                    self._spawn(pool.cancel(connection))
                link.drop("its client went away")
            else:
                self._spawn(effects.roll_back(link))
        if self._task is not None:
            self._task.cancel()
        self.client.close()
        self.on_closed()


def canceled() -> ShardproxyError:
    """What PostgreSQL says to a statement that was cancelled."""
    return ShardproxyError("canceling statement due to user request", sqlstate="57014")

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
from shardproxy.session.eager import Outcome, Work
from shardproxy.session.extended import Extended
from shardproxy.session.link import Link
from shardproxy.session.script import script
from shardproxy.session.settings import Settings
from shardproxy.session.shared import Client, Shared
from shardproxy.session.simple import Simple
from shardproxy.session.state import State, canceled
from shardproxy.session.told import broken, repeatable
from shardproxy.session.transaction import BROKEN, NO_BLOCK, OPEN
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
FUNCTION_CALL = 0x46
AGAIN, RENEWAL = -1, -2  # no messages: a group once more, and a request of our own
TERMINATE = 0x58
COPY_DATA = 0x64
log = logging.getLogger(__name__)
COPY_MESSAGES = frozenset(b"dcf")
INBOX_LIMIT = 1 << 20


_background: set[asyncio.Task[object]] = set()
"""Cancel requests, which outlive their session."""


class Session(State):
    """One client's session, from its login to its end. Used from one event loop.

    ``inbox`` holds requests that wait, ``busy`` is True while one is worked on, ``_underway`` is one that has
    to wait. ``learning`` ends when a server has said what a statement of the running request is.
    """

    def __init__(self, shared: Shared, client: Client, user: str, initial: Settings) -> None:
        super().__init__(shared, client, initial, asyncio.get_running_loop())
        self.user = user
        self.link = Link(self)
        self.simple = Simple(self)
        self.extended = Extended(self)
        self.inbox: deque[tuple[int, bytes]] = deque()
        self.inbox_bytes = 0
        self.busy = False
        self.closed = False
        self.on_closed: Callable[[], None] = lambda: None
        self.on_idle: Callable[[], None] = lambda: None
        self._underway: Work | None = None
        self._relay_end: asyncio.Future[bool] | None = None
        self.learning: asyncio.Future[None] | None = None

    # --- requests come in -----------------------------------------------------------------------------------

    def receive(self, messages: list[tuple[int, bytes]]) -> None:
        """Messages from the client, in order."""
        link = self.link
        waits = self.busy or self.inbox or self.slow or self.closed
        if waits or link.copying or link.pinned is not None or not is_one_request(messages):
            self._enqueue(messages)
        else:  # as most often
            self._begin(messages)
            self._told_idle()

    def _enqueue(self, messages: list[tuple[int, bytes]]) -> None:
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
        if self.link.pinned is not None:
            self.renew()  # before the next request: what it holds up, it has held up long enough
        while self.inbox and not (self.busy or self.closed or self.slow or self.link.copying):
            request = self._take_request()
            if request is None:
                break
            self._begin(request)
        if self.inbox_bytes <= INBOX_LIMIT and not self.closed:
            self.client.resume_reading()
        self._told_idle()

    def _told_idle(self) -> None:
        if self.shared.draining and not self.busy and not self.inbox:
            self.on_idle()

    def _begin(self, request: list[tuple[int, bytes]]) -> None:
        """Begin to work on a message, or on a group of the extended protocol."""
        kind, body = request[0]
        if is_extended(kind):
            self._work(kind, request)
        elif kind == TERMINATE:
            self.close()
        elif not self._skips():  # as PostgreSQL does, up to Sync
            link = self.link
            if self.transaction.block is NO_BLOCK and not link.in_group:
                self.transaction.start(self.settings)
            if kind == QUERY:
                if link.in_group and link.connection is not None and link.connection.stream.owed:
                    self.fatal(ProtocolViolation("simple query inside a pipeline; Sync has to come first"))
                else:  # drivers flush, read, and go on with a query in place of Sync; it ends the pipeline
                    self._work(kind, body)
            elif kind == FUNCTION_CALL:
                self._work(kind, body)
            elif kind not in COPY_MESSAGES:  # those come late after a COPY that failed, and mean nothing
                self.fatal(ProtocolViolation(f"invalid frontend message type {kind}"))

    def _skips(self) -> bool:
        connection = self.link.connection
        return self.extended.skipping or (connection is not None and connection.stream.skipping)

    def _pop(self) -> tuple[int, bytes]:
        message = self.inbox.popleft()
        self.inbox_bytes -= len(message[1])
        return message

    def _take_request(self) -> list[tuple[int, bytes]] | None:
        """A message, or a group: extended-protocol messages up to Sync or Flush, or what a long pipeline has
        so far; None: wait for more.
        """
        size = count = 0
        for kind, body in self.inbox:
            if not is_extended(kind):
                break
            count += 1
            size += len(body)
            if kind in (SYNC, FLUSH) or size > self.shared.options.group_bytes:
                return [self._pop() for _ in range(count)]
        else:
            return None
        return [self._pop() for _ in range(count or 1)]

    def _work(self, kind: int, request: Any) -> None:
        self.busy = True
        self._cancelled = False
        try:
            outcome = self._handle(kind, request)
        except Exception as error:
            outcome = self._failed(error)
        if outcome is True:
            self.busy = False
        elif outcome is not False:
            work = Work(self._run(outcome), self._worked)
            if not work.begin():
                self._underway = work

    def _handle(self, kind: int, request: Any) -> Outcome:
        """``request`` is the body of a Query or FunctionCall, else a group of messages."""
        if kind == QUERY:
            return self.simple.run(request)
        if kind == FUNCTION_CALL:
            raise Refused("the function call message of the protocol", hint="Call the function in a SELECT.")
        if kind == RENEWAL:
            return renewal.renew(self)
        return self.extended.run(request, kind == AGAIN)

    def renew(self) -> None:
        """Take a connection that is kept along into a new epoch; called now and then while one is stale."""
        if renewal.is_due(self):
            self._work(RENEWAL, None)

    async def _run(self, outcome: "Coroutine[Any, Any, bool]") -> None:
        try:
            answered = await outcome
        except Exception as error:
            answered = self._failed(error)
        if answered:
            self.busy = False

    def _failed(self, error: Exception) -> bool:
        """A request has failed with ``error``, which is being handled; True if that was its answer."""
        if isinstance(error, ShardproxyError):
            if not isinstance(error, ProtocolViolation):
                return self.fail(error)
            self.fatal(error)
        else:
            log.exception("internal error in a session")
            self.fatal(ShardproxyError("internal error in shardproxy; its log says more"))
        return False

    def _worked(self, work: Work) -> None:
        """A request that had to wait has been handled, or handed to the link."""
        if self._underway is work:
            self._underway = None
            if not self.busy:
                self.pump()

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
        self._settle(status, error is not None)
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
        alone = self.transaction.block is NO_BLOCK and self.link.pinned is None
        messages = repeatable(self.extended.group) if alone else None
        if messages is None:
            self.client.write(stale + ready_for_query(status))
            return False
        self.forget_stale()
        self._settle(status, True)
        self.transaction.start(self.settings)
        self._work(AGAIN, messages)
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

    def _settle(self, status: int, failed: bool) -> None:
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
        if self.link.in_group or (self.on_server and self.transaction.block is OPEN):
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
        in_block = self.transaction.block is not NO_BLOCK
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
                self.transaction.block = BROKEN
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

    def _answer_loss(self, error: ShardproxyError) -> None:
        reply = error_response(error)
        if self._relay_end is not None:
            end, self._relay_end = self._relay_end, None
            self.client.write(reply)
            if not end.done():
                end.set_result(False)
        elif self._underway is not None and not self._underway.ended:
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
        _background.add(task)
        task.add_done_callback(_background.discard)

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
        if self._underway is not None:
            self._underway.cancel()
        self.client.close()
        self.on_closed()


def is_extended(kind: int) -> bool:
    """Whether it is a message of the extended protocol."""
    return kind in b"PBDECSH"


def is_one_request(messages: list[tuple[int, bytes]]) -> bool:
    """Whether these messages are one request, and all of it."""
    last = len(messages) - 1
    for i in range(last + 1):
        kind = messages[i][0]
        if not is_extended(kind):
            return last == 0
        if kind in (SYNC, FLUSH):
            return i == last
    return False

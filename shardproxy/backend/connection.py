"""A connection to one PostgreSQL server: the only place where a shard's bytes come in.

While it is checked out, its bytes go through the reply queue (``wire.replies``) straight to a sink. It may
serve somebody else only when :attr:`ServerConnection.is_clean` says so.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import cast

from shardproxy.backend.sink import Sink
from shardproxy.counters import ShardCounters
from shardproxy.errors import Blame, ShardproxyError, Unavailable
from shardproxy.wire import client_messages
from shardproxy.wire.replies import Deallocate, Learn, Prepare, ReplyStream
from shardproxy.wire.server_messages import (
    READY_IDLE,
    is_stale,
    parse_error,
    parse_parameter_status,
    shape_of,
)

PARAMETER_STATUS = 0x53
ERROR_RESPONSE = 0x45


class ServerConnection:
    """One logged-in connection, an asyncio.Protocol. Made by
    :func:`shardproxy.backend.login.open_connection`.

    ``sink`` is who gets its bytes, None while idle. ``status`` is the last ReadyForQuery byte.
    ``settings`` is the value of session settings that the server has (any value compared by identity;
    None: unknown). ``prepared`` holds the names of our prepared statements, least recently used first, with
    their shape where it is known, else True; False: to be closed and prepared anew. ``parameters`` are the
    reported ParameterStatus, ``defaults`` settings that its session began with. ``cancels`` counts cancel
    requests under way to it. ``retired``: whoever has it keeps it, and nobody gets it afterwards. ``epoch``
    is the one it is in, None for none; ``holds`` are the moves that it may hold up (``backend/holds``).
    """

    def __init__(self, pid: int, secret: bytes, parameters: dict[str, str], settings: object) -> None:
        self.pid = pid
        self.secret = secret
        self.parameters = parameters
        self.settings: object = settings
        self.defaults: Mapping[str, str] = {}
        self.stream = ReplyStream()
        self.sink: Sink | None = None
        self.status = READY_IDLE
        self.prepared: dict[bytes, bytes | bool] = {}
        self.prepared_limit = 200
        self.cancels = 0
        self.retired = False
        self.epoch: int | None = None
        self.holds: set[int] = set()
        self.closed = False
        self.reason = ""
        self.born = 0.0
        self.idle_since = 0.0
        self.on_closed: Callable[[ServerConnection], None] = lambda _: None
        self.on_cancels_ended: Callable[[ServerConnection], None] = lambda _: None
        self.on_parameter: Callable[[ServerConnection, str, str], None] = lambda *_: None
        self.counters = ShardCounters()
        self._transport: asyncio.Transport | None = None
        self._paused = False

    def adopt(self, transport: asyncio.Transport) -> None:
        """Take over the transport after the login."""
        self._transport = transport
        transport.set_protocol(cast("asyncio.Protocol", self))

    @property
    def is_settled(self) -> bool:
        """Every reply that was owed has come, and no transaction is open."""
        stream = self.stream
        return (
            not self.closed
            and not stream.owed
            and not stream.skipping
            and not stream.out
            and self.status == READY_IDLE
        )

    @property
    def is_clean(self) -> bool:
        """It is settled, and no cancel is under way that could hit what runs next: anybody may have it."""
        return self.is_settled and self.cancels == 0 and not self.retired

    def cancel_ended(self, *, delivered: bool) -> None:
        """One of ``cancels`` is over; one that was not ``delivered`` may still arrive at any time."""
        self.cancels -= 1
        if not delivered:
            self.retired = True
        if self.cancels == 0:
            self.on_cancels_ended(self)

    def prepare(self, name: bytes, text: bytes, oids: tuple[int, ...]) -> bytes:
        """The messages that make sure ``name`` is prepared here, most often none; their replies are promised.

        At most ``prepared_limit`` are kept: the least recently used is closed for a new one.
        """
        prepared = self.prepared
        holds = prepared.pop(name, None)
        if holds:
            prepared[name] = holds
            return b""
        messages = b""
        if holds is not None:
            messages = self._deallocate(name)
        elif len(prepared) >= self.prepared_limit:
            oldest = next(iter(prepared))
            del prepared[oldest]
            messages = self._deallocate(oldest)
        prepared[name] = True
        self.stream.promise(Prepare(name))
        return messages + client_messages.parse(name, text, oids)

    def expire(self, name: bytes) -> None:
        """Have ``name`` prepared anew when it is next asked for."""
        if name in self.prepared:
            self.prepared[name] = False

    def describe(self, learned: Learn, text: bytes, oids: tuple[int, ...]) -> bytes:
        """The messages that prepare ``learned.name`` and tell ``learned`` of it; their replies are promised.

        One that is prepared already may be from before a change of the schema: it is prepared anew.
        """
        name = learned.name
        self.expire(name)
        messages = self.prepare(name, text, oids)
        self.stream.promise(learned)
        return messages + client_messages.describe(b"S", name)

    def _deallocate(self, name: bytes) -> bytes:
        self.stream.promise(Deallocate(name))
        return client_messages.close(b"S", name)

    def send(self, data: bytes) -> None:
        """Write to the server; what it will answer has been promised to ``stream`` before."""
        self.counters.bytes_out += len(data)
        if self._transport is not None:
            self._transport.write(data)

    def pause_reading(self) -> None:
        """Stop taking rows: the client does not keep up."""
        if self._transport is not None and not self.closed and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take rows again."""
        if self._paused and self._transport is not None and not self.closed:
            self._paused = False
            self._transport.resume_reading()

    def close(self, reason: str) -> None:
        """Say goodbye where the server may listen, and close. Idempotent."""
        if self._transport is None or self.closed:
            return
        self._transport.write(client_messages.TERMINATE)
        self._mark_closed(reason)
        self._transport.close()

    def abort(self, reason: str) -> None:
        """Close at once, without a goodbye: the state of the connection is unknown. Idempotent."""
        if self._transport is None or self.closed:
            return
        self._mark_closed(reason)
        self._transport.abort()

    def fail(self, error: ShardproxyError) -> None:
        """Close at once and tell the holder. Idempotent."""
        if self._transport is None or self.closed:
            return
        sink = self.sink
        self._mark_closed(error.message)
        self._transport.abort()
        if sink is not None:
            sink.lost(self, error)

    def _mark_closed(self, reason: str) -> None:
        self.closed = True
        self.reason = reason
        self.sink = None
        self.on_closed(self)

    # --- asyncio.Protocol -----------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        stream = self.stream
        self.counters.bytes_in += len(data)
        try:
            at = stream.feed(data)
            while True:
                self._deliver()
                if at >= len(data) or self.closed:
                    return
                at = stream.feed(data, at)
        except ShardproxyError as error:
            error.blame = Blame.SERVER
            self.fail(error)

    def flush(self) -> None:
        """Hand on answers of our own that nothing from the server precedes."""
        self._deliver()

    def _deliver(self) -> None:
        stream = self.stream
        if stream.failed or stream.learned:
            self._settle()
        if stream.asides:
            self._note_asides()
        sink = self.sink
        out = stream.out
        if out:
            data = out[0] if len(out) == 1 else b"".join(out)
            stream.out = []
            if sink is not None:
                sink.reply(self, data)
        if stream.copy_in:
            stream.copy_in = False
            if sink is not None:
                sink.copy_in(self)
        if stream.ready:
            self.status = stream.ready
            stream.ready = 0
            if stream.error is not None and is_stale(stream.error):
                self.prepared = dict.fromkeys(self.prepared, False)
            if sink is not None:
                sink.ready(self, self.status)

    def _settle(self) -> None:
        """What we meant to prepare or close and the server did not; what it told us of a statement."""
        failed, self.stream.failed = self.stream.failed, []
        learned, self.stream.learned = self.stream.learned, []
        for item in failed:
            if isinstance(item, Prepare):
                self.prepared.pop(item.name, None)
            elif isinstance(item, Learn) and item.wake is not None:
                item.wake()
        for item in failed:  # one that was to be prepared anew is still there
            if isinstance(item, Deallocate):
                self.prepared[item.name] = False
        for item in learned:
            assert item.parameters is not None
            assert item.row is not None
            self.prepared[item.name] = shape_of(item.parameters, item.row)
            if item.wake is not None:
                item.wake()

    def _note_asides(self) -> None:
        asides, self.stream.asides = self.stream.asides, []
        for kind, body in asides:
            if kind == PARAMETER_STATUS:
                name, value = parse_parameter_status(body)
                self.parameters[name] = value
                self.on_parameter(self, name, value)
            elif kind == ERROR_RESPONSE:
                self.reason = parse_error(body).get("M", "terminated by the server")
            elif self.sink is not None:  # a notification or notice for a session that keeps this connection
                self.sink.reply(self, body)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed:
            told = parse_error(self.stream.error).get("M") if self.stream.error and self.stream.owed else None
            why = self.reason or told or (str(exc) if exc else "server closed the connection unexpectedly")
            self.fail(Unavailable(f"connection to the shard was lost: {why}"))

    def eof_received(self) -> None:
        """The server has said its last: the transport closes."""

    def pause_writing(self) -> None:
        if self.sink is not None:
            self.sink.pause()

    def resume_writing(self) -> None:
        if self.sink is not None:
            self.sink.resume()

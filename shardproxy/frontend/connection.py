"""A connection from an application: start-up, login, then its session's bytes in and out.

The phases are methods that take bytes; ``_phase`` is the present one.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import cast

from shardproxy.errors import LoginFailed, ProtocolViolation, ShardproxyError, Unavailable
from shardproxy.frontend.gate import Gate
from shardproxy.frontend.registry import CancelKey, Cancellable
from shardproxy.frontend.virtual import Conversation, VirtualDatabase
from shardproxy.session.session import Session
from shardproxy.session.settings import Settings
from shardproxy.wire import server_messages
from shardproxy.wire.authenticate import AuthenticateScript, authenticate
from shardproxy.wire.frames import FrameReader
from shardproxy.wire.login import MAX_LOGIN_MESSAGE
from shardproxy.wire.server_messages import READY_IDLE, error_response, ready_for_query
from shardproxy.wire.startup import (
    CancelRequest,
    GssRequest,
    SslRequest,
    Startup,
    parse_first_packet,
    startup_length,
)

log = logging.getLogger(__name__)

WRITE_HIGH = 256 * 1024
LINGER = 5.0
"""Seconds that a client has to take the last bytes it is sent."""
MAX_NEGOTIATIONS = 2  # one SSLRequest and one GSSENCRequest, as in PostgreSQL


class ClientConnection:
    """One application's connection, an asyncio.Protocol; the session's ``Client``. ``conversation`` is there
    instead of a session where the client asked for the virtual database.
    """

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.session: Session | None = None
        self.conversation: Conversation | None = None
        self.connected = datetime.now(UTC)
        self._transport: asyncio.Transport | None = None
        self._phase: Callable[[bytes], None] = self._startup
        self._buffer = b""
        self._held: list[bytes] = []
        self._negotiations = 0
        self._reader = FrameReader(MAX_LOGIN_MESSAGE)
        self._script: AuthenticateScript | None = None
        self._startup_message: Startup | None = None
        self._key: CancelKey | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[None] | None = None
        self._reading = True
        self._closing = False

    # --- asyncio.Protocol -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        transport.set_write_buffer_limits(high=WRITE_HIGH)
        self.gate.tune(transport)
        self.gate.came(self)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self.gate.options.login_timeout, self._login_timed_out)

    def data_received(self, data: bytes) -> None:
        try:
            self._phase(data)
        except ShardproxyError as error:
            self._refuse(error)
        except Exception:
            log.exception("internal error on a client connection")
            self._refuse(ShardproxyError("internal error in shardproxy; its log says more"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._stop_timer()
        self.gate.left(self)
        if self._opening is not None:
            self._opening.cancel()
        if self.session is not None:
            self.session.close()
        self._end_conversation()

    @property
    def user(self) -> str:
        """Who the client says it is; empty before it has."""
        return "" if self._startup_message is None else self._startup_message.user

    @property
    def address(self) -> str:
        """Where it comes from: ``host:port``, or ``unix``."""
        peer = None if self._transport is None else self._transport.get_extra_info("peername")
        if not isinstance(peer, tuple):
            return "unix"
        host, port = peer[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def eof_received(self) -> None:
        """The application has said its last: the transport closes."""

    def pause_writing(self) -> None:
        if self.session is not None:
            self.session.client_is_slow()

    def resume_writing(self) -> None:
        if self.session is not None:
            self.session.client_keeps_up()

    # --- start-up -------------------------------------------------------------------------------------------

    def _startup(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) < 4:
            return
        length = startup_length(self._buffer[:4])
        if len(self._buffer) < length + 4:
            return
        body, self._buffer = self._buffer[4 : length + 4], self._buffer[length + 4 :]
        packet = parse_first_packet(body)
        if isinstance(packet, CancelRequest):
            self._phase = self._ignore
            self._stop_timer()
            self.gate.start(self._cancel(packet))  # it goes on when the client does not wait for it
        elif isinstance(packet, Startup):
            rest, self._buffer = self._buffer, b""
            self._begin_login(packet)
            if rest:
                self._phase(rest)
        else:
            self._negotiate(packet)

    def _negotiate(self, packet: SslRequest | GssRequest) -> None:
        self._negotiations += 1
        if self._negotiations > MAX_NEGOTIATIONS:
            raise ProtocolViolation("too many encryption requests")
        self.write(b"N")
        if self._buffer:
            rest, self._buffer = self._buffer, b""
            self._startup(rest)

    async def _cancel(self, packet: CancelRequest) -> None:
        counters = self.gate.shared.counters.proxy
        counters.cancels_requested += 1
        session = self.gate.registry.find(packet.pid, packet.secret)
        if session is not None and await session.cancel():
            counters.cancels_forwarded += 1
        else:
            counters.cancels_ignored += 1
        self.close()

    def _ignore(self, data: bytes) -> None:
        """After a cancel request nothing more is read."""

    # --- login ----------------------------------------------------------------------------------------------

    def _begin_login(self, startup: Startup) -> None:
        self._startup_message = startup
        if startup.negotiation:
            self.write(startup.negotiation)
        gate = self.gate
        gate.check_admission(startup)
        self._script = authenticate(startup.user, gate.options.method, gate.verifier, gate.offer)
        self._phase = self._login
        self._advance(next)

    def _login(self, data: bytes) -> None:
        for message in self._reader.feed(data):
            if self._script is None:
                raise ProtocolViolation("unexpected message during the login")
            self._advance(lambda script, message=message: script.send(message))  # type: ignore[misc]

    def _advance(self, step: Callable[[AuthenticateScript], bytes]) -> None:
        assert self._script is not None
        try:
            answer = step(self._script)
        except StopIteration as end:
            self._script = None
            self.write(end.value)
            self._phase = self._hold
            self._opening = asyncio.get_running_loop().create_task(self._open_session())
        except LoginFailed as error:
            self.gate.shared.counters.proxy.logins_failed += 1
            log.info("login failed: %s", error.message)
            raise
        else:
            if answer:
                self.write(answer)

    def _hold(self, data: bytes) -> None:
        """What the client sends before its session is ready; libpq sends nothing then, others may."""
        self._buffer += data
        if len(self._buffer) > MAX_LOGIN_MESSAGE:
            raise ProtocolViolation("too much data before ReadyForQuery")

    async def _open_session(self) -> None:
        startup = self._startup_message
        assert startup is not None
        try:
            if (virtual := self.gate.virtual_for(startup)) is not None:
                self._begin_conversation(virtual, startup)
                return
            self.gate.check_database(startup)
            settings, parameters = await self.gate.settings_for(startup)
            self.gate.check_admission(startup)
        except ShardproxyError as error:
            self._refuse(error)
        except Exception:
            log.exception("internal error while opening a session")
            self._refuse(ShardproxyError("internal error in shardproxy; its log says more"))
        else:
            if not self._closing:
                self._begin_session(startup, settings, parameters)
        finally:
            self._opening = None

    def _begin_session(self, startup: Startup, settings: Settings, parameters: Mapping[str, str]) -> None:
        self._stop_timer()
        gate = self.gate
        self.session = session = Session(gate.shared, self, startup.user, settings)
        session.reported = parameters
        session.on_closed = self._session_closed
        session.on_idle = self._session_idle
        counters = gate.shared.counters.proxy
        counters.clients += 1
        counters.clients_total += 1
        self._reader = FrameReader(gate.options.max_message_size)
        self._welcome(session, startup, parameters, self._serve)

    def _welcome(
        self,
        answering: Cancellable,
        startup: Startup,
        parameters: Mapping[str, str],
        phase: Callable[[bytes], None],
    ) -> None:
        """Tell the client that it can begin, and go on with what it has said already."""
        self._key = self.gate.registry.add(answering, startup.minor)
        status = b"".join(server_messages.parameter_status(n, v) for n, v in parameters.items())
        key = server_messages.backend_key_data(self._key.pid, self._key.secret)
        self.write(status + key + ready_for_query(READY_IDLE))
        self._phase = phase
        if self._buffer:
            rest, self._buffer = self._buffer, b""
            self.data_received(rest)

    # --- the virtual database -------------------------------------------------------------------------------

    def _begin_conversation(self, virtual: VirtualDatabase, startup: Startup) -> None:
        self.conversation, parameters = virtual.open(startup, self)
        self._stop_timer()
        self._reader = FrameReader(MAX_LOGIN_MESSAGE)
        self._welcome(self.conversation, startup, parameters, self._converse)

    def _converse(self, data: bytes) -> None:
        assert self.conversation is not None
        self.conversation.receive(self._reader.feed(data))

    def _end_conversation(self) -> None:
        conversation, self.conversation = self.conversation, None
        if conversation is not None:
            conversation.close()
            if self._key is not None:
                self.gate.registry.remove(self._key)
                self._key = None

    def _login_timed_out(self) -> None:
        if self.session is None and self.conversation is None:
            self._refuse(LoginFailed("canceling authentication due to timeout", sqlstate="57014"))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- session --------------------------------------------------------------------------------------------

    def _serve(self, data: bytes) -> None:
        assert self.session is not None
        self.session.receive(self._reader.feed(data))

    def _session_closed(self) -> None:
        if self._key is not None:
            self.gate.registry.remove(self._key)
            self._key = None
            self.gate.shared.counters.proxy.clients -= 1

    def _session_idle(self) -> None:
        if self.gate.shared.draining:
            self.end_if_idle()

    def end_if_idle(self) -> None:
        """While draining: end the session unless a transaction is open."""
        session = self.session
        if session is None or (not session.busy and not session.in_block):
            self._refuse(Unavailable("terminating connection due to administrator command", sqlstate="57P01"))

    def terminate(self) -> None:
        """End the session now, whatever it does."""
        self._refuse(Unavailable("terminating connection due to administrator command", sqlstate="57P01"))

    def _refuse(self, error: ShardproxyError) -> None:
        error.severity = "FATAL"
        self.write(error_response(error))
        self.close()

    # --- Client ---------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes to the application."""
        if self._held:
            data = b"".join((*self._held, data))
            self._held.clear()
        if self._transport is not None and not self._closing:
            self._transport.write(data)

    def hold(self, data: bytes) -> None:
        """Send bytes together with the next that are written: two system calls cost twice as much as one."""
        self._held.append(data)

    def flush(self) -> None:
        """Send what is held."""
        if self._held:
            self.write(b"")

    def close(self) -> None:
        """End the session, and close once everything written has gone out, or soon."""
        self.flush()
        if self._transport is not None and not self._closing:
            self._closing = True
            self._phase = self._ignore
            self._stop_timer()
            self._timer = asyncio.get_running_loop().call_later(LINGER, self._transport.abort)
            self._transport.close()
        if self.session is not None:
            self.session.close()
        self._end_conversation()

    def pause_reading(self) -> None:
        """Take no more requests for now."""
        if self._reading and self._transport is not None and not self._closing:
            self._reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take requests again."""
        if not self._reading and self._transport is not None and not self._closing:
            self._reading = True
            self._transport.resume_reading()

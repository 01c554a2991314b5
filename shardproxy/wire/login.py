"""Logging in to a PostgreSQL server, as a script without I/O.

The protocol of the script: every yield gives bytes to send (``b""``: nothing to send) and takes the
server's next message as (type byte, body). The return value, in ``StopIteration.value``, is
:class:`LoggedIn`; the last message taken was ReadyForQuery. The shell around it is::

    script = login_script("app", "shop", password, options)
    data = next(script)
    try:
        while True:
            if data:
                await send(data)
            data = script.send(await next_message())  # FrameReader(MAX_LOGIN_MESSAGE)
    except StopIteration as stop:
        return stop.value

After any exception the connection must be closed. Time is the shell's to limit. (Manual, "Start-up".)
"""

from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from shardproxy.errors import Blame, LoginFailed, ProtocolViolation
from shardproxy.secret import Secret
from shardproxy.wire import server_messages as msg
from shardproxy.wire.client_messages import password_message, sasl_initial_response, sasl_response, startup
from shardproxy.wire.login_errors import login_error
from shardproxy.wire.md5 import md5_response
from shardproxy.wire.reader import violation
from shardproxy.wire.scram import SCRAM_SHA_256, SCRAM_SHA_256_PLUS, DeriveKeys, scram_client
from shardproxy.wire.scram_keys import ScramKeys
from shardproxy.wire.startup import LATEST_MINOR

MAX_LOGIN_MESSAGE: Final = 65_536
"""Bytes of one message before the login is complete; more is a violation, on both sides."""

MAX_LOGIN_MESSAGES: Final = 1_000
"""Messages a server may send during a login; PostgreSQL sends about 20."""

Message: TypeAlias = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class LoginOptions:
    """How to log in.

    ``settings`` are session settings for the startup packet. ``minor`` is the newest protocol version 3 to
    ask for. ``allow_cleartext`` permits the password in the clear: only where nobody can listen (Unix
    socket, loopback, TLS with a verified certificate). ``binding`` is the ``tls-server-end-point`` hash of
    the server's certificate, when there is TLS. ``derive`` may be a
    :class:`~shardproxy.wire.scram_keys.KeyCache`'s.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    minor: int = LATEST_MINOR
    allow_cleartext: bool = False
    binding: bytes | None = None
    derive: DeriveKeys = ScramKeys.derive


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A session on a server: its cancel key (0 and empty when the server gives none), the minor protocol
    version it speaks, and the settings it reported."""

    pid: int
    secret: bytes = field(repr=False)
    minor: int
    parameters: Mapping[str, str]


LoginScript: TypeAlias = Generator[bytes, Message, LoggedIn]
_Step: TypeAlias = Generator[bytes, Message, Message]


def login_script(user: str, database: str, password: Secret | None, options: LoginOptions) -> LoginScript:
    """Logs in; see the module for the protocol of the script.

    Raises LoginFailed or Unavailable for what the server refuses (as
    :func:`~shardproxy.wire.login_errors.login_error` words it), LoginFailed for what we refuse, and
    ProtocolViolation, blamed on the server, for a message that is malformed or out of place.
    """
    return _Login(user, database, password, options).run()


class _Login:
    """One login. Mutable: ``minor`` until negotiated; ``authenticated`` since AuthenticationOk; ``taken``."""

    def __init__(self, user: str, database: str, password: Secret | None, options: LoginOptions) -> None:
        self.user = user
        self.database = database
        self.password = password
        self.options = options
        self.minor = options.minor
        self.authenticated = False
        self.taken = 0

    def run(self) -> LoginScript:
        identity = {"user": self.user, "database": self.database}
        message = yield from self._next(startup({**self.options.settings, **identity}, self.minor))
        if message[0] == ord("v"):
            self._negotiate(msg.parse_negotiate_protocol_version(message[1]))
            message = yield from self._next()
        yield from self._authenticate(_authentication(message))
        self.authenticated = True
        return (yield from self._collect())

    def _next(self, data: bytes = b"") -> _Step:
        """Sends ``data`` and takes the next message that is not a notice; an error ends the login."""
        while True:
            kind, body = yield data
            data = b""
            self.taken += 1
            if len(body) > MAX_LOGIN_MESSAGE or self.taken > MAX_LOGIN_MESSAGES:
                raise _server_broke("the server sends too much during the login")
            if kind == ord("E"):
                raise login_error(msg.parse_error(body), self.user, self.database, self.authenticated)
            if kind != ord("N"):
                return kind, body

    def _negotiate(self, offer: msg.Negotiation) -> None:
        """The server may only lower the version, never to 3.1, and we send no protocol options."""
        if offer.unrecognised or offer.minor >= self.minor or offer.minor == 1:
            raise _server_broke("invalid protocol negotiation message")
        self.minor = offer.minor

    def _authenticate(self, request: msg.Authentication) -> Generator[bytes, Message, None]:
        """Answers ``request`` until AuthenticationOk."""
        if request.code == msg.AUTHENTICATION_OK:
            return
        if request.code == msg.AUTHENTICATION_SASL:
            yield from self._scram(msg.parse_sasl_mechanisms(request.data))
            answer = b""
        elif request.code == msg.AUTHENTICATION_CLEARTEXT:
            answer = password_message(_without_nul(self._cleartext()))
        elif request.code == msg.AUTHENTICATION_MD5:
            if len(request.data) != 4:
                raise _server_broke("invalid MD5 salt")
            answer = password_message(md5_response(self.user, self._secret(), request.data))
        else:
            raise _refused(f"the server asks for an unsupported authentication method ({request.code})")
        done = _authentication((yield from self._next(answer)))
        if done.code != msg.AUTHENTICATION_OK:
            raise _server_broke("unexpected authentication request")

    def _scram(self, mechanisms: tuple[str, ...]) -> Generator[bytes, Message, None]:
        """The SASL exchange; the server has proved that it knows the password when this returns."""
        password, binding = self._secret(), self.options.binding
        if binding is not None and SCRAM_SHA_256_PLUS in mechanisms:
            mechanism, flag = SCRAM_SHA_256_PLUS, b"p"
        elif SCRAM_SHA_256 in mechanisms:
            mechanism, flag, binding = SCRAM_SHA_256, b"n" if binding is None else b"y", b""
        else:
            raise _refused("none of the server's SASL authentication mechanisms are supported")
        script = scram_client(password, flag=flag, binding=binding or b"", derive=self.options.derive)
        first = sasl_initial_response(mechanism, next(script))
        challenge = _authentication((yield from self._next(first)))
        if challenge.code != msg.AUTHENTICATION_SASL_CONTINUE:
            raise _server_broke("the server ends SCRAM before it has proved that it knows the password")
        final = sasl_response(script.send(challenge.data))
        proof = _authentication((yield from self._next(final)))
        if proof.code != msg.AUTHENTICATION_SASL_FINAL:
            raise _server_broke("the server ends SCRAM before it has proved that it knows the password")
        with suppress(StopIteration):
            script.send(proof.data)

    def _collect(self) -> LoginScript:
        """What follows AuthenticationOk, up to ReadyForQuery."""
        parameters: dict[str, str] = {}
        key = msg.BackendKeyData(0, b"")
        while True:
            kind, body = yield from self._next()
            if kind == ord("S"):
                name, value = msg.parse_parameter_status(body)
                parameters[name] = value
            elif kind == ord("K"):
                key = msg.parse_backend_key_data(body)
            elif kind == ord("Z"):
                if msg.parse_ready_for_query(body) != msg.READY_IDLE:
                    raise _server_broke("a new session cannot be in a transaction")
                return LoggedIn(key.pid, key.secret, self.minor, parameters)
            else:
                raise _unexpected(kind)

    def _secret(self) -> Secret:
        if self.password is None:
            raise _refused(f'the server asks for a password, and none is configured for user "{self.user}"')
        return self.password

    def _cleartext(self) -> Secret:
        if not self.options.allow_cleartext:
            raise _refused(
                "the server asks for the password in the clear, which is not allowed on this connection"
            )
        return self._secret()


def _authentication(message: Message) -> msg.Authentication:
    if message[0] != ord("R"):
        raise _unexpected(message[0])
    return msg.parse_authentication(message[1])


def _without_nul(password: Secret) -> bytes:
    value = password.reveal().encode("utf-8", "surrogateescape")
    if 0 in value:
        raise _refused("a password that contains NUL cannot be sent in the clear")
    return value


def _refused(message: str) -> LoginFailed:
    error = LoginFailed(message, sqlstate="28000")
    error.blame = Blame.SERVER
    return error


def _server_broke(message: str) -> ProtocolViolation:
    return violation(message, Blame.SERVER)


def _unexpected(kind: int) -> ProtocolViolation:
    return _server_broke(f"unexpected message type 0x{kind:02X} from the server during the login")

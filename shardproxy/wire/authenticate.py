"""Checking who an application is, as a script without I/O: the server's side of the login.

The protocol of the script is that of :mod:`shardproxy.wire.login`: every yield gives bytes to send and
takes the client's next message as (type byte, body). The return value is what remains to be sent, with
AuthenticationOk at its end. An error raised is to be sent with ``error_response`` before the connection is
closed. ParameterStatus, BackendKeyData and ReadyForQuery are the caller's. (Manual, "Start-up" and "SASL
Authentication".)
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from shardproxy.wire import server_messages as msg
from shardproxy.wire.client_messages import SaslInitial, parse_sasl_initial_response
from shardproxy.wire.login import MAX_LOGIN_MESSAGE, Message
from shardproxy.wire.reader import violation
from shardproxy.wire.scram import SCRAM_SHA_256, SCRAM_SHA_256_PLUS, scram_server
from shardproxy.wire.scram_keys import DEFAULT_ITERATIONS, Verifier

AuthenticateScript: TypeAlias = Generator[bytes, Message, bytes]
LookUp: TypeAlias = Callable[[str], Verifier | None]


class AuthMethod(StrEnum):
    """How applications prove who they are; the names are those of pg_hba.conf."""

    TRUST = "trust"
    SCRAM = "scram-sha-256"


@dataclass(frozen=True, slots=True)
class ScramOffer:
    """What SCRAM needs to know of this sidecar.

    ``mock_secret`` gives users who do not exist their salts: keep it for the life of the process and the
    same in all workers. ``binding`` is the ``tls-server-end-point`` hash of our certificate, when this
    client came by TLS. ``iterations`` is for mock verifiers: the same as for real ones.
    """

    mock_secret: bytes = field(repr=False)
    binding: bytes | None = None
    iterations: int = DEFAULT_ITERATIONS


def authenticate(user: str, method: AuthMethod, look_up: LookUp, offer: ScramOffer) -> AuthenticateScript:
    """Authenticates ``user``; see the module for the protocol of the script.

    Raises LoginFailed (28P01, ``password authentication failed for user "x"``), the same for a wrong
    password and for a user whom ``look_up`` does not know, and ProtocolViolation for a malformed or
    unexpected message.
    """
    if method is AuthMethod.TRUST:
        return msg.authentication_ok()
    final = yield from _scram(user, look_up(user) or _mock(user, offer), offer.binding)
    return msg.authentication_sasl_final(final) + msg.authentication_ok()


def _mock(user: str, offer: ScramOffer) -> Verifier:
    return Verifier.mock(user, offer.mock_secret, offer.iterations)


def _scram(user: str, verifier: Verifier, binding: bytes | None) -> AuthenticateScript:
    """The SASL exchange; returns server-final."""
    mechanisms = (SCRAM_SHA_256,) if binding is None else (SCRAM_SHA_256_PLUS, SCRAM_SHA_256)
    initial = _initial((yield msg.authentication_sasl(mechanisms)), mechanisms)
    client_first = initial.data
    if client_first is None:  # it may wait for an empty challenge before it speaks
        client_first = _response((yield msg.authentication_sasl_continue(b"")))
    script = scram_server(user, verifier, mechanism=initial.mechanism, binding=binding)
    next(script)
    client_final = _response((yield msg.authentication_sasl_continue(script.send(client_first))))
    try:
        script.send(client_final)
    except StopIteration as stop:
        return bytes(stop.value)
    raise AssertionError("SCRAM has two messages from the client")


def _initial(message: Message, mechanisms: tuple[str, ...]) -> SaslInitial:
    initial = parse_sasl_initial_response(_response(message))
    if initial.mechanism not in mechanisms:
        raise violation("client selected an invalid SASL authentication mechanism")
    return initial


def _response(message: Message) -> bytes:
    kind, body = message
    if kind != ord("p"):
        raise violation(f"expected SASL response, got message type {kind}")
    if len(body) > MAX_LOGIN_MESSAGE:
        raise violation("invalid message length")
    return body

"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677; manual, "SASL Authentication"): both sides, as
scripts.

A side is a generator: ``next`` gives the first message, ``send`` takes the peer's answer and gives the
next, and the end means that the peer has proved itself. The server's side begins by yielding nothing and
its return value is its last message. Channel binding is ``tls-server-end-point``: the caller gives the hash
of the server's certificate.
"""

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Callable, Generator
from typing import Final, TypeAlias

from shardproxy.errors import Blame, LoginFailed, ProtocolViolation
from shardproxy.secret import Secret
from shardproxy.wire.reader import violation
from shardproxy.wire.scram_keys import KEY_BYTES, ScramKeys, Verifier, hmac_sha256

SCRAM_SHA_256: Final = "SCRAM-SHA-256"
SCRAM_SHA_256_PLUS: Final = "SCRAM-SHA-256-PLUS"
CHANNEL_BINDING_TYPE: Final = b"tls-server-end-point"

MAX_ITERATIONS: Final = 1_000_000
"""What a server may ask of us: about 0.3 s of CPU. A hostile one could ask for hours."""

NONCE_BYTES: Final = 18

ScramScript: TypeAlias = Generator[bytes, bytes, None]
ScramServerScript: TypeAlias = Generator[bytes, bytes, bytes]
DeriveKeys: TypeAlias = Callable[[Secret, bytes, int], ScramKeys]

_PRINTABLE = re.compile(rb"[\x21-\x2b\x2d-\x7e]+")
_SERVER_FIRST = re.compile(rb"r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=([0-9]{1,10})")
_CLIENT_FIRST = re.compile(
    rb"(n|y|p=([A-Za-z0-9.-]+)),(a=[^,]*)?,((m=[^,]*,)?n=[^,]*,r=([^,]*)(?:,.*)?)", re.DOTALL
)
_CLIENT_FINAL = re.compile(rb"c=([A-Za-z0-9+/=]+),r=([^,]*)(?:,.*)?,p=([A-Za-z0-9+/=]+)", re.DOTALL)


def new_nonce() -> bytes:
    """A fresh nonce: printable, without comma."""
    return base64.b64encode(os.urandom(NONCE_BYTES))


# --- the client's side ------------------------------------------------------------------------------


def scram_client(
    password: Secret,
    *,
    flag: bytes = b"n",
    binding: bytes = b"",
    derive: DeriveKeys = ScramKeys.derive,
    nonce: bytes | None = None,
) -> ScramScript:
    """Logs in to a server: yields client-first and client-final, receives server-first and server-final.

    ``flag`` is ``b"n"`` (we do not bind), ``b"y"`` (we could, the server did not offer it) or ``b"p"``;
    with ``p``, ``binding`` is the hash of the server's certificate. The user name is sent empty: the server
    takes it from the startup packet. Raises ProtocolViolation (blamed on the server) for a malformed
    message, and LoginFailed when the server does not know the password either.
    """
    nonce = nonce or new_nonce()
    header = _gs2_header(flag)
    bare = b"n=,r=" + nonce
    server_first = yield header + bare
    server_nonce, salt, iterations = _read_server_first(server_first, nonce)
    keys = derive(password, salt, iterations)
    final = b"c=" + base64.b64encode(header + binding) + b",r=" + server_nonce
    transcript = b",".join((bare, server_first, final))
    proof = _xor(keys.client_key, hmac_sha256(keys.stored_key, transcript))
    server_final = yield final + b",p=" + base64.b64encode(proof)
    _check_server_final(server_final, hmac_sha256(keys.server_key, transcript))


def _read_server_first(message: bytes, nonce: bytes) -> tuple[bytes, bytes, int]:
    """Nonce, salt and iteration count; the server must have added to our nonce."""
    match = _SERVER_FIRST.fullmatch(message)
    if match is None:
        raise _server_broke("malformed SCRAM message")
    if not match[1].startswith(nonce) or len(match[1]) == len(nonce):
        raise _server_broke("invalid SCRAM response (nonce mismatch)")
    iterations = int(match[3])
    if not 1 <= iterations <= MAX_ITERATIONS:
        raise _server_broke(f"malformed SCRAM message (invalid iteration count {iterations})")
    return match[1], _decode(match[2], "malformed SCRAM message (invalid salt)", Blame.SERVER), iterations


def _check_server_final(message: bytes, signature: bytes) -> None:
    if message.startswith(b"e="):
        # the text is the server's, which has proved nothing: it goes to the log, not to an application
        error = LoginFailed("error received from server in SCRAM exchange")
        error.add_note(repr(message[2:200]))
        error.blame = Blame.SERVER
        raise error
    if not message.startswith(b"v="):
        raise _server_broke("malformed SCRAM message")
    sent = _decode(message[2:], "malformed SCRAM message (invalid server signature)", Blame.SERVER)
    if not hmac.compare_digest(sent, signature):
        error = LoginFailed("incorrect server signature", sqlstate="28000")
        error.blame = Blame.SERVER
        raise error


# --- the server's side ------------------------------------------------------------------------------


def scram_server(
    user: str,
    verifier: Verifier,
    *,
    mechanism: str = SCRAM_SHA_256,
    binding: bytes | None = None,
    nonce: bytes | None = None,
) -> ScramServerScript:
    """Checks a client: yields ``b""`` first, receives client-first and client-final, yields server-first.

    Returns server-final once the client's proof is right. ``mechanism`` is the one the client chose;
    ``binding`` is the hash of our certificate when SCRAM-SHA-256-PLUS was offered, else None. Raises
    ProtocolViolation for a malformed message, LoginFailed when the password is wrong or the channel is not
    the one we see.
    """
    client_first = yield b""
    header, bare, client_nonce = _read_client_first(client_first, mechanism, binding is not None)
    full_nonce = client_nonce + (nonce or new_nonce())
    salt = base64.b64encode(verifier.salt)
    server_first = b"r=%b,s=%b,i=%d" % (full_nonce, salt, verifier.iterations)
    client_final = yield server_first
    attribute, without_proof, proof = _read_client_final(client_final, full_nonce)
    _check_binding(attribute, header, binding)
    transcript = b",".join((bare, server_first, without_proof))
    client_key = _xor(proof, hmac_sha256(verifier.stored_key, transcript))
    if not hmac.compare_digest(hashlib.sha256(client_key).digest(), verifier.stored_key):
        raise LoginFailed(f'password authentication failed for user "{user}"')
    return b"v=" + base64.b64encode(hmac_sha256(verifier.server_key, transcript))


def _read_client_first(message: bytes, mechanism: str, plus_offered: bool) -> tuple[bytes, bytes, bytes]:
    """The GS2 header, the bare message, and the client's nonce."""
    match = _CLIENT_FIRST.fullmatch(message)
    if match is None:
        raise violation("malformed SCRAM message")
    flag, binding_type, authzid, bare, extension, nonce = match.groups()
    if authzid is not None:
        raise ProtocolViolation(
            "client uses authorization identity, but it is not supported", sqlstate="0A000"
        )
    if extension is not None:
        raise ProtocolViolation("client requires an unsupported SCRAM extension", sqlstate="0A000")
    if not _PRINTABLE.fullmatch(nonce):
        raise violation("non-printable characters in SCRAM nonce")
    _check_flag(flag[:1], binding_type, mechanism, plus_offered)
    return message[: len(message) - len(bare)], bare, nonce


def _check_flag(flag: bytes, binding_type: bytes | None, mechanism: str, plus_offered: bool) -> None:
    """The GS2 flag must fit the mechanism and the offer, else somebody in between changed the offer."""
    plus = mechanism == SCRAM_SHA_256_PLUS
    if (flag == b"p") != plus:
        holds = "does not include" if plus else "includes"
        error = violation("malformed SCRAM message")
        error.detail = f"The client selected {mechanism}, but the SCRAM message {holds} channel binding data."
        raise error
    if flag == b"p" and binding_type != CHANNEL_BINDING_TYPE:
        raise violation(f'unsupported SCRAM channel-binding type "{(binding_type or b"").decode()}"')
    if flag == b"y" and plus_offered:
        raise LoginFailed(
            "SCRAM channel binding negotiation error",
            sqlstate="28000",
            detail="The client supports SCRAM channel binding but thinks the server does not. "
            "However, this server does support channel binding.",
        )


def _read_client_final(message: bytes, nonce: bytes) -> tuple[bytes, bytes, bytes]:
    """The channel-binding attribute, the message without its proof, and the proof."""
    match = _CLIENT_FINAL.fullmatch(message)
    if match is None:
        raise violation("malformed SCRAM message")
    if not hmac.compare_digest(match[2], nonce):
        error = violation("invalid SCRAM response")
        error.detail = "Nonce does not match."
        raise error
    proof = _decode(match[3], "malformed SCRAM message", Blame.CLIENT)
    if len(proof) != KEY_BYTES:
        raise violation("malformed SCRAM message")
    return match[1], message[: match.start(3) - len(b",p=")], proof


def _check_binding(attribute: bytes, header: bytes, binding: bytes | None) -> None:
    """The attribute repeats the GS2 header, and with ``p`` the hash of the certificate the client saw."""
    bound = header.startswith(b"p")
    if attribute == base64.b64encode(header + (binding or b"") if bound else header):
        return
    if bound:
        raise LoginFailed("SCRAM channel binding check failed", sqlstate="28000")
    raise violation("unexpected SCRAM channel-binding attribute in client-final-message")


# --- small parts ------------------------------------------------------------------------------------


def _gs2_header(flag: bytes) -> bytes:
    return b"p=" + CHANNEL_BINDING_TYPE + b",," if flag == b"p" else flag + b",,"


def _decode(text: bytes, complaint: str, sender: Blame) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise violation(complaint, sender) from None


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _server_broke(message: str) -> ProtocolViolation:
    return violation(message, Blame.SERVER)

"""The first packet of a connection: what the client wants before any message with a type byte.

Manual, "Start-up" and "Message Formats". The packet's length is checked by :func:`startup_length` before
anything is read or allocated by it. Every error raised here is FATAL: send it and close (to a cancel
request, just close).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from shardproxy.errors import LoginFailed, ProtocolViolation
from shardproxy.wire.client_messages import (
    CANCEL_REQUEST_CODE,
    GSSENC_REQUEST_CODE,
    PROTOCOL_MAJOR,
    SSL_REQUEST_CODE,
)
from shardproxy.wire.reader import INT32, Reader, violation
from shardproxy.wire.server_messages import SECRET_BYTES_MAX, SECRET_BYTES_MIN, negotiate_protocol_version
from shardproxy.wire.settings import is_safe_encoding, is_session_setting
from shardproxy.wire.startup_options import parse_options

MAX_STARTUP_PACKET: Final = 10_000
"""Bytes of the body of a first packet, as in PostgreSQL; nobody has been authenticated yet."""

LATEST_MINOR: Final = 2
"""The newest protocol we speak is 3.2, which brought cancel keys of up to 256 bytes."""

INVALID_LENGTH: Final = "invalid length of startup packet"
INVALID_LAYOUT: Final = "invalid startup packet layout: expected terminator as last byte"

_PROTOCOL_OPTION = "_pq_."
_NOT_SETTINGS = frozenset(("user", "database", "options", "replication"))
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


class UnsupportedProtocol(ProtocolViolation):
    """The client speaks another major version of the protocol (0A000)."""

    sqlstate = "0A000"


@dataclass(frozen=True, slots=True)
class Startup:
    """A client that wants a session.

    ``minor`` is what is spoken from now on (0 or 2). ``parameters`` is the packet as sent, the last of
    equal names winning. ``settings`` are the session settings of the packet and of its ``options``, by
    lower-cased name, each accepted by :func:`~shardproxy.wire.settings.is_session_setting`; their values
    are not checked. ``negotiation`` is the NegotiateProtocolVersion to send first, or empty.
    """

    minor: int
    user: str
    database: str
    parameters: Mapping[str, str]
    settings: Mapping[str, str]
    negotiation: bytes = b""


@dataclass(frozen=True, slots=True)
class SslRequest:
    """Answer with the single byte ``S`` or ``N``. After ``S`` nothing that arrived before TLS may be used."""


@dataclass(frozen=True, slots=True)
class GssRequest:
    """A request for GSSAPI encryption; answer with the single byte ``N``."""


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """A request to cancel what the session with this key runs. Never answered, whatever comes of it."""

    pid: int
    secret: bytes


FirstPacket: TypeAlias = Startup | SslRequest | GssRequest | CancelRequest


def startup_length(head: bytes) -> int:
    """Bytes that follow the first packet's 4-byte length ``head``; ProtocolViolation outside 4 to 10,000."""
    length = int(INT32.unpack(head)[0]) - 4
    if not 4 <= length <= MAX_STARTUP_PACKET:
        raise violation(INVALID_LENGTH)
    return length


def parse_first_packet(body: bytes) -> FirstPacket:
    """The first packet, from the bytes after its length.

    Raises ProtocolViolation for a malformed packet, UnsupportedProtocol for another major version, and
    LoginFailed for parameters that cannot be accepted.
    """
    if not 4 <= len(body) <= MAX_STARTUP_PACKET:
        raise violation(INVALID_LENGTH)
    code = int(INT32.unpack_from(body)[0])
    if code == CANCEL_REQUEST_CODE:
        return _cancel(body)
    if code in (SSL_REQUEST_CODE, GSSENC_REQUEST_CODE):
        if len(body) != 4:
            raise violation(INVALID_LENGTH)
        return SslRequest() if code == SSL_REQUEST_CODE else GssRequest()
    major, minor = struct.unpack_from("!HH", body)
    if major != PROTOCOL_MAJOR:
        raise UnsupportedProtocol(
            f"unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.{LATEST_MINOR}"
        )
    return _startup(minor, _read_parameters(body))


def _cancel(body: bytes) -> CancelRequest:
    if not SECRET_BYTES_MIN <= len(body) - 8 <= SECRET_BYTES_MAX:
        raise violation("invalid length of query cancel packet")
    return CancelRequest(int(INT32.unpack_from(body, 4)[0]), body[8:])


def _read_parameters(body: bytes) -> dict[str, str]:
    reader = Reader(body)
    reader.at = 4
    parameters: dict[str, str] = {}
    try:
        while name := reader.string():
            parameters[name.decode()] = reader.string().decode()
        reader.end()
    except UnicodeDecodeError:
        raise LoginFailed("the startup packet is not valid UTF-8", sqlstate="22021") from None
    except ProtocolViolation:
        raise violation(INVALID_LAYOUT) from None
    return parameters


def _startup(requested: int, parameters: dict[str, str]) -> Startup:
    _refuse_replication(parameters.get("replication", "false"))
    user = parameters.get("user", "")
    if not user:
        raise LoginFailed("no PostgreSQL user name specified in startup packet", sqlstate="28000")
    # 3.1 was never released. PostgreSQL 15 negotiates it down; 18 speaks 3.0 and calls it 3.1
    minor = LATEST_MINOR if requested >= LATEST_MINOR else 0
    unrecognised = tuple(name for name in parameters if name.startswith(_PROTOCOL_OPTION))
    negotiation = b""
    if requested != minor or unrecognised:
        negotiation = negotiate_protocol_version(minor, unrecognised)
    return Startup(
        minor=minor,
        user=user,
        database=parameters.get("database") or user,
        parameters=parameters,
        settings=_settings(parameters),
        negotiation=negotiation,
    )


def _settings(parameters: Mapping[str, str]) -> dict[str, str]:
    """Settings of ``options``, then those of the packet itself, which win, as in PostgreSQL."""
    settings = parse_options(parameters.get("options", ""))
    for name, value in parameters.items():
        if name not in ("user", "database", "options", "replication") and not name.startswith(
            _PROTOCOL_OPTION
        ):
            settings[name.lower()] = value
    for name in settings:
        if not is_session_setting(name):
            raise LoginFailed(
                f'unrecognized configuration parameter "{name}"',
                sqlstate="42704",
                hint="Only settings that every user may change in a session are accepted at startup.",
            )
    encoding = settings.get("client_encoding")
    if encoding is not None and not is_safe_encoding(encoding):
        raise LoginFailed(
            f'invalid value for parameter "client_encoding": "{encoding}"',
            sqlstate="22023",
            detail="Characters of SJIS, BIG5, GBK, GB18030, UHC and JOHAB may contain ASCII bytes.",
            hint="Use UTF8.",
        )
    return settings


def _refuse_replication(value: str) -> None:
    switch = value.lower()
    if _means(switch, _FALSE):
        return
    if switch == "database" or _means(switch, _TRUE):
        raise LoginFailed(
            "replication connections are not accepted",
            sqlstate="0A000",
            hint="Connect to a shard's server directly to replicate from it.",
        )
    raise LoginFailed(
        f'invalid value for parameter "replication": "{value}"',
        sqlstate="22023",
        hint='Valid values are: "false", 0, "true", 1, "database".',
    )


def _means(value: str, words: tuple[str, ...]) -> bool:
    """Whether ``value`` is one of ``words`` or an unambiguous beginning of it (PostgreSQL's boolean)."""
    return value not in ("", "o") and any(word.startswith(value) for word in words)

"""What a client sends: builders for what we send to servers, parsers for what applications send to us.

Builders return whole messages (type, length, body). Parsers take the body alone and raise
:class:`~shardproxy.errors.ProtocolViolation` in PostgreSQL's wording for anything malformed. Statement and
portal names stay ``bytes``: they are opaque, and in the client's encoding. (Manual, "Message Formats".)
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from shardproxy.wire.reader import (
    INSUFFICIENT_DATA,
    INT16,
    INT32,
    INVALID_FORMAT,
    INVALID_STRING,
    Reader,
    violation,
)

Kind: TypeAlias = Literal[b"S", b"P"]
"""What Describe and Close name: a prepared statement or a portal."""

SYNC: Final = b"S\0\0\0\4"
FLUSH: Final = b"H\0\0\0\4"
TERMINATE: Final = b"X\0\0\0\4"
COPY_DONE: Final = b"c\0\0\0\4"

SSL_REQUEST_CODE: Final = 80877103
GSSENC_REQUEST_CODE: Final = 80877104
CANCEL_REQUEST_CODE: Final = 80877102
SSL_REQUEST: Final = struct.pack("!ii", 8, SSL_REQUEST_CODE)
GSSENC_REQUEST: Final = struct.pack("!ii", 8, GSSENC_REQUEST_CODE)

PROTOCOL_MAJOR: Final = 3

_TYPED = struct.Struct("!ci")
_pack_header = _TYPED.pack
_unpack_int16 = INT16.unpack_from
_unpack_int32 = INT32.unpack_from


class Parse(NamedTuple):
    """Parse: a statement to prepare; ``oids`` are the parameter types as sent (0: the server decides)."""

    name: bytes
    text: bytes
    oids: tuple[int, ...]


class Bind(NamedTuple):
    """Bind: values for a prepared statement. A value is the raw bytes, or None for NULL.

    ``formats`` and ``result_formats`` are as sent: empty (all text), one for all, or one each (see
    :meth:`format_of`).
    """

    portal: bytes
    statement: bytes
    formats: tuple[int, ...]
    values: tuple[bytes | None, ...]
    result_formats: tuple[int, ...]

    def format_of(self, index: int) -> int:
        """The format code of parameter ``index`` (from 0): 0 text, 1 binary, else the client's mistake."""
        formats = self.formats
        if not formats:
            return 0
        return formats[0] if len(formats) == 1 else formats[index]


class Describe(NamedTuple):
    """Describe: ``kind`` is ``b"S"`` for a prepared statement, ``b"P"`` for a portal."""

    kind: Kind
    name: bytes


class Execute(NamedTuple):
    """Execute: run a portal; ``limit`` rows at most, 0 or less for all."""

    portal: bytes
    limit: int


class Close(NamedTuple):
    """Close: ``kind`` is ``b"S"`` for a prepared statement, ``b"P"`` for a portal."""

    kind: Kind
    name: bytes


class SaslInitial(NamedTuple):
    """SASLInitialResponse: the chosen mechanism and the client's first message (None: not sent with it)."""

    mechanism: str
    data: bytes | None


# --- builders -------------------------------------------------------------------------------------


def message(kind: bytes, body: bytes) -> bytes:
    """A whole message of one-byte type ``kind``."""
    return _pack_header(kind, len(body) + 4) + body


def query(sql: bytes) -> bytes:
    """Query: simple protocol; ``sql`` without its NUL."""
    return message(b"Q", _string(sql))


def parse(name: bytes, sql: bytes, oids: Sequence[int] = ()) -> bytes:
    """Parse: prepare ``sql`` under ``name`` (empty: the unnamed statement)."""
    types = struct.pack(f"!H{len(oids)}I", len(oids), *oids)
    return message(b"P", _string(name) + _string(sql) + types)


def bind(
    portal: bytes,
    name: bytes,
    formats: Sequence[int] = (),
    values: Sequence[bytes | None] = (),
    result_formats: Sequence[int] = (),
) -> bytes:
    """Bind: ``values`` are already encoded in the given ``formats``; None is NULL."""
    parts = [_string(portal), _string(name), _formats(formats), INT16.pack(len(values))]
    for value in values:
        parts.append(INT32.pack(-1) if value is None else INT32.pack(len(value)) + value)
    parts.append(_formats(result_formats))
    return message(b"B", b"".join(parts))


def describe(kind: Kind, name: bytes) -> bytes:
    """Describe a prepared statement (``b"S"``) or a portal (``b"P"``)."""
    return message(b"D", kind + _string(name))


def execute(portal: bytes = b"", limit: int = 0) -> bytes:
    """Execute a portal; ``limit`` 0 means all rows."""
    return message(b"E", _string(portal) + INT32.pack(limit))


def close(kind: Kind, name: bytes) -> bytes:
    """Close a prepared statement (``b"S"``) or a portal (``b"P"``)."""
    return message(b"C", kind + _string(name))


def copy_data(data: bytes) -> bytes:
    """CopyData: a piece of a COPY stream; its borders mean nothing."""
    return message(b"d", data)


def copy_fail(reason: str) -> bytes:
    """CopyFail: make the server fail the COPY with ``reason``."""
    return message(b"f", _text(reason))


def password_message(password: str | bytes) -> bytes:
    """PasswordMessage: a cleartext password, or an MD5 response. Raises ValueError for an embedded NUL."""
    return message(b"p", _string(password.encode() if isinstance(password, str) else password))


def sasl_initial_response(mechanism: str, data: bytes) -> bytes:
    """SASLInitialResponse: the chosen mechanism and the client-first message."""
    return message(b"p", _text(mechanism) + INT32.pack(len(data)) + data)


def sasl_response(data: bytes) -> bytes:
    """SASLResponse: the client-final message."""
    return message(b"p", data)


def startup(parameters: Mapping[str, str], minor: int = 0) -> bytes:
    """StartupMessage of protocol 3.``minor``; it has no type byte."""
    pairs = b"".join(_text(name) + _text(value) for name, value in parameters.items())
    version = PROTOCOL_MAJOR << 16 | minor
    return struct.pack("!ii", len(pairs) + 9, version) + pairs + b"\0"


def cancel_request(pid: int, secret: bytes) -> bytes:
    """CancelRequest: sent alone on a new connection; ``secret`` as BackendKeyData gave it."""
    return struct.pack("!iii", len(secret) + 12, CANCEL_REQUEST_CODE, pid) + secret


def rename_statement(body: bytes, name: bytes) -> bytes:
    """The Bind message of ``body`` with another statement name; nothing else is re-encoded."""
    end = body.find(0)
    stop = body.find(0, end + 1)
    if end < 0 or stop < 0:
        raise violation(INVALID_STRING)
    head = end + 1
    return b"".join(
        (_pack_header(b"B", len(body) + 4 - stop + head + len(name)), body[:head], name, body[stop:])
    )


def rename_parse(body: bytes, name: bytes) -> bytes:
    """The Parse message of ``body`` with another statement name; nothing else is re-encoded."""
    end = body.find(0)
    if end < 0:
        raise violation(INVALID_STRING)
    return b"".join((_pack_header(b"P", len(body) + 4 - end + len(name)), name, body[end:]))


# --- parsers --------------------------------------------------------------------------------------


def parse_query(body: bytes) -> bytes:
    """The text of a Query without its NUL. A NUL inside is refused: what follows it would go unread."""
    end = body.find(0)
    if end < 0:
        raise violation(INVALID_STRING)
    if end != len(body) - 1:
        raise violation(INVALID_FORMAT)
    return body[:end]


def parse_parse(body: bytes) -> Parse:
    """The fields of a Parse message."""
    reader = Reader(body)
    name, text = reader.string(), reader.string()
    oids = reader.oids(reader.int16())
    reader.end()
    return Parse(name, text, oids)


def parse_bind(body: bytes) -> Bind:
    """The fields of a Bind message. Straight code, not :class:`Reader`: every parametrised query passes."""
    end = body.find(0)
    stop = body.find(0, end + 1)
    if end < 0 or stop < 0:
        raise violation(INVALID_STRING)
    try:
        formats, at = _read_formats(body, stop + 1)
        count = _unpack_int16(body, at)[0]
        at += 2
        if len(formats) > 1 and len(formats) != count:
            raise violation(f"bind message has {len(formats)} parameter formats but {count} parameters")
        values: list[bytes | None] = []
        size = len(body)
        for _ in range(count):
            length = _unpack_int32(body, at)[0]
            at += 4
            if length == -1:
                values.append(None)
                continue
            next_at = at + length
            if length < 0 or next_at > size:
                raise violation(INSUFFICIENT_DATA)
            values.append(body[at:next_at])
            at = next_at
        result_formats, at = _read_formats(body, at)
    except struct.error:
        raise violation(INSUFFICIENT_DATA) from None
    if at != size:
        raise violation(INVALID_FORMAT)
    return Bind(body[:end], body[end + 1 : stop], formats, tuple(values), result_formats)


def parse_describe(body: bytes) -> Describe:
    """The fields of a Describe message."""
    return Describe(*_parse_target(body, "DESCRIBE"))


def parse_close(body: bytes) -> Close:
    """The fields of a Close message."""
    return Close(*_parse_target(body, "CLOSE"))


def parse_execute(body: bytes) -> Execute:
    """The fields of an Execute message."""
    reader = Reader(body)
    portal, limit = reader.string(), reader.int32()
    reader.end()
    return Execute(portal, limit)


def parse_copy_fail(body: bytes) -> str:
    """The reason a client gives for ending its COPY."""
    reader = Reader(body)
    reason = reader.string()
    reader.end()
    return reason.decode("utf-8", "replace")


def parse_empty(body: bytes) -> None:
    """Checks a message that has no fields: Sync, Flush, Terminate, CopyDone."""
    if body:
        raise violation(INVALID_FORMAT)


def parse_password(body: bytes) -> bytes:
    """The cleartext password or MD5 response of a PasswordMessage, without its NUL."""
    reader = Reader(body)
    password = reader.string()
    if reader.more():
        raise violation("invalid password packet size")
    return password


def parse_sasl_initial_response(body: bytes) -> SaslInitial:
    """The fields of a SASLInitialResponse; the mechanism's name is not checked against what was offered."""
    reader = Reader(body)
    mechanism = reader.string().decode("ascii", "replace")
    length = reader.int32()
    data = None if length == -1 else reader.take(length)
    reader.end()
    return SaslInitial(mechanism, data)


# --- fields ---------------------------------------------------------------------------------------


def _parse_target(body: bytes, verb: str) -> tuple[Kind, bytes]:
    reader = Reader(body)
    code = reader.byte()
    name = reader.string()
    reader.end()
    if code == 0x53:
        return b"S", name
    if code == 0x50:
        return b"P", name
    raise violation(f"invalid {verb} message subtype {code}")


def _read_formats(body: bytes, at: int) -> tuple[tuple[int, ...], int]:
    """Format codes at ``at``, and the offset after them; ``struct.error`` when the body is too short."""
    count = _unpack_int16(body, at)[0]
    at += 2
    if count == 0:
        return (), at
    if count == 1:
        return _unpack_int16(body, at), at + 2
    return struct.unpack_from(f"!{count}H", body, at), at + 2 * count


def _formats(codes: Sequence[int]) -> bytes:
    return struct.pack(f"!H{len(codes)}H", len(codes), *codes)


def _string(value: bytes) -> bytes:
    """``value`` with its NUL. A NUL inside would let a value become the next field."""
    if 0 in value:
        raise ValueError("a string in a protocol message cannot contain NUL")
    return value + b"\0"


def _text(value: str) -> bytes:
    return _string(value.encode())

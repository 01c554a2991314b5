"""What a client sends: builders for what we send to servers, parsers for what applications send to us.

Builders return whole messages (type, length, body). Parsers take the body alone and raise
:class:`~shardproxy.errors.ProtocolViolation` in PostgreSQL's wording for anything malformed. Statement and
portal names stay ``bytes``: they are opaque, and in the client's encoding. (Manual, "Message Formats".)
A compiled leaf; what every query consists of is parsed by straight code instead of a :class:`Reader`. C types
are in ``client_messages.pxd``.
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
    NO_DATA_LEFT,
    Reader,
    violation,
)

Kind: TypeAlias = Literal[b"S", b"P"]
"""What Describe and Close name: a prepared statement or a portal."""

SYNC: Final = b"S\0\0\0\4"
FLUSH: Final = b"H\0\0\0\4"
TERMINATE: Final = b"X\0\0\0\4"
COPY_DONE: Final = b"c\0\0\0\4"
DESCRIBE_UNNAMED: Final = b"D\0\0\0\6P\0"
EXECUTE_UNNAMED: Final = b"E\0\0\0\x09\0\0\0\0\0"
"""Describe and Execute (all rows) of the unnamed portal, as drivers send them with most queries."""

SSL_REQUEST_CODE: Final = 80877103
GSSENC_REQUEST_CODE: Final = 80877104
CANCEL_REQUEST_CODE: Final = 80877102
NULL: Final = 0xFFFFFFFF
"""The length of a value that is NULL: -1, read without its sign."""
INT32_MAX: Final = 0x7FFFFFFF
SSL_REQUEST: Final = struct.pack("!ii", 8, SSL_REQUEST_CODE)
GSSENC_REQUEST: Final = struct.pack("!ii", 8, GSSENC_REQUEST_CODE)

PROTOCOL_MAJOR: Final = 3

_TYPED = struct.Struct("!ci")
_pack_header = _TYPED.pack


Bind: TypeAlias = tuple[bytes, bytes, tuple[int, ...], tuple[bytes | None, ...], tuple[int, ...]]
"""Portal, statement, formats, values (raw bytes, None for NULL) and result formats of a Bind.

Formats are as sent: empty (all text), one for all, or one each; 0 is text, 1 binary.
"""


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
    view = body
    size = len(body)
    end = _end(body, 0)
    stop = _end(body, end + 1)
    if end < 0 or stop < 0:
        raise violation(INVALID_STRING)
    head = end + 1
    header = _pack_header(b"B", size + 4 - stop + head + len(name))
    return b"".join((header, view[:head], name, view[stop:size]))


def rename_parse(body: bytes, name: bytes) -> bytes:
    """The Parse message of ``body`` with another statement name; nothing else is re-encoded."""
    end = body.find(0)
    if end < 0:
        raise violation(INVALID_STRING)
    return b"".join((_pack_header(b"P", len(body) + 4 - end + len(name)), name, body[end:]))


# --- parsers --------------------------------------------------------------------------------------


def parse_query(body: bytes) -> bytes:
    """The text of a Query without its NUL. A NUL inside is refused: what follows it would go unread."""
    view = body
    end = body.find(0)
    if end < 0:
        raise violation(INVALID_STRING)
    if end != len(body) - 1:
        raise violation(INVALID_FORMAT)
    return view[:end]


def parse_parse(body: bytes) -> tuple[bytes, bytes, tuple[int, ...]]:
    """Name, text and parameter types (0: the server decides) of a Parse message."""
    view = body
    end = _end(body, 0)
    stop = _end(body, end + 1)
    if end < 0 or stop < 0:
        raise violation(INVALID_STRING)
    size = len(body)
    at = stop + 3
    if at > size:
        raise violation(INSUFFICIENT_DATA)
    count = _int16(body, stop + 1)
    if at + 4 * count != size:
        raise violation(INSUFFICIENT_DATA if at + 4 * count > size else INVALID_FORMAT)
    oids = struct.unpack_from(f"!{count}I", body, at) if count else ()
    return view[:end], view[end + 1 : stop], oids


def parse_bind(body: bytes) -> Bind:
    """The fields of a Bind message."""
    view = body
    end = _end(body, 0)
    stop = _end(body, end + 1)
    if end < 0 or stop < 0:
        raise violation(INVALID_STRING)
    size = len(body)
    formats = _formats_at(body, stop + 1, size)
    at = stop + 3 + 2 * len(formats)
    if at + 2 > size:
        raise violation(INSUFFICIENT_DATA)
    count = _int16(body, at)
    at += 2
    if len(formats) > 1 and len(formats) != count:
        raise violation(f"bind message has {len(formats)} parameter formats but {count} parameters")
    values: list[bytes | None] = []
    for _ in range(count):
        if at + 4 > size:
            raise violation(INSUFFICIENT_DATA)
        length = _int32(body, at)
        at += 4
        if length == NULL:
            values.append(None)
            continue
        if length > size - at:  # a negative one, too, is a large one here
            raise violation(INSUFFICIENT_DATA)
        values.append(view[at : at + length])
        at += length
    result_formats = _formats_at(body, at, size)
    if at + 2 + 2 * len(result_formats) != size:
        raise violation(INVALID_FORMAT)
    return view[:end], view[end + 1 : stop], formats, tuple(values), result_formats


def parse_describe(body: bytes) -> tuple[Kind, bytes]:
    """What a Describe message names: its kind, and the name."""
    return _parse_target(body, "DESCRIBE")


def parse_close(body: bytes) -> tuple[Kind, bytes]:
    """What a Close message names: its kind, and the name."""
    return _parse_target(body, "CLOSE")


def parse_execute(body: bytes) -> tuple[bytes, int]:
    """The portal of an Execute message, and how many rows at most, 0 or less for all."""
    view = body
    end = _end(body, 0)
    if end < 0:
        raise violation(INVALID_STRING)
    if end + 5 != len(body):
        raise violation(INSUFFICIENT_DATA if end + 5 > len(body) else INVALID_FORMAT)
    limit = _int32(body, end + 1)
    return view[:end], limit if limit <= INT32_MAX else limit - 2 * INT32_MAX - 2


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
    view = body
    if not body:
        raise violation(NO_DATA_LEFT)
    end = _end(body, 1)
    if end != len(body) - 1:
        raise violation(INVALID_STRING if end < 0 else INVALID_FORMAT)
    code = view[0]
    if code == 0x53:
        return b"S", view[1:end]
    if code == 0x50:
        return b"P", view[1:end]
    raise violation(f"invalid {verb} message subtype {code}")


def _end(body: bytes, at: int) -> int:
    """Where the string at ``at`` ends, most often an empty name; -1: nowhere."""
    view = body
    return at if at < len(body) and view[at] == 0 else body.find(0, at)


def _int16(body: bytes, at: int) -> int:
    """The unsigned 16-bit integer at ``at``, which the caller has found to be within ``body``."""
    view = body
    return (view[at] << 8) | view[at + 1]


def _int32(body: bytes, at: int) -> int:
    """The same of 32 bits."""
    view = body
    value = view[at]
    value = (value << 8) | view[at + 1]
    value = (value << 8) | view[at + 2]
    return (value << 8) | view[at + 3]


def _formats_at(body: bytes, at: int, size: int) -> tuple[int, ...]:
    """The format codes at ``at``, behind their number."""
    if at + 2 > size:
        raise violation(INSUFFICIENT_DATA)
    count = _int16(body, at)
    if count == 0:
        return ()
    if at + 2 + 2 * count > size:
        raise violation(INSUFFICIENT_DATA)
    return tuple([_int16(body, at + 2 + 2 * i) for i in range(count)])


def _formats(codes: Sequence[int]) -> bytes:
    return struct.pack(f"!H{len(codes)}H", len(codes), *codes)


def _string(value: bytes) -> bytes:
    """``value`` with its NUL. A NUL inside would let a value become the next field."""
    if 0 in value:
        raise ValueError("a string in a protocol message cannot contain NUL")
    return value + b"\0"


def _text(value: str) -> bytes:
    return _string(value.encode())

"""What PostgreSQL sends: builders for what applications get, parsers for the few messages we look into.

Builders return whole messages (type, length, body); their text is ``str``, sent as UTF-8. Parsers take the
body alone and raise :class:`~shardproxy.errors.ProtocolViolation`, blamed on the server, for anything
malformed; those of errors and notices never fail. (Manual, "Message Formats" and "Error and Notice Message
Fields".)
"""

import re
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from shardproxy.errors import Blame, ShardproxyError
from shardproxy.wire.reader import INT16, INT32, Reader

READY_IDLE: Final = 0x49
"""``I``: not in a transaction."""
READY_TRANSACTION: Final = 0x54
"""``T``: in a transaction."""
READY_FAILED: Final = 0x45
"""``E``: in a failed transaction."""

AUTHENTICATION_OK: Final = 0
AUTHENTICATION_CLEARTEXT: Final = 3
AUTHENTICATION_MD5: Final = 5
AUTHENTICATION_SASL: Final = 10
AUTHENTICATION_SASL_CONTINUE: Final = 11
AUTHENTICATION_SASL_FINAL: Final = 12

PARSE_COMPLETE: Final = b"1\0\0\0\4"
BIND_COMPLETE: Final = b"2\0\0\0\4"
CLOSE_COMPLETE: Final = b"3\0\0\0\4"
NO_DATA: Final = b"n\0\0\0\4"
EMPTY_QUERY: Final = b"I\0\0\0\4"
PORTAL_SUSPENDED: Final = b"s\0\0\0\4"

SECRET_BYTES_MIN: Final = 4
SECRET_BYTES_MAX: Final = 256

TEXT_OID: Final = 25

RECORD_OID: Final = 2249
FIRST_OWN_OID: Final = 10_000
"""OIDs from here on are given by each server itself (FirstGenbkiObjectId)."""

OUR_NAME: Final = b'"sp_'
"""How errors begin to quote the name of a prepared statement of ours on a server."""
_OUR_WHOLE_NAME: Final = re.compile(rb'"sp_[0-9a-f]{24}"')

_HEADER = struct.Struct("!ci")
_COLUMN = struct.Struct("!IhIhih")
_POSITION = 0x50  # the "P" field


class Column(NamedTuple):
    """One column of a RowDescription; the defaults are those of a computed text column in text format."""

    name: str
    type_oid: int = TEXT_OID
    table_oid: int = 0
    attribute: int = 0
    type_size: int = -1
    type_modifier: int = -1
    format: int = 0


class BackendKeyData(NamedTuple):
    """What a cancel request must carry; ``secret`` is 4 bytes in protocol 3.0, up to 256 from 3.2 on."""

    pid: int
    secret: bytes


class Authentication(NamedTuple):
    """An authentication request: one of the ``AUTHENTICATION_*`` codes and what follows it."""

    code: int
    data: bytes


class Negotiation(NamedTuple):
    """NegotiateProtocolVersion: the newest minor version the server speaks, and the options it ignores."""

    minor: int
    unrecognised: tuple[str, ...]


# --- builders -------------------------------------------------------------------------------------


def error_response(error: ShardproxyError) -> bytes:
    """ErrorResponse. The non-localised severity (``V``) repeats ``S``, as every client since 9.6 expects."""
    fields = [("S", error.severity), ("V", error.severity), ("C", error.sqlstate), ("M", error.message)]
    if error.detail:
        fields.append(("D", error.detail))
    if error.hint:
        fields.append(("H", error.hint))
    if error.position > 0:
        fields.append(("P", str(error.position)))
    return _message(b"E", _fields(fields))


def notice_response(severity: str, sqlstate: str, message: str) -> bytes:
    """NoticeResponse; ``severity`` is WARNING, NOTICE, DEBUG, INFO or LOG."""
    return _message(b"N", _fields([("S", severity), ("V", severity), ("C", sqlstate), ("M", message)]))


def ready_for_query(status: int) -> bytes:
    """ReadyForQuery with one of READY_IDLE, READY_TRANSACTION, READY_FAILED."""
    return b"Z\0\0\0\5" + bytes((status,))


def command_complete(tag: str) -> bytes:
    """CommandComplete, for example ``"SELECT 1"``."""
    return _message(b"C", _text(tag))


def parameter_status(name: str, value: str) -> bytes:
    """ParameterStatus: the current value of a reported setting."""
    return _message(b"S", _text(name) + _text(value))


def backend_key_data(pid: int, secret: bytes) -> bytes:
    """BackendKeyData. Before protocol 3.2 ``secret`` must have 4 bytes."""
    return _message(b"K", INT32.pack(pid) + secret)


def negotiate_protocol_version(minor: int, unrecognised: Sequence[str] = ()) -> bytes:
    """NegotiateProtocolVersion. It holds the whole version (3 << 16 | minor), as PostgreSQL sends it."""
    names = b"".join(_text(name) for name in unrecognised)
    return _message(b"v", struct.pack("!ii", 3 << 16 | minor, len(unrecognised)) + names)


def authentication_ok() -> bytes:
    """AuthenticationOk: the client is who it says."""
    return _authentication(AUTHENTICATION_OK)


def authentication_cleartext() -> bytes:
    """AuthenticationCleartextPassword."""
    return _authentication(AUTHENTICATION_CLEARTEXT)


def authentication_md5(salt: bytes) -> bytes:
    """AuthenticationMD5Password with its 4-byte salt."""
    return _authentication(AUTHENTICATION_MD5, salt)


def authentication_sasl(mechanisms: Sequence[str]) -> bytes:
    """AuthenticationSASL: the mechanisms offered, best first."""
    return _authentication(AUTHENTICATION_SASL, b"".join(_text(name) for name in mechanisms) + b"\0")


def authentication_sasl_continue(data: bytes) -> bytes:
    """AuthenticationSASLContinue: the server-first message."""
    return _authentication(AUTHENTICATION_SASL_CONTINUE, data)


def authentication_sasl_final(data: bytes) -> bytes:
    """AuthenticationSASLFinal: the server's proof."""
    return _authentication(AUTHENTICATION_SASL_FINAL, data)


def row_description(columns: Sequence[Column]) -> bytes:
    """RowDescription."""
    parts = [INT16.pack(len(columns))]
    for column in columns:
        parts.append(_text(column.name))
        parts.append(
            _COLUMN.pack(
                column.table_oid,
                column.attribute,
                column.type_oid,
                column.type_size,
                column.type_modifier,
                column.format,
            )
        )
    return _message(b"T", b"".join(parts))


def data_row(values: Sequence[str | None]) -> bytes:
    """DataRow with every value in text format; None is NULL."""
    parts = [INT16.pack(len(values))]
    for value in values:
        if value is None:
            parts.append(b"\xff\xff\xff\xff")
        else:
            encoded = value.encode("utf-8", "backslashreplace")
            parts.append(INT32.pack(len(encoded)) + encoded)
    return _message(b"D", b"".join(parts))


def parameter_description(oids: Sequence[int]) -> bytes:
    """ParameterDescription: the types of a prepared statement's parameters."""
    return _message(b"t", struct.pack(f"!H{len(oids)}I", len(oids), *oids))


# --- parsers --------------------------------------------------------------------------------------


def parse_error(body: bytes) -> dict[str, str]:
    """The fields of an ErrorResponse or NoticeResponse by their letter.

    Never fails: a field may be missing, unknown or cut off, and undecodable bytes become U+FFFD, because an
    error must reach whoever waits for it whatever the server made of it.
    """
    return {chr(body[start]): body[start + 1 : end].decode("utf-8", "replace") for start, end in _spans(body)}


def shift_error_position(message: bytes, delta: int) -> bytes:
    """A whole ErrorResponse or NoticeResponse whose ``P`` field (characters from 1) is moved by ``delta``.

    For statements that were rewritten before they were sent. The result is at least 1; a message without a
    readable ``P`` comes back as it is.
    """
    body = message[5:]
    for start, end in _spans(body):
        digits = body[start + 1 : end]
        if body[start] != _POSITION or not digits.isdigit() or len(digits) > 10:
            continue
        moved = str(max(1, int(digits) + delta)).encode()
        return _message(message[:1], body[: start + 1] + moved + body[end:])
    return message


def without_position(message: bytes) -> bytes:
    """A whole ErrorResponse without its ``P`` field, which would point into a text the client never wrote."""
    body = message[5:]
    for start, end in _spans(body):
        if body[start] == _POSITION:
            return _message(message[:1], body[:start] + body[end + 1 :])
    return message


def without_statement_name(message: bytes) -> bytes:
    """A whole ErrorResponse in which a prepared statement of ours is the client's unnamed one."""
    if OUR_NAME not in message:
        return message
    return _message(message[:1], _OUR_WHOLE_NAME.sub(b'""', message[5:]))


def is_stale(body: bytes) -> bool:
    """Whether an ErrorResponse says that prepared statements of ours are gone, or no longer return what they
    did. A server says so at Bind and at Describe, before it does anything.
    """
    return (b"C0A000\0" in body and b"\0RRevalidateCachedQuery\0" in body) or (
        b"C26000\0" in body and OUR_NAME in body
    )


def shape_of(parameters: bytes, row: bytes) -> bytes:
    """What a prepared statement takes and returns, as far as it is the same on every server: the types of its
    parameters, and the names, types and type modifiers of its columns.

    ``parameters`` is the body of a ParameterDescription, ``row`` a whole RowDescription or NoData. Types that
    are not PostgreSQL's own have OIDs of their own on each server, and records may be of one: all are alike.
    """
    oids = [_common_oid(oid) for oid in parse_parameter_description(parameters)]
    columns = parse_row_description(row[5:]) if row[:1] == b"T" else ()
    named = [(column.name, _common_oid(column.type_oid), column.type_modifier) for column in columns]
    return repr((oids, named)).encode()


def _common_oid(oid: int) -> int:
    return 0 if oid >= FIRST_OWN_OID or oid == RECORD_OID else oid


def parse_parameter_status(body: bytes) -> tuple[str, str]:
    """Name and value of a ParameterStatus."""
    reader = Reader(body, Blame.SERVER)
    name, value = reader.string(), reader.string()
    reader.end()
    return name.decode("utf-8", "replace"), value.decode("utf-8", "replace")


def parse_backend_key_data(body: bytes) -> BackendKeyData:
    """Process and secret of a BackendKeyData; the secret has 4 to 256 bytes."""
    reader = Reader(body, Blame.SERVER)
    pid, secret = reader.int32(), reader.rest()
    if not SECRET_BYTES_MIN <= len(secret) <= SECRET_BYTES_MAX:
        raise reader.fail(f"invalid BackendKeyData message: cancel key of {len(secret)} bytes")
    return BackendKeyData(pid, secret)


def parse_parameter_description(body: bytes) -> tuple[int, ...]:
    """The type oids of a ParameterDescription."""
    reader = Reader(body, Blame.SERVER)
    oids = reader.oids(reader.int16())
    reader.end()
    return oids


def parse_row_description(body: bytes) -> tuple[Column, ...]:
    """The columns of a RowDescription."""
    reader = Reader(body, Blame.SERVER)
    columns = []
    for _ in range(reader.int16()):
        name = reader.string().decode("utf-8", "replace")
        table, attribute, oid, size, modifier, code = _COLUMN.unpack(reader.take(_COLUMN.size))
        columns.append(Column(name, oid, table, attribute, size, modifier, code))
    reader.end()
    return tuple(columns)


def with_formats(row: bytes, formats: Sequence[int]) -> bytes:
    """A whole RowDescription of a statement as it describes a portal bound with these result formats.

    None: all text; one: for all columns; else one for each. NoData comes back as it is.
    """
    if row[:1] != b"T" or not formats:
        return row
    columns = parse_row_description(row[5:])
    each = formats if len(formats) > 1 else [formats[0]] * len(columns)
    return row_description([column._replace(format=code) for column, code in zip(columns, each, strict=True)])


def parse_data_row(body: bytes) -> tuple[bytes | None, ...]:
    """The values of a DataRow as sent; None is NULL. For our own small look-ups, never for relayed rows."""
    reader = Reader(body, Blame.SERVER)
    values: list[bytes | None] = []
    for _ in range(reader.int16()):
        length = reader.int32()
        values.append(None if length == -1 else reader.take(length))
    reader.end()
    return tuple(values)


def parse_command_complete(body: bytes) -> str:
    """The tag of a CommandComplete, for example ``"INSERT 0 3"``."""
    reader = Reader(body, Blame.SERVER)
    tag = reader.string()
    reader.end()
    return tag.decode("utf-8", "replace")


def parse_ready_for_query(body: bytes) -> int:
    """The status of a ReadyForQuery: READY_IDLE, READY_TRANSACTION or READY_FAILED, nothing else."""
    reader = Reader(body, Blame.SERVER)
    status = reader.byte()
    reader.end()
    if status not in (READY_IDLE, READY_TRANSACTION, READY_FAILED):
        raise reader.fail(f"invalid transaction status {status} in ReadyForQuery")
    return status


def parse_authentication(body: bytes) -> Authentication:
    """The code and data of an authentication request; the code may be one we do not know."""
    reader = Reader(body, Blame.SERVER)
    return Authentication(reader.int32(), reader.rest())


def parse_sasl_mechanisms(data: bytes) -> tuple[str, ...]:
    """The mechanisms of an AuthenticationSASL's data, in the server's order."""
    reader = Reader(data, Blame.SERVER)
    names = []
    while name := reader.string():
        names.append(name.decode("ascii", "replace"))
    reader.end()
    return tuple(names)


def parse_negotiate_protocol_version(body: bytes) -> Negotiation:
    """The fields of a NegotiateProtocolVersion. The manual says "minor version", servers send all of it."""
    reader = Reader(body, Blame.SERVER)
    version, count = reader.int32(), reader.int32()
    if version < 0 or version >> 16 not in (0, 3) or count < 0:
        raise reader.fail("invalid NegotiateProtocolVersion message")
    names = []
    for _ in range(count):  # each takes at least a byte or fails, so a huge count ends with the body
        names.append(reader.string().decode("utf-8", "replace"))
    reader.end()
    return Negotiation(version & 0xFFFF, tuple(names))


# --- fields ---------------------------------------------------------------------------------------


def _message(kind: bytes, body: bytes) -> bytes:
    return _HEADER.pack(kind, len(body) + 4) + body


def _authentication(code: int, data: bytes = b"") -> bytes:
    return _message(b"R", INT32.pack(code) + data)


def _fields(fields: Sequence[tuple[str, str]]) -> bytes:
    return b"".join(letter.encode() + _text(value) for letter, value in fields) + b"\0"


def _text(value: str) -> bytes:
    """``value`` with its NUL. A NUL inside would start a new field, so it is shown as ``\\0``."""
    return value.replace("\0", "\\0").encode("utf-8", "backslashreplace") + b"\0"


def _spans(body: bytes) -> list[tuple[int, int]]:
    """The fields of an error: offset of the letter, offset of the NUL (the end, when it is cut off)."""
    spans = []
    at = 0
    while at < len(body) and body[at]:
        end = body.find(0, at + 1)
        if end < 0:
            end = len(body)
        spans.append((at, end))
        at = end + 1
    return spans

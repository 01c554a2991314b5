"""Server messages as lines that people read, so that a protocol test fails as a readable difference.

What legitimately differs between two servers is left out: process ids, object ids of tables, and the source
file of an error.
"""

from collections.abc import Iterable

from shardproxy.wire import server_messages as msg
from shardproxy.wire.frames import FrameReader

ERROR_FIELDS = "VCMDHPpqWstcdn"
"""The fields of errors and notices that are compared: all but the translated severity, and F, L and R."""

_BARE = {
    "1": "ParseComplete",
    "2": "BindComplete",
    "3": "CloseComplete",
    "n": "NoData",
    "I": "EmptyQueryResponse",
    "s": "PortalSuspended",
    "c": "CopyDone",
}


def line(kind: int, body: bytes) -> str:
    """One message, for example ``CommandComplete SELECT 1``."""
    code = chr(kind)
    if code in _BARE:
        return _BARE[code] if not body else f"{_BARE[code]} with {body!r}"
    describe = _WITH_BODY.get(code)
    return f"message {code!r} {body!r}" if describe is None else describe(body)


def lines(messages: Iterable[tuple[int, bytes]]) -> list[str]:
    """Every message; ParameterStatus in the order of names where several follow one another."""
    found: list[str] = []
    run: list[str] = []
    for kind, body in messages:
        text = line(kind, body)
        if kind == ord("S"):
            run.append(text)
            continue
        found += sorted(run)
        run = []
        found.append(text)
    return found + sorted(run)


def of(data: bytes) -> list[str]:
    """The messages in ``data``, which must be whole ones."""
    reader = FrameReader(1 << 30)
    found = lines(reader.feed(data))
    if reader.buffered:
        found.append(f"unfinished message of {reader.buffered} bytes")
    return found


def _row(body: bytes) -> str:
    return "DataRow " + " ".join(_value(value) for value in msg.parse_data_row(body))


def _value(value: bytes | None) -> str:
    if value is None:
        return "NULL"
    if len(value) > 200:
        return f"{value[:20]!r}...({len(value)} bytes)"
    return repr(value)[1:]


def _columns(body: bytes) -> str:
    described = (
        f"{column.name}:{column.type_oid}/{column.type_size}/{column.type_modifier}"
        f"{f'@{column.attribute}' if column.table_oid else ''}{' binary' if column.format else ''}"
        for column in msg.parse_row_description(body)
    )
    return f"RowDescription {', '.join(described)}"


def _fields(name: str, body: bytes) -> str:
    fields = msg.parse_error(body)
    return f"{name} " + " ".join(f"{key}={fields[key]!r}" for key in ERROR_FIELDS if key in fields)


def _notification(body: bytes) -> str:
    channel, payload = body[4:].rstrip(b"\0").split(b"\0") if body[4:-1].count(0) else (body[4:-1], b"")
    return f"NotificationResponse {channel.decode()} {payload.decode()!r}"


_WITH_BODY = {
    "T": _columns,
    "t": lambda body: f"ParameterDescription {msg.parse_parameter_description(body)}",
    "D": _row,
    "C": lambda body: f"CommandComplete {msg.parse_command_complete(body)}",
    "E": lambda body: _fields("ErrorResponse", body),
    "N": lambda body: _fields("NoticeResponse", body),
    "Z": lambda body: f"ReadyForQuery {chr(msg.parse_ready_for_query(body))}",
    "G": lambda body: f"CopyInResponse {body.hex()}",
    "H": lambda body: f"CopyOutResponse {body.hex()}",
    "d": lambda body: f"CopyData {_value(body)}",
    "S": lambda body: "ParameterStatus {}={}".format(*msg.parse_parameter_status(body)),
    "A": _notification,
}

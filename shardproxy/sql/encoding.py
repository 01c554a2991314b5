"""From the bytes of a client to text: UTF-8, refused in PostgreSQL's words where it is not."""

from shardproxy.errors import StatementError


def decode(text: bytes) -> str:
    """``text`` as str. Raises StatementError 22021, as a server whose encoding is UTF8 does."""
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        sequence = text[error.start : error.start + _announced_length(text[error.start])]
        shown = " ".join(f"0x{byte:02x}" for byte in sequence)
    raise StatementError(f'invalid byte sequence for encoding "UTF8": {shown}', sqlstate="22021")


def _announced_length(first: int) -> int:
    """How many bytes the first one says its character has (pg_utf_mblen): those are shown."""
    if first & 0xE0 == 0xC0:
        return 2
    if first & 0xF0 == 0xE0:
        return 3
    return 4 if first & 0xF8 == 0xF0 else 1

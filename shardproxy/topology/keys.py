"""Sharding keys: the values that decide where a row lives, in one canonical form per key family.

A literal, a text parameter and a binary parameter of the same value become the same :data:`Key`, so they
reach the same bucket, the one the server computes with its own hash functions. The databases are UTF8.
"""

import re
from enum import StrEnum
from typing import Final
from uuid import UUID

from shardproxy.errors import Blame, ShardproxyError
from shardproxy.topology import type_oids
from shardproxy.topology.pghash import hash_bytes_extended, hashint8extended

BUCKETS: Final = 16_384


class KeyFamily(StrEnum):
    """Types whose equal values hash equally, so tables keyed by any of them may be colocated."""

    INTEGER = "integer"  # int2, int4, int8: hashint8extended
    TEXT = "text"  # text, varchar under a deterministic collation: hashtextextended
    UUID = "uuid"  # uuid_hash_extended


INTEGER, TEXT, UUID_FAMILY = KeyFamily
"""The same, found faster: looking up an enum's member costs more than comparing with it."""

Key = int | bytes
"""INTEGER: int; TEXT: the UTF-8 bytes; UUID: its 16 bytes."""


class InvalidKey(ShardproxyError, ValueError):
    """A value is not one of the key's type; worded as the type's input function does.

    22P02 (syntax), 22003 (out of range), 22021 (not UTF-8), 22P03 (wrong binary form) or 42804 (wrong type).
    """

    sqlstate = "22P02"
    blame = Blame.CLIENT


_FAMILIES: Final = {
    type_oids.INT2: KeyFamily.INTEGER,
    type_oids.INT4: KeyFamily.INTEGER,
    type_oids.INT8: KeyFamily.INTEGER,
    type_oids.TEXT: KeyFamily.TEXT,
    type_oids.VARCHAR: KeyFamily.TEXT,
    type_oids.UUID: KeyFamily.UUID,
}
_WIDTHS: Final = {type_oids.INT2: 2, type_oids.INT4: 4, type_oids.INT8: 8, type_oids.UUID: 16}
_INT8_RANGE: Final = range(-(2**63), 2**63)

# The grammar of pg_strtoint64_safe() in numutils.c, PostgreSQL 16 and later; 15 has the plain decimal form
# only and answers the others with its own error.
_INTEGER: Final = re.compile(
    r"[ \t\n\v\f\r]*(?P<sign>[+-]?)"
    r"(?:0[xX](?P<hexadecimal>(?:_?[0-9a-fA-F])+)|0[oO](?P<octal>(?:_?[0-7])+)|0[bB](?P<binary>(?:_?[01])+)"
    r"|(?P<decimal>[0-9](?:_?[0-9])*))"
    r"[ \t\n\v\f\r]*"
)
_BASES: Final = {"hexadecimal": 16, "octal": 8, "binary": 2, "decimal": 10}
_MAX_DIGITS: Final = 64  # of an int8, in binary; int() is never given more, and itself refuses 4,301
# The grammar of string_to_uuid() in uuid.c: hyphens after any group of four digits, braces around all.
_HEX_GROUPS: Final = r"[0-9a-fA-F]{4}(?:-?[0-9a-fA-F]{4}){7}"
_UUID: Final = re.compile(rf"{_HEX_GROUPS}|\{{{_HEX_GROUPS}\}}")


def family_of(type_oid: int) -> KeyFamily | None:
    """The family of a built-in type, None when its values cannot be sharding keys (bpchar, numeric)."""
    return _FAMILIES.get(type_oid)


def bucket(family: KeyFamily, key: Key) -> int:
    """The bucket (0 to 16383) of ``key``: the low 14 bits of PostgreSQL's own extended hash with seed 0."""
    if family is INTEGER:
        return hashint8extended(key) & 16383  # type: ignore[arg-type]
    return hash_bytes_extended(key) & 16383  # type: ignore[arg-type]


def from_text(family: KeyFamily, text: str | bytes) -> Key:
    """The key that the input function of the family's type reads from ``text`` (bytes are UTF-8).

    INTEGER has the range of int8: what only the column's narrower type cannot hold is left to the server.
    Raises InvalidKey.
    """
    if family is TEXT:
        return _text_key(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return _integer_key(text) if family is INTEGER else _uuid_key(text)


def from_binary(type_oid: int, family: KeyFamily, data: bytes) -> Key:
    """The key that the receive function of type ``type_oid`` reads from ``data``. Raises InvalidKey."""
    if _FAMILIES.get(type_oid) is not family:
        raise InvalidKey(
            f"a value of type {type_oids.type_name(type_oid)} is not a key of type {family}", sqlstate="42804"
        )
    if family is TEXT:
        return _text_key(data)
    if len(data) != _WIDTHS[type_oid]:
        raise InvalidKey(
            f"incorrect binary data format for type {type_oids.type_name(type_oid)}", sqlstate="22P03"
        )
    return int.from_bytes(data, "big", signed=True) if family is INTEGER else bytes(data)


def to_text(family: KeyFamily, key: Key) -> str:
    """The key as the output function of its type writes it: for messages, and for SQL once it is quoted."""
    if isinstance(key, int):
        return str(key)
    return str(UUID(bytes=key)) if family is UUID_FAMILY else key.decode()


def _text_key(data: bytes) -> bytes:
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError as error:
            raise _not_utf8(" ".join(f"0x{byte:02x}" for byte in data[error.start : error.end])) from None
    if b"\0" in data:
        raise _not_utf8("0x00")
    return bytes(data)


def _not_utf8(wrong: str) -> InvalidKey:
    return InvalidKey(f'invalid byte sequence for encoding "UTF8": {wrong}', sqlstate="22021")


def _integer_key(text: str) -> int:
    if len(text) < 19 and text.isdecimal() and text.isascii():
        return int(text)
    match = _INTEGER.fullmatch(text)
    if match is None or match.lastgroup is None:
        raise InvalidKey(f'invalid input syntax for type bigint: "{text}"')
    digits = match[match.lastgroup].replace("_", "").lstrip("0") or "0"
    value = int(digits, _BASES[match.lastgroup]) if len(digits) <= _MAX_DIGITS else 2**_MAX_DIGITS
    if match["sign"] == "-":
        value = -value
    if value not in _INT8_RANGE:
        raise InvalidKey(f'value "{text}" is out of range for type bigint', sqlstate="22003")
    return value


def _uuid_key(text: str) -> bytes:
    if _UUID.fullmatch(text) is None:
        raise InvalidKey(f'invalid input syntax for type uuid: "{text}"')
    return bytes.fromhex(text.strip("{}").replace("-", ""))

"""Arrays of sharding keys, as in ``key = ANY($1)``: the elements in array order, None for NULL.

Manual: "Array Input and Output Syntax" (8.15.6); the binary form is array_send()'s in arrayfuncs.c. Arrays of
several dimensions are flattened, as ANY looks at every element. Lower bounds are accepted and ignored.
"""

import re
from collections.abc import Iterator
from struct import Struct
from typing import Final

from shardproxy.topology import type_oids
from shardproxy.topology.keys import InvalidKey, Key, KeyFamily, family_of, from_binary, from_text

_ELEMENTS: Final = {
    type_oids.INT2_ARRAY: type_oids.INT2,
    type_oids.INT4_ARRAY: type_oids.INT4,
    type_oids.INT8_ARRAY: type_oids.INT8,
    type_oids.TEXT_ARRAY: type_oids.TEXT,
    type_oids.VARCHAR_ARRAY: type_oids.VARCHAR,
    type_oids.UUID_ARRAY: type_oids.UUID,
}
_MAX_DIMENSIONS: Final = 6  # MAXDIM of the server
_BOUNDS: Final = re.compile(r"\s*(?:(?:\[[+-]?\d+(?::[+-]?\d+)?\]\s*)+=\s*)?", re.ASCII)
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<mark>[{},])"
    r'|"(?P<quoted>(?:[^"\\]|\\.)*)"'
    r'|(?P<bare>(?:[^{}",\\\s]|\\.)(?:(?:[^{}",\\]|\\.)*(?:[^{}",\\\s]|\\.))?))',
    re.ASCII | re.DOTALL,
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_HEADER: Final = Struct("!iiI")  # dimensions, flags (1: has NULL), element type
_DIMENSION: Final = Struct("!ii")  # length, lower bound
_LENGTH: Final = Struct("!i")


def element_type(array_oid: int) -> int | None:
    """The type of the elements of a built-in array type whose elements can be keys, else None."""
    return _ELEMENTS.get(array_oid)


def array_family_of(array_oid: int) -> KeyFamily | None:
    """The family of the elements of array type ``array_oid``, None when they cannot be sharding keys."""
    element = _ELEMENTS.get(array_oid)
    return None if element is None else family_of(element)


def array_from_text(family: KeyFamily, text: str | bytes) -> list[Key | None]:
    """The elements of an array literal such as ``{a,NULL,"q\\"uote"}`` (bytes are UTF-8). Raises InvalidKey.

    An unquoted NULL is the null value: the session's ``array_nulls`` is on.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError:
            raise InvalidKey('invalid byte sequence for encoding "UTF8"', sqlstate="22021") from None
    return [None if element is None else from_text(family, element) for element in _literal_elements(text)]


def _literal_elements(text: str) -> Iterator[str | None]:
    """One walk: ``depth`` braces are open; ``after_item``: an item has just ended, so no other may start."""
    bounds = _BOUNDS.match(text)
    at = bounds.end() if bounds else 0
    depth, after_item, opened = 0, False, False
    while depth or not opened:
        token = _TOKEN.match(text, at)
        if token is None:
            raise _malformed(text)
        at = token.end()
        mark = token["mark"]
        if mark == "{" and not after_item and depth < _MAX_DIMENSIONS:
            depth, opened = depth + 1, True
            empty = _TOKEN.match(text, at)
            if empty is not None and empty["mark"] == "}":
                at, depth, after_item = empty.end(), depth - 1, True
        elif mark == "}" and after_item:
            depth -= 1
        elif mark == "," and after_item:
            after_item = False
        elif mark is None and depth and not after_item:
            after_item = True
            yield _element(token["quoted"], token["bare"])
        else:
            raise _malformed(text)
    if text[at:].strip(" \t\n\v\f\r"):
        raise _malformed(text)


def _element(quoted: str | None, bare: str) -> str | None:
    if quoted is None and bare.upper() == "NULL":
        return None
    return _ESCAPED.sub(r"\1", bare if quoted is None else quoted)


def _malformed(text: str) -> InvalidKey:
    return InvalidKey(f'malformed array literal: "{text}"')


def array_from_binary(array_oid: int, family: KeyFamily, data: bytes) -> list[Key | None]:
    """The elements of an array that array_send() wrote. Announced lengths are checked before they are used.

    Raises InvalidKey: 22P03 for a malformed array, 42804 for elements of another type than the array's.
    """
    element_oid = _ELEMENTS.get(array_oid, 0)
    if len(data) < _HEADER.size:
        raise _bad_binary()
    dimensions, _, announced_oid = _HEADER.unpack_from(data)
    at = _HEADER.size + dimensions * _DIMENSION.size
    if not 0 <= dimensions <= _MAX_DIMENSIONS or len(data) < at:
        raise _bad_binary()
    if announced_oid != element_oid:
        raise InvalidKey(
            f"binary data has array element type {announced_oid} instead of expected {element_oid}",
            sqlstate="42804",
        )
    count = 1 if dimensions else 0
    for i in range(dimensions):
        length, _ = _DIMENSION.unpack_from(data, _HEADER.size + i * _DIMENSION.size)
        count *= length
        if length < 0 or count > len(data):
            raise _bad_binary()
    return _binary_elements(element_oid, family, data, at, count)


def _binary_elements(
    element_oid: int, family: KeyFamily, data: bytes, at: int, count: int
) -> list[Key | None]:
    elements: list[Key | None] = []
    for _ in range(count):
        if len(data) - at < _LENGTH.size:
            raise _bad_binary()
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if length == -1:
            elements.append(None)
            continue
        if not 0 <= length <= len(data) - at:
            raise _bad_binary()
        elements.append(from_binary(element_oid, family, data[at : at + length]))
        at += length
    if at != len(data):
        raise _bad_binary()
    return elements


def _bad_binary() -> InvalidKey:
    return InvalidKey("incorrect binary data format in an array of keys", sqlstate="22P03")

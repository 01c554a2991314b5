"""Settings in a leading comment: ``/* shardproxy.tenant='acme' */ SELECT ...``.

The format is sqlcommenter's: ``key='value'`` pairs with commas between them, keys and values
percent-encoded, a quote in a value written ``\\'`` (``''`` is understood too). Pairs of other tools are
skipped, and so is every comment that has no ``shardproxy.`` setting. Only comments before the first word
of the statement count: what stands later may have come from a user's value.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote_to_bytes

from shardproxy.errors import StatementError
from shardproxy.sql.encoding import decode

NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})

_SPACE: Final = b" \t\n\r\f"
_FIRST_BYTES: Final = frozenset((b"/", *(bytes((byte,)) for byte in _SPACE)))
_DELIMITER: Final = re.compile(rb"/\*|\*/")
_OURS: Final = re.compile(rb"(?:\A|,)\s*shardproxy\s*\.", re.IGNORECASE)
_PAIR: Final = re.compile(rb"\s*([A-Za-z0-9_.%~-]+)(?:\s*=\s*'((?:[^'\\]|\\.|'')*)')?\s*(,|\Z)", re.DOTALL)
_FLAGS: Final = frozenset(("shardproxy.explain",))  # may stand without a value, which is then "on"
_ESCAPED: Final = re.compile(rb"\\(.)|''", re.DOTALL)
_STRAY_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def leading_settings(text: bytes) -> Mapping[str, str]:
    """The ``shardproxy.*`` settings of the leading comments, names in lower case; empty for most statements.

    Raises StatementError (42601) for a setting that cannot be read or that is given twice with two
    values, rather than running the statement without it.
    """
    end = leading_comments_end(text)
    if end == 0 or b"shardproxy" not in text[:end].lower():
        return NO_SETTINGS
    settings: dict[str, str] = {}
    at = 0
    while (start := text.find(b"/*", at, end)) >= 0:
        at = _comment_end(text, start)
        comment = text[start + 2 : at - 2]
        if _OURS.search(comment):
            _read(comment, settings)
    return settings


def leading_comments_end(text: bytes) -> int:
    """The byte where the statement begins after block comments and space; 0 if ``text`` does not begin
    with them.
    """
    if text[:1] not in _FIRST_BYTES:
        return 0
    at = end = 0
    while True:
        while at < len(text) and text[at] in _SPACE:
            at += 1
        if not text.startswith(b"/*", at):
            return at if end else 0
        end = _comment_end(text, at)
        if end < 0:
            return 0  # unterminated: a syntax error, which the grammar reports
        at = end


def _comment_end(text: bytes, start: int) -> int:
    """The byte after the comment that opens at ``start``, -1 if it does not close. Comments nest."""
    depth = 0
    for delimiter in _DELIMITER.finditer(text, start):
        depth += 1 if delimiter[0] == b"/*" else -1
        if depth == 0:
            return delimiter.end()
    return -1


def _read(comment: bytes, settings: dict[str, str]) -> None:
    at = 0
    while True:
        pair = _PAIR.match(comment, at)
        if pair is None:
            raise _malformed("it is not a list of key='value'")
        name = _decode(pair[1]).lower()
        if name.startswith("shardproxy."):
            value = _value(name, pair[2])
            if settings.setdefault(name, value) != value:
                raise _malformed(f'"{name}" is given twice')
        if not pair[3]:
            return
        at = pair.end()


def _value(name: str, quoted: bytes | None) -> str:
    if quoted is None:
        if name not in _FLAGS:
            raise _malformed(f'"{name}" has no value')
        return "on"
    return _decode(_ESCAPED.sub(lambda escape: escape[1] or b"'", quoted))


def _decode(quoted: bytes) -> str:
    if _STRAY_PERCENT.search(quoted):
        raise _malformed("a percent sign is written %25")
    value = unquote_to_bytes(quoted)
    if b"\0" in value:
        raise _malformed("a value cannot contain a NUL")
    return decode(value)


def _malformed(why: str) -> StatementError:
    return StatementError(
        f"invalid shardproxy setting in the leading comment: {why}",
        hint="Write it as /* shardproxy.tenant='acme' */; values are percent-encoded.",
    )

"""Settings in a leading comment: ``/* shardproxy.tenant='acme' */ SELECT ...``.

The format is sqlcommenter's: ``key='value'`` pairs with commas between them, keys and values
percent-encoded, a quote in a value written ``\\'`` (``''`` is understood too). Pairs of other tools are
skipped, and so is every comment that has no ``shardproxy.`` setting. Only comments before the first word
of the statement count: what stands later may have come from a user's value. A setting in another comment is
an error.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote_to_bytes

from shardproxy.errors import StatementError
from shardproxy.sql.encoding import decode

NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})

_FIRST_BYTES: Final = b" \t\n\r\f\v/-"
_SLASH: Final = ord("/")
_SPACE: Final = re.compile(rb"[ \t\n\r\f\v]*")
_LINE: Final = re.compile(rb"[^\n\r]*")
_DELIMITER: Final = re.compile(rb"/\*|\*/")
_OURS: Final = re.compile(rb"(?:\A|,)\s*shardproxy\s*\.", re.IGNORECASE)
_SETTING: Final = re.compile(rb"(?:\A|,)\s*shardproxy\s*\.\s*\w+\s*=", re.IGNORECASE)
_PAIR: Final = re.compile(rb"\s*([A-Za-z0-9_.%~-]+)(?:\s*=\s*'((?:[^'\\]|\\.|'')*)')?\s*(,|\Z)", re.DOTALL)
_QUOTED: Final = re.compile(
    rb"(?P<comment>--[^\n\r]*|/\*)"
    rb"|(?<![\w$\x80-\xff])[eE]'(?:[^'\\]|\\.|'')*'|'[^']*'|\"[^\"]*\""
    rb"|(?<![\w$\x80-\xff])(?P<tag>\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$)",
    re.DOTALL,
)
"""A comment or where one begins, or what may look as if it had one: a string or a quoted name."""

_HINT: Final = "Begin the text with /* shardproxy.tenant='acme' */; values are percent-encoded."
_FLAGS: Final = frozenset(("shardproxy.explain",))  # may stand without a value, which is then "on"
_ESCAPED: Final = re.compile(rb"\\(.)|''", re.DOTALL)
_STRAY_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def leading_settings(text: bytes) -> Mapping[str, str]:
    """The ``shardproxy.*`` settings of the leading comments, names in lower case; empty for most statements.

    Raises StatementError (42601) for a setting that cannot be read, that is given twice with two values, or
    that stands in another comment, rather than running the statement without it.
    """
    if b"--" not in text and b"/*" not in text:
        return NO_SETTINGS
    end = leading_comments_end(text)
    if (b"--" in text or text.find(b"/*", end) >= 0) and b"shardproxy" in text.lower():
        _check_no_others(text, end)
    if end == 0 or b"shardproxy" not in text[:end].lower():
        return NO_SETTINGS
    settings: dict[str, str] = {}
    for start, stop in _leading_comments(text):
        comment = text[start + 2 : stop - 2]
        if text[start] == _SLASH and _OURS.search(comment):
            _read(comment, settings)
    return settings


def leading_comments_end(text: bytes) -> int:
    """The byte where the statement begins after comments and space; 0 if ``text`` begins with neither."""
    if not text or text[0] not in _FIRST_BYTES:
        return 0
    end = 0
    for _, end in _leading_comments(text):
        if end < 0:
            return 0
    return _end_of(_SPACE, text, end) if end else 0


def _leading_comments(text: bytes) -> Iterator[tuple[int, int]]:
    """Where each comment before the first word begins and ends; -1: it does not, a syntax error, which the
    grammar reports.
    """
    at = 0
    while True:
        at = _end_of(_SPACE, text, at)
        if text.startswith(b"/*", at):
            end = _comment_end(text, at)
        elif text.startswith(b"--", at):
            end = _end_of(_LINE, text, at)
        else:
            return
        yield at, end
        if end < 0:
            return
        at = end


def _end_of(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    """Where what matches from ``at``, perhaps nothing, ends."""
    match = pattern.match(text, at)
    return at if match is None else match.end()


def _check_no_others(text: bytes, end: int) -> None:
    """Refuse settings in comments that do not count. A string that looks like one is somebody's value."""
    at = 0
    while (token := _QUOTED.search(text, at)) is not None:
        start, at = token.span()
        if token["tag"] is not None and (at := text.find(token["tag"], at)) >= 0:
            at += len(token["tag"])
        block = text[start] == _SLASH
        if block:
            at = _comment_end(text, start)
        if at < 0:
            return  # a syntax error
        if token["comment"] is None:
            continue
        if (start >= end or not block) and _SETTING.search(text[start + 2 : at - 2 if block else at]):
            where = "behind the statement's beginning" if block else 'in a "--" comment'
            raise StatementError(
                f"a shardproxy setting in a comment that does not count: it stands {where}", hint=_HINT
            )


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
        hint=_HINT,
    )

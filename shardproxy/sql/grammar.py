"""PostgreSQL's own grammar, through libpg_query: the only module that imports the binding.

Six functions: :func:`parse`, :func:`split`, :func:`normalize`, :func:`fingerprint`, :func:`deparse` and
:func:`tokens`. Locations in the tree are byte offsets into the UTF-8 text; positions in errors are
characters from 1.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, NamedTuple, TypeVar

import postgast
from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError

from shardproxy.errors import StatementError

Tree = Any
"""A protobuf ``pg_query.ParseResult``. Its messages are generated and untyped."""

SAFE_BYTES: Final = 16_384
"""Texts up to this size cannot nest deeply enough to overrun the C stack of the parser's output functions."""

MAX_CHAIN: Final = 15_000
"""Most tokens that may nest in each other in a longer text. The C functions recurse once per operator of a
chain.
"""

_T = TypeVar("_T")
_COMMA, _SEMICOLON, _OPEN, _CLOSE = 44, 59, 40, 41  # tokens that are one character are numbered by it


def _allow_deep_trees() -> None:
    """Lift protobuf's limit of 100 nested messages, which 50 operators in a row reach; analysis has its own
    limit.
    """
    if api_implementation.Type() == "upb":
        import_module("google._upb._message").SetAllowOversizeProtos(True)


_allow_deep_trees()


def too_deep() -> StatementError:
    """The error for a statement that nests too deeply, as PostgreSQL words it (54001)."""
    return StatementError(
        "stack depth limit exceeded",
        sqlstate="54001",
        hint="The statement nests too deeply for the proxy to analyse; write it with fewer levels.",
    )


def parse(text: str) -> Tree:
    """The raw parse tree of all statements in ``text``.

    Raises :class:`StatementError` (42601 and the position for a syntax error, 54001 for hopeless nesting).
    """
    _check(text)
    try:
        return _guard(postgast.parse, text)
    except DecodeError:
        raise too_deep() from None


def split(text: str) -> tuple[str, ...]:
    """The texts of the statements in ``text``, without their semicolons; empty ones are dropped."""
    _check(text)
    return tuple(_guard(postgast.split, text))


def normalize(text: str) -> str:
    """``text`` with each constant replaced by a parameter, as pg_stat_statements shows it."""
    _check(text)
    return str(_guard(postgast.normalize, text))


def fingerprint(text: str) -> str:
    """A hexadecimal digest that is equal for statements that differ only in constants and spelling."""
    _check(text)
    return str(_guard(postgast.fingerprint, text).hex)


def deparse(tree: Tree) -> str:
    """SQL text of a tree that :func:`parse` returned, perhaps changed since."""
    return str(_guard(postgast.deparse, tree))


class Token(NamedTuple):
    """One token. ``word`` is an identifier or keyword as PostgreSQL folds it, "" for what is neither;
    ``keyword`` is the same where it is not quoted. ``start`` and ``end`` are byte offsets.
    """

    text: str
    word: str
    keyword: str
    start: int
    end: int


def tokens(text: str) -> tuple[Token, ...]:
    """The tokens of ``text`` without comments, which are PL/pgSQL's too. Raises StatementError (42601)."""
    _check(text)
    encoded = text.encode()
    return tuple(
        _token(encoded[token.start : token.end].decode(), token)
        for token in _guard(postgast.scan, text).tokens
        if token.token not in _COMMENTS
    )


_COMMENTS: Final = (postgast.pg_query_pb2.SQL_COMMENT, postgast.pg_query_pb2.C_COMMENT)


def _token(text: str, token: Any) -> Token:
    word = keyword = ""
    if text.startswith('"'):
        word = text[1:-1].replace('""', '"')
    elif token.keyword_kind or token.token == postgast.pg_query_pb2.IDENT:
        word = keyword = "".join(c.lower() if c.isascii() else c for c in text)
    return Token(text, word, keyword, token.start, token.end)


def _guard(function: Callable[[Any], _T], argument: Any) -> _T:
    try:
        return function(argument)
    except postgast.PgQueryError as error:
        raise StatementError(error.message, position=max(error.cursorpos, 0)) from None


def _check(text: str) -> None:
    """Refuse what the C parser reads differently from the server, or what would overrun its stack."""
    if "\0" in text:
        raise StatementError('invalid byte sequence for encoding "UTF8": 0x00', sqlstate="22021")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise StatementError('invalid byte sequence for encoding "UTF8"', sqlstate="22021") from None
    if len(text) > SAFE_BYTES // 4 and len(text.encode()) > SAFE_BYTES and _longest_chain(text) > MAX_CHAIN:
        raise too_deep()


def _longest_chain(text: str) -> int:
    """An upper bound of how deeply the tree of ``text`` nests, in tokens.

    Commas and semicolons start a new branch of the tree, and so do AND and OR, which the grammar keeps in
    flat lists.
    """
    tokens = _guard(postgast.scan, text).tokens
    flat = (_COMMA, _SEMICOLON, postgast.pg_query_pb2.AND, postgast.pg_query_pb2.OR)
    current, longest, enclosing = 0, 0, []
    for token in tokens:
        kind = token.token
        if kind in flat:
            longest, current = max(longest, current), 0
        elif kind == _OPEN:
            enclosing.append((current, longest))
            current = longest = 0
        elif kind == _CLOSE and enclosing:
            inner = max(longest, current)
            current, longest = enclosing.pop()
            current += inner + 1
        else:
            current += 1
    unclosed = sum(max(pair) for pair in enclosing)
    return max(longest, current) + unclosed


REPEATED: Final = type(postgast.ParseResult().stmts)
"""The type of every repeated field of the tree that holds messages."""

"""Which functions may touch tables: all, but those whose source proves that it names none.

A body of SQL or PL/pgSQL reaches a table only by a statement that names it, by running text, or through
another function or operator. It is looked at as words first: that finds too much, in strings and comments,
but nothing is missed. Where it finds the words of a statement, the grammar is asked whether there is a table.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from shardproxy.errors import StatementError
from shardproxy.sql import grammar
from shardproxy.sql.analysis.tree import inner, type_name, walk
from shardproxy.sql.plpgsql import NotUnderstood, read_body

_WORD: Final = re.compile(r"[^\W\d][\w$]*")
_LANGUAGES: Final = frozenset({"sql", "plpgsql"})
_STATEMENTS: Final = frozenset(
    {"from", "table", "update", "insert", "delete", "merge", "truncate", "copy", "execute", "call", "do"}
    | {
        "lock",
        "create",
        "drop",
        "alter",
        "prepare",
        "analyze",
        "vacuum",
        "cluster",
        "reindex",
        "refresh",
        "load",
    }
)
"""Words of which every statement that names a table has one, and those that run text."""

_RUN_TEXT: Final = re.compile(r"(table|query|cursor|schema|database)_to_xml\w*|ts_stat|dblink\w*|crosstab\w*")

EXTENSIONS: Final = frozenset(
    {"btree_gin", "btree_gist", "citext", "cube", "dict_int", "dict_xsyn", "earthdistance", "fuzzystrmatch"}
    | {"hstore", "intarray", "isn", "ltree", "pg_trgm", "pgcrypto", "seg", "unaccent", "uuid-ossp", "vector"}
)
"""Extensions of which no function touches a table."""

Body = Mapping[str, Any]
"""A row of functions.sql: ``name``, ``kind``, ``volatility``, ``language``, ``extension``, ``types``,
``source``.
"""


def may_read(
    functions: Iterable[Body], operators: Iterable[str], types: Mapping[str, Iterable[str]] | None = None
) -> list[bool]:
    """For each function, in order, whether it may touch a table. ``operators`` are those of users; ``types``
    leads from types to the functions that their CHECKs call.
    """
    rows = list(functions)
    bodies = [*rows, *(_as_body(name, calls) for name, calls in (types or {}).items())]
    words = [_words(f"{body['source']} {body['types']}") for body in bodies]
    reads = [_by_itself(body, found, tuple(operators)) for body, found in zip(bodies, words, strict=True)]
    while True:
        readers = [body for body, is_reading in zip(bodies, reads, strict=True) if is_reading]
        names = frozenset(word for reader in readers for word in _names(reader))
        more = [
            known or not names.isdisjoint(found | {"*"}) for known, found in zip(reads, words, strict=True)
        ]
        if more == reads:
            return reads[: len(rows)]
        reads = more


_TYPE: Final = "t"  # as the kind of a body


def _as_body(type_name: str, calls: Iterable[str]) -> Body:
    """A type whose values are checked by functions, as a function that calls them."""
    return {"name": type_name, "kind": _TYPE, "source": " ".join(calls), "types": ""}


def _words(text: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _WORD.findall(text))


def _names(reader: Body) -> Iterable[str]:
    """Words of which whoever calls ``reader`` has one. A type is also meant by ``column%TYPE``."""
    words = _words(reader["name"]) or {"*"}
    return words | {"type", "rowtype"} if reader["kind"] == _TYPE else words


def _by_itself(body: Body, words: frozenset[str], operators: tuple[str, ...]) -> bool:
    if body["kind"] in ("a", _TYPE):  # what it calls decides: its source is the names of its functions
        return any(_RUN_TEXT.fullmatch(word) for word in words)
    if body["volatility"] == "i":
        return False  # its author's word, which PostgreSQL's planner takes too
    if body["extension"] in EXTENSIONS:
        return False
    return (
        body["language"] not in _LANGUAGES
        or (not words.isdisjoint(_STATEMENTS) and _names_a_table(body["language"], body["source"]))
        or any(_RUN_TEXT.fullmatch(word) for word in words)
        or 'u&"' in body["source"].lower()
        or any(operator in body["source"] for operator in operators)
    )


@lru_cache(maxsize=16_384)
def _names_a_table(language: str, source: str) -> bool:
    """Whether a function of SQL or PL/pgSQL has a statement that may touch a table."""
    try:
        texts = (source,) if language == "sql" else read_body(source).pieces
        return any(_touches(raw.stmt) for text in texts for raw in grammar.parse(text).stmts)
    except (NotUnderstood, StatementError, RecursionError):
        return True


def _touches(wrapper: Any) -> bool:
    node = inner(wrapper)
    return type_name(node) != "SelectStmt" or any(type_name(each) == "RangeVar" for each in walk(node))

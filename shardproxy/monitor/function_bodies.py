"""Which functions may touch tables: all, but those whose source proves that it names none.

A body of SQL or PL/pgSQL reaches a table only by a statement that names it, by running text, or through
another function or operator. It is looked at as words: that finds too much, in strings and comments, but
nothing is missed.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

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

Body = Mapping[str, Any]
"""A row of functions.sql: ``name``, ``kind``, ``volatility``, ``language`` and ``source``."""


def may_read(functions: Iterable[Body], operators: Iterable[str]) -> list[bool]:
    """For each function, in order, whether it may touch a table. ``operators`` are those of users."""
    bodies = list(functions)
    words = [frozenset(word.lower() for word in _WORD.findall(body["source"])) for body in bodies]
    reads = [_by_itself(body, found, tuple(operators)) for body, found in zip(bodies, words, strict=True)]
    while True:
        readers = [body["name"] for body, is_reading in zip(bodies, reads, strict=True) if is_reading]
        names = frozenset(word.lower() for name in readers for word in _WORD.findall(name) or "*")
        more = [
            known or not names.isdisjoint(found | {"*"}) for known, found in zip(reads, words, strict=True)
        ]
        if more == reads:
            return reads
        reads = more


def _by_itself(body: Body, words: frozenset[str], operators: tuple[str, ...]) -> bool:
    if body["kind"] == "a":
        return False  # what it calls decides: its source is the names of its functions
    if body["volatility"] == "i":
        return False  # its author's word, which PostgreSQL's planner takes too
    return (
        body["language"] not in _LANGUAGES
        or not words.isdisjoint(_STATEMENTS)
        or any(_RUN_TEXT.fullmatch(word) for word in words)
        or 'u&"' in body["source"].lower()
        or any(operator in body["source"] for operator in operators)
    )

"""What a statement's text tells without a parser, and how a value is quoted.

The client has no grammar and must not need one: where :func:`may_change_session` errs, it errs towards True.
"""

import re

_LEADING = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*[^*/]*\*/)*")
_WORD = re.compile(r"[A-Za-z]+")
_KEEPS_SESSION = frozenset(
    {"select", "insert", "update", "delete", "merge", "with", "values", "table", "copy", "explain", "show"}
)
_TOUCHES_SESSION = re.compile(
    r"set_config|setseed|advisory|shardproxy|dblink|\btemp\b|\btemporary\b|\bpg_temp|u&|;\s*\S", re.IGNORECASE
)


def may_change_session(sql: str) -> bool:
    """Whether ``sql`` could leave state in the session: a setting, a lock, a temporary table, a LISTEN.

    False is a promise for what the text itself does; what a function called by it does inside the server is
    not seen. Unknown commands, several statements in one text and comments that are not plain count as True.
    """
    start = _LEADING.match(sql)
    word = _WORD.match(sql, start.end() if start else 0)
    if word is None or word.group().lower() not in _KEEPS_SESSION:
        return True
    return _TOUCHES_SESSION.search(sql, word.end()) is not None


def quote_literal(value: str) -> str:
    """``value`` as an SQL string constant that means the same under either ``standard_conforming_strings``.

    Used for the one statement that takes no parameters, SET. The same text as PostgreSQL's ``quote_literal``
    (manual, "String Constants with C-Style Escapes"). Raises ValueError for NUL and for text that is not
    encodable in UTF-8.
    """
    if "\0" in value:
        raise ValueError("a NUL character cannot be part of an SQL string")
    value.encode()
    doubled = value.replace("'", "''")
    if "\\" not in doubled:
        return f"'{doubled}'"
    return " E'" + doubled.replace("\\", "\\\\") + "'"

"""Names of tables, columns and functions in the configuration, read as SQL reads identifiers."""

import re

from shardproxy.topology.tables import RelationName

_PART = r'(?:[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_$\u0080-\U0010ffff]*|"(?:[^"\0]|"")+")'
_IDENTIFIER = re.compile(_PART)
_QUALIFIED = re.compile(rf"(?:({_PART})\.)?({_PART})")
_MAX_BYTES = 63  # NAMEDATALEN - 1; SQL truncates longer names, which here would hide a mistake


class BadName(ValueError):
    """A name that SQL would not read as one; the message says what to do."""


def parse_identifier(text: str) -> str:
    """One identifier as PostgreSQL stores it: in lower case unless double-quoted. Raises BadName."""
    if _IDENTIFIER.fullmatch(text) is None:
        raise BadName("is not a name as in SQL; put names with special characters in double quotes")
    return _fold(text)


def parse_relation(text: str, what: str = "table") -> RelationName:
    """``table`` or ``schema.table`` as PostgreSQL stores it; default schema: public. Raises BadName, which
    speaks of ``what``.
    """
    match = _QUALIFIED.fullmatch(text)
    if match is None:
        raise BadName(
            f"is not a {what} name as in SQL ({what} or schema.{what}); "
            "put special characters in double quotes"
        )
    return (_fold(match[1]) if match[1] else "public", _fold(match[2]))


def _fold(part: str) -> str:
    if part.startswith('"'):
        name = part[1:-1].replace('""', '"')
    else:
        name = "".join(c.lower() if c.isascii() else c for c in part)
    if len(name.encode()) > _MAX_BYTES:
        raise BadName(f"is longer than PostgreSQL's {_MAX_BYTES} bytes for a name; shorten it")
    return name

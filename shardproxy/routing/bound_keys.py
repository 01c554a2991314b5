"""The keys that one key set of a statement has, once its parameters or literals are known."""

import re
from collections.abc import Iterator
from typing import Final

from shardproxy.errors import Refused
from shardproxy.routing.parameters import Values
from shardproxy.sql.statement import Constant, KeySet, KeySource, Literal, Parameter
from shardproxy.topology.keys import INTEGER, InvalidKey, Key, KeyFamily, from_text

_DECIMAL: Final = re.compile(r"-?[0-9_]*\.?[0-9_]*(?:[eE][+-]?[0-9_]+)?", re.ASCII)


def bound_keys(key_set: KeySet, values: Values) -> Iterator[Key | None]:
    """Every key of ``key_set``, None for NULL, in the order of its sources; a key may come more than once.

    Raises InvalidKey for a value that is not of the key's type, Refused for one that cannot be proven to be.
    """
    for source in key_set.sources:
        if isinstance(source, (Constant, Literal)) or not source.array:
            yield _fitting(key_set, single_key(source, key_set.family, values))
        else:
            yield from values.array(source.number, key_set.family)


def _fitting(key_set: KeySet, key: Key | None) -> Key | None:
    """``key``, refused when its column would store another value than the one that was hashed."""
    length = key_set.max_length
    if length is not None and isinstance(key, bytes) and len(key.decode()) > length:
        raise Refused(f"a sharding key that is too long for the type varchar({length})", sqlstate="22001")
    return key


def single_key(source: KeySource, family: KeyFamily, values: Values) -> Key | None:
    """The key of a source that is not an array, None for NULL. Raises as :func:`bound_keys` does."""
    if isinstance(source, Parameter):
        return values.parameter(source.number, family)
    if isinstance(source, Literal):
        return _literal_key(source, family, values)
    return source.key


def _literal_key(source: Literal, family: KeyFamily, values: Values) -> Key:
    text = values.literal(source.place)
    if source.negative:
        if family is not INTEGER:
            raise Refused(f"the number -{text} as a {family} key", hint="Write the key as a string.")
        text = "-" + text
    try:
        return from_text(family, text)
    except InvalidKey:
        # PostgreSQL takes 7.0 and 1e3 for numeric, and compares the column as numeric: perhaps with a row.
        if family is INTEGER and _DECIMAL.fullmatch(text):
            raise Refused(
                f"the number {text} compared with an integer key", hint="Write the key as an integer."
            ) from None
        raise

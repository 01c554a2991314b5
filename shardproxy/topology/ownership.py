"""The shard map said in SQL, so that a server can tell its rows: for CHECK constraints and searches.

Every function used is built in and immutable. Values come from the shard map only, and are quoted here.
"""

from collections.abc import Iterable
from typing import Final

from shardproxy.topology.keys import BUCKETS, Key, KeyFamily, to_text
from shardproxy.topology.moves import Moving
from shardproxy.topology.shard_map import ShardMap

_BUCKET_SQL: Final = {
    KeyFamily.INTEGER: "(pg_catalog.hashint8extended(({column})::pg_catalog.int8, 0) & 16383)",
    KeyFamily.TEXT: "(pg_catalog.hashtextextended(({column})::pg_catalog.text, 0) & 16383)",
    KeyFamily.UUID: "(pg_catalog.uuid_hash_extended(({column}), 0) & 16383)",
}
_CASTS: Final = {
    KeyFamily.INTEGER: "pg_catalog.int8",
    KeyFamily.TEXT: "pg_catalog.text",
    KeyFamily.UUID: "pg_catalog.uuid",
}


def bucket_expression(family: KeyFamily, column_sql: str) -> str:
    """A bigint expression: the bucket of ``column_sql`` (already SQL, quoted if need be); NULL for NULL."""
    return _BUCKET_SQL[family].replace("{column}", column_sql)


def ownership_check(shard_map: ShardMap, shard: int, group: str, family: KeyFamily, column_sql: str) -> str:
    """A boolean expression that is true for exactly the rows of ``group`` that ``shard`` (an index) owns.

    It is false, never NULL, for every other row, those without a key included. The buckets are a 2 kB bitmap:
    it costs the server about 20 ns a row, where ranges or a list cost more the more there are.
    """
    here, elsewhere = _placed_here_and_elsewhere(shard_map, shard, group)
    buckets = (number for number, owner in enumerate(shard_map.owners) if owner == shard)
    owned = in_buckets(buckets, family, column_sql)
    if elsewhere:
        owned = f"({owned} AND NOT {_one_of(elsewhere, family, column_sql)})"
    if here:
        owned = f"({owned} OR {_one_of(here, family, column_sql)})"
    return f"(({column_sql}) IS NOT NULL AND {owned})"


def in_buckets(buckets: Iterable[int], family: KeyFamily, column_sql: str) -> str:
    """A boolean expression: the bucket of ``column_sql`` is one of ``buckets``; NULL for NULL."""
    bitmap = f"E'\\\\x{_bitmap(buckets)}'::pg_catalog.bytea"
    return f"pg_catalog.get_bit({bitmap}, {bucket_expression(family, column_sql)}) = 1"


def moving_rows(
    shard_map: ShardMap, move: Moving, group: str, family: KeyFamily, column_sql: str
) -> str | None:
    """A boolean expression that is true for exactly the rows of ``group`` that ``move`` takes along.

    NULL or false for every other row; None where the move takes none of the group. Also a publication's row
    filter: every function in it is built in and immutable.
    """
    keys = sorted(key for of, key in move.keys if of == group)
    said = [_one_of(keys, family, column_sql)] if keys else []
    if move.buckets:
        placed = sorted(key for of, key in shard_map.placements if of == group)
        besides = f" AND NOT {_one_of(placed, family, column_sql)}" if placed else ""
        said.append(f"({in_buckets(move.buckets, family, column_sql)}{besides})")
    return f"({' OR '.join(said)})" if said else None


def _placed_here_and_elsewhere(shard_map: ShardMap, shard: int, group: str) -> tuple[list[Key], list[Key]]:
    here: list[Key] = []
    elsewhere: list[Key] = []
    for (placed_group, key), owner in shard_map.placements.items():
        if placed_group == group:
            (here if owner == shard else elsewhere).append(key)
    return here, elsewhere


def _bitmap(buckets: Iterable[int]) -> str:
    """Hexadecimal; bit n as get_bit(bytea, n) numbers it, from the lowest bit of the first byte."""
    bits = bytearray(BUCKETS // 8)
    for number in buckets:
        bits[number // 8] |= 1 << (number % 8)
    return bits.hex()


def _one_of(keys: Iterable[Key], family: KeyFamily, column_sql: str) -> str:
    """A boolean expression: ``column_sql`` is one of ``keys``; NULL for NULL.

    Of a varchar and several constants PostgreSQL makes an array of varchar that it casts to one of text,
    which is not allowed in a publication's row filter.
    """
    column = f"({column_sql})::pg_catalog.text" if family is KeyFamily.TEXT else f"({column_sql})"
    literals = ", ".join(f"{_quoted(to_text(family, key))}::{_CASTS[family]}" for key in keys)
    return f"({column} IN ({literals}))"


def _quoted(text: str) -> str:
    """A string constant that means ``text`` whatever ``standard_conforming_strings`` is."""
    doubled = text.replace("'", "''")
    if "\\" not in doubled:
        return f"'{doubled}'"
    return "E'" + doubled.replace("\\", "\\\\") + "'"

"""The tables whose rows move, and which rows of each, said in SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from shardproxy.rebalance.sql_files import sql
from shardproxy.replication.quoting import identifier, relation
from shardproxy.topology.moves import Moving
from shardproxy.topology.ownership import moving_rows
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import RelationName, Sharded

ROW_SETTINGS: Final = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "lc_monetary": "C",
    "row_security": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
"""Settings under which a row has the same text everywhere, is not hidden by a policy, and takes its time."""


@dataclass(frozen=True, slots=True)
class MovingTable:
    """A table with rows that move: those for which ``condition`` (SQL) is true. ``columns`` are all that are
    stored and not computed by the server; ``identity`` are those of the primary key. ``binary``: they may be
    copied in their binary form.
    """

    name: RelationName
    key: str
    group: str
    condition: str
    columns: tuple[str, ...]
    identity: tuple[str, ...]
    binary: bool

    @property
    def sql(self) -> str:
        """Its name as SQL."""
        return relation(self.name)

    @property
    def column_list(self) -> str:
        """The columns as SQL."""
        return ", ".join(map(identifier, self.columns))

    @property
    def label(self) -> str:
        """Its name for people."""
        return label(self.name)


def label(name: RelationName) -> str:
    """A table's name as a user would write it."""
    return name[1] if name[0] == "public" else f"{name[0]}.{name[1]}"


def concerned(shard_map: ShardMap, move: Moving) -> dict[RelationName, tuple[Sharded, str]]:
    """The sharded tables that the move takes rows of, each with its rule and the condition of those rows."""
    found: dict[RelationName, tuple[Sharded, str]] = {}
    for name, rule in sorted(shard_map.tables.rules.items()):
        if not isinstance(rule, Sharded):
            continue
        family = shard_map.tables.groups[rule.group]
        condition = moving_rows(shard_map, move, rule.group, family, identifier(rule.key))
        if condition is not None:
            found[name] = (rule, condition)
    return found


async def read_tables(
    connection: asyncpg.Connection, shard_map: ShardMap, move: Moving
) -> tuple[MovingTable, ...]:
    """The tables of the move as they are on a server, those that others refer to first; one that is not there
    is left out.
    """
    wanted = concerned(shard_map, move)
    schemas, names = [schema for schema, _ in wanted], [name for _, name in wanted]
    tables: dict[RelationName, MovingTable] = {}
    refers: dict[RelationName, set[RelationName]] = {}
    for row in await connection.fetch(sql("tables"), schemas, names):
        name = (row["schema"], row["name"])
        rule, condition = wanted[name]
        columns, identity = tuple(row["columns"] or ()), tuple(row["identity"])
        tables[name] = MovingTable(
            name, rule.key, rule.group, condition, columns, identity or columns, row["binary"]
        )
        parts = row["refers_to"]
        refers[name] = set(zip(parts[::2], parts[1::2], strict=True))
    return tuple(tables[name] for name in parents_first(refers))


async def files_of(connection: asyncpg.Connection, tables: Sequence[MovingTable]) -> str:
    """A digest of the files that have the tables' rows; another one when a table was truncated or
    rewritten.
    """
    names = [table.name for table in tables]
    digest: str | None = await connection.fetchval(
        sql("files"), [schema for schema, _ in names], [name for _, name in names]
    )
    return digest or ""


def parents_first(refers: Mapping[RelationName, set[RelationName]]) -> list[RelationName]:
    """The tables in an order in which each comes after those it refers to; circles are cut somewhere."""
    ordered: list[RelationName] = []
    left = dict(refers)
    while left:
        ready = [name for name, parents in left.items() if parents.isdisjoint(left)] or [next(iter(left))]
        for name in ready:
            ordered.append(name)
            del left[name]
    return ordered

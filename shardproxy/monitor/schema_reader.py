"""Reading what a server knows of its schema, as one consistent :class:`~shardproxy.sql.schema.Schema`.

A login role without any grant suffices: the catalogs, ``format_type`` and ``pg_get_viewdef`` are open to all.
The search_path is empty and every name in the SQL qualified, so that no object a user creates is ever called
(CVE-2025-12819), and so that view definitions and type names come out qualified.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import asyncpg

from shardproxy.monitor.function_bodies import may_read
from shardproxy.monitor.sql_files import sql
from shardproxy.sql.schema import Column, Function, Relation, Schema

FIRST_USER_OID: Final = 16_384
"""FirstNormalObjectId of PostgreSQL: types from here on have a different OID on every server."""

ATTEMPTS: Final = 3
VANISHED: Final = (asyncpg.InternalServerError, asyncpg.UndefinedTableError, asyncpg.UndefinedObjectError)

# pg_get_viewdef locks the tables of the view; behind a long ALTER TABLE it is better to say so and try later.
SETTINGS: Final = (
    "SET LOCAL search_path = ''; SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '30s'; "
    "SET LOCAL quote_all_identifiers = off; SET LOCAL standard_conforming_strings = on"
)

Rows = Sequence[Mapping[str, Any]]


async def read_schema(connection: asyncpg.Connection) -> Schema:
    """The schema of the connected database, from one REPEATABLE READ read-only transaction.

    ``version`` is a hash of everything read, OIDs included: equal schemas of one server have equal versions.
    Catalog functions look at newer states than the transaction's snapshot does, so an object that is dropped
    meanwhile makes a reading fail; it is then repeated a few times.
    Raises asyncpg.PostgresError (55P03 when a lock was waited for too long) and OSError.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return await _read_once(connection)
        except VANISHED:
            continue
    return await _read_once(connection)


async def _read_once(connection: asyncpg.Connection) -> Schema:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(SETTINGS)
        relations = await connection.fetch(sql("relations"))
        columns = await connection.fetch(sql("columns"))
        keys = await connection.fetch(sql("keys"))
        functions = await connection.fetch(sql("functions"))
        names = await connection.fetch(sql("names"))
    operators = _names(names, "user_operator")
    known = _functions(functions, operators)
    schema = Schema(
        relations={(r.schema, r.name): r for r in _relations(relations, columns, keys)},
        functions=known,
        system_relations=_names(names, "system_relation"),
        schemas=frozenset(row["schema"] for row in names if row["what"] == "schema"),
        hidden=frozenset(row["schema"] for row in names if row["what"] == "hidden_schema"),
        user_operators=operators,
        reading_operators=_reading_operators(names, known),
        enum_types={(row["schema"], row["name"]): row["oid"] for row in names if row["what"] == "enum_type"},
    )
    return replace(schema, version=version_of(schema))


def _relations(relations: Rows, columns: Rows, keys: Rows) -> Iterable[Relation]:
    columns_of: defaultdict[int, list[Column]] = defaultdict(list)
    for row in columns:
        fields = dict(row)
        columns_of[fields.pop("relation")].append(Column(**fields))
    primary: dict[int, tuple[str, ...]] = {}
    unique: defaultdict[int, list[tuple[str, ...]]] = defaultdict(list)
    for row in keys:
        if row["is_primary"]:
            primary[row["relation"]] = tuple(row["columns"])
        else:
            unique[row["relation"]].append(tuple(row["columns"]))
    for row in relations:
        yield Relation(
            schema=row["schema"],
            name=row["name"],
            kind=row["kind"],
            columns=tuple(columns_of[row["oid"]]),
            primary_key=primary.get(row["oid"], ()),
            unique_keys=tuple(unique[row["oid"]]),
            definition=row["definition"],
            parents=tuple(zip(row["parent_schemas"], row["parent_names"], strict=True)),
            has_user_rules=row["has_user_rules"],
            row_security=row["row_security"],
            policies_read=row["policies_read"],
        )


def _functions(rows: Rows, operators: frozenset[str]) -> Mapping[str, tuple[Function, ...]]:
    found: defaultdict[str, list[Function]] = defaultdict(list)
    for row, reads in zip(rows, may_read(rows, operators), strict=True):
        fields = {name: value for name, value in row.items() if name not in ("language", "source")}
        found[row["name"]].append(Function(**fields, reads=reads))
    return {name: tuple(functions) for name, functions in found.items()}


def _reading_operators(rows: Rows, functions: Mapping[str, tuple[Function, ...]]) -> frozenset[str]:
    """The users' operators behind which is a function that may touch tables; ``schema`` is its name."""
    return frozenset(
        row["name"]
        for row in rows
        if row["what"] == "user_operator"
        and any(each.reads and each.volatility != "i" for each in functions.get(row["schema"], ()))
    )


def _names(rows: Rows, what: str) -> frozenset[str]:
    return frozenset(row["name"] for row in rows if row["what"] == what)


def version_of(schema: Schema) -> int:
    """A positive 63-bit hash of all content, OIDs included, the same in every process."""
    return int.from_bytes(_digest(schema, schema.enum_types), "big") >> 1


def fingerprint(schema: Schema) -> str:
    """A hash of the content without the OIDs that differ from server to server: equal on equal shards.

    16 hexadecimal digits. What is not the user's (the catalogs of another PostgreSQL version) does not count,
    nor do the login's rights.
    """
    alike = {
        name: replace(relation, columns=tuple(map(_without_user_oid, relation.columns)))
        for name, relation in schema.relations.items()
    }
    comparable = replace(schema, relations=alike, system_relations=frozenset(), hidden=frozenset())
    return _digest(comparable, dict.fromkeys(schema.enum_types, 0)).hex()


def _without_user_oid(column: Column) -> Column:
    return replace(column, type_oid=0) if column.type_oid >= FIRST_USER_OID else column


def _digest(schema: Schema, enum_types: Mapping[tuple[str, str], int]) -> bytes:
    """Eight bytes over the sorted content; repr of frozen dataclasses, tuples, str and int is unambiguous."""
    content = (
        sorted(schema.relations.items(), key=lambda item: item[0]),
        sorted(schema.functions.items(), key=lambda item: item[0]),
        sorted(schema.system_relations),
        sorted(schema.schemas),
        sorted(schema.hidden),
        sorted(schema.user_operators),
        sorted(schema.reading_operators),
        sorted(enum_types.items()),
    )
    return hashlib.blake2b(repr(content).encode(), digest_size=8).digest()

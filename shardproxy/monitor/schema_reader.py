"""Reading what a server knows of its schema, as one consistent :class:`~shardproxy.sql.schema.Schema`.

A login role without any grant suffices: the catalogs, ``format_type`` and ``pg_get_viewdef`` are open to all.
The search_path is empty and every name in the SQL qualified, so that no object a user creates is ever called
(CVE-2025-12819), and so that view definitions and type names come out qualified.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import asyncpg

from shardproxy.monitor.schema_rows import QUERIES, build
from shardproxy.monitor.sql_files import sql
from shardproxy.sql.schema import FIRST_USER_OID, Column, Schema

ATTEMPTS: Final = 3
VANISHED: Final = (asyncpg.InternalServerError, asyncpg.UndefinedTableError, asyncpg.UndefinedObjectError)

# pg_get_viewdef locks the tables of the view; behind a long ALTER TABLE it is better to say so and try later.
SETTINGS: Final = (
    "SET LOCAL search_path = ''; SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '30s'; "
    "SET LOCAL quote_all_identifiers = off; SET LOCAL standard_conforming_strings = on"
)


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
        schema = build({name: await connection.fetch(sql(name)) for name in QUERIES})
    return replace(schema, version=version_of(schema))


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
        sorted(schema.reading_operators.items()),
        sorted(schema.reading_types.items()),
        schema.reading_casts,
        sorted(enum_types.items()),
    )
    return hashlib.blake2b(repr(content).encode(), digest_size=8).digest()

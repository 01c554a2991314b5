"""PostgreSQL as the judge of analysis: one database with all rows, and three that each have some keys' rows.

A plan promises that a statement gives the same answer on the shards it names as on the whole; here it is held to that.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg import sql

from shardproxy.sql.statement import Constant, Kind, Reach, Statement
from shardproxy.topology.keys import Key, KeyFamily, bucket, from_text
from shardproxy.topology.tables import Sharded
from tests.support.sample_schema import RELATIONS, RULES

SHARDS = 3
ABSENT = {"loose", "misc", "gone", "audit", "archive", "numbers", "stored", "unknown_view", "ruled"}
"""Relations of the sample schema that no statement is tried on here."""

_TENANTS = ("a", "b", "c", "acme", "A")
_DEVICES = (1, 2, 3, 7, -7)
_DOCS = ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000001")
_STATUSES = ("new", "paid", "a")


def owner(family: KeyFamily, key: Key) -> int:
    """The shard of a key."""
    return bucket(family, key) % SHARDS


class Judge:
    """Connections to the four databases, with their rows in place."""

    def __init__(self, server_dsn: str) -> None:
        with psycopg.connect(server_dsn, autocommit=True) as connection:
            for name in ("whole", *(f"shard_{i}" for i in range(SHARDS))):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        self.whole = psycopg.connect(server_dsn, dbname="whole", autocommit=True)
        self.shards = [
            psycopg.connect(server_dsn, dbname=f"shard_{i}", autocommit=True) for i in range(SHARDS)
        ]
        for connection in (self.whole, *self.shards):
            connection.execute("SET statement_timeout = '5s'")
            _create(connection)
        for table, rows in _rows().items():
            for row in rows:
                self._insert(table, row)

    def close(self) -> None:
        """Close the connections."""
        for connection in (self.whole, *self.shards):
            connection.close()

    def differs(self, text: str, statement: Statement) -> str | None:
        """How the shards' answer differs from the whole's; None when it does not, or nothing was promised."""
        shards = self._concerned(statement)
        if shards is None or (len(shards) > 1 and not statement.fan_out):
            return None
        expected = _run(self.whole, text)
        answers = [_run(self.shards[shard], text) for shard in sorted(shards or {0})]
        if isinstance(expected, str):
            return None if expected in answers else f"{expected}, shards: {answers}"
        if any(isinstance(answer, str) for answer in answers):
            return f"{expected}, shards: {answers}"
        got = sum((answer for answer in answers if not isinstance(answer, str)), Counter[Any]())
        return None if got == expected else f"{_brief(expected)}, shards {sorted(shards)}: {_brief(got)}"

    def changes_differ(self, text: str, statement: Statement) -> str | None:
        """As :meth:`differs`, for a statement that changes rows: the tables are compared and put back."""
        shards = self._concerned(statement)
        if shards is None or len(shards) > 1:
            return None
        shard = next(iter(shards or {0}))
        for connection in (self.whole, *self.shards):
            connection.execute("BEGIN")
        try:
            expected, got = _run(self.whole, text), _run(self.shards[shard], text)
            if isinstance(expected, str) or isinstance(got, str):
                return None if expected == got else f"{expected}, shard: {got}"
            for table in _sharded_tables():
                query = f"SELECT t::text FROM ONLY {table} t"
                whole = _run(self.whole, query)
                parts = sum((_run(connection, query) for connection in self.shards), Counter[Any]())  # type: ignore[arg-type]
                if whole != parts:
                    return f"table {table}: {_brief(whole)}, shards: {_brief(parts)}"
            return None if expected == got else f"{_brief(expected)}, shard {shard}: {_brief(got)}"
        finally:
            for connection in (self.whole, *self.shards):
                connection.execute("ROLLBACK")

    def _concerned(self, statement: Statement) -> set[int] | None:
        """The shards the plan names; None where it promises nothing."""
        if (
            statement.kind is not Kind.QUERY
            or statement.reach in (Reach.REFUSED, Reach.LOCAL)
            or statement.catalog
        ):
            return None
        if statement.reach is Reach.ANYWHERE:
            return {1}
        if statement.unbound or statement.reach is Reach.UNBOUND:
            return set(range(SHARDS)) if statement.fan_out else None
        shards, keys = set(), set()
        for key_set in statement.key_sets:
            for source in key_set.sources:
                if not isinstance(source, Constant):
                    return None
                if source.key is not None:
                    shards.add(owner(key_set.family, source.key))
                    keys.add(source.key)
        if len(keys) > 1 and any(key_set.kept for key_set in statement.key_sets):
            return None  # routing refuses it
        return shards

    def _insert(self, table: str, row: Sequence[Any]) -> None:
        rule = RULES.rules[("public", "orders" if table == "archived_orders" else table)]
        targets = [self.whole, *self.shards]
        if isinstance(rule, Sharded):
            relation = next(relation for relation in RELATIONS if relation.name == table)
            key = row[[column.name for column in relation.columns].index(rule.key)]
            if key is None:
                return
            family = RULES.groups[rule.group]
            targets = [self.whole, self.shards[owner(family, from_text(family, str(key)))]]
        values = sql.SQL(", ").join(sql.Literal(value) for value in row)
        query = sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier(table), values)
        for connection in targets:
            connection.execute(query)


def _create(connection: psycopg.Connection) -> None:
    connection.execute(
        "CREATE FUNCTION double(bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2'"
    )
    for relation in RELATIONS:
        if relation.name in ABSENT or relation.schema != "public":
            continue
        if relation.kind == "v":
            connection.execute(f"CREATE VIEW {relation.name} AS {relation.definition}")
        elif relation.parents:
            connection.execute(f"CREATE TABLE {relation.name} () INHERITS ({relation.parents[0][1]})")
        else:
            columns = ", ".join(
                f"{column.name} {column.type_name}{' NOT NULL' if column.not_null and column.name == _key(relation.name) else ''}"
                for column in relation.columns
            )
            connection.execute(f"CREATE TABLE {relation.name} ({columns})")


def _key(table: str) -> str:
    rule = RULES.rules.get(("public", table))
    return rule.key if isinstance(rule, Sharded) else ""


def _sharded_tables() -> list[str]:
    return [
        name for (_, name), rule in RULES.rules.items() if isinstance(rule, Sharded) and name not in ABSENT
    ]


def _rows() -> dict[str, Iterable[Sequence[Any]]]:
    """Rows whose other columns are equal from tenant to tenant, so that a missing key condition shows."""
    orders = [
        (tenant, number, number % 2, status, "EUR", number * 10, "a")
        for tenant in _TENANTS
        for number, status in enumerate(_STATUSES, 1)
    ]
    rows: dict[str, Iterable[Sequence[Any]]] = {
        "currencies": [("EUR", "Euro", 2), ("XXX", "None", 0)],
        "tenants": [(tenant, tenant, "free", "EUR") for tenant in _TENANTS],
        "customers": [(tenant, number, "e", "a") for tenant in _TENANTS[:4] for number in (0, 1)],
        "products": [
            (tenant, number, "s", "p", 10 * number, "{}") for tenant in _TENANTS[1:] for number in (1, 2)
        ],
        "orders": orders,
        "archived_orders": [(tenant, 9, 1, "paid", "XXX", 1, None) for tenant in _TENANTS[::2]],
        "order_items": [(tenant, number, 1, number, 5) for tenant in _TENANTS for number in (1, 2, 4)],
        "order_events": [(tenant, number, 1, "a", "{}") for tenant in _TENANTS for number in (1, 2)],
        "nullable": [(tenant, 1) for tenant in _TENANTS],
        "devices": [(device, "a", None) for device in _DEVICES],
        "readings": [(device, None, device) for device in _DEVICES[1:] for _ in range(2)],
        "alerts": [(device, 1, "a") for device in _DEVICES],
        "docs": [(doc, "t", "a") for doc in _DOCS],
        "drafts": [(doc, "t") for doc in _DOCS],
        "coupons": [(code, 1) for code in ("ABC", "a", "b")],
        "padded": [(code, 1) for code in ("ABC", "a", "b")],
    }
    return {table: list(found) for table, found in rows.items()}


def _run(connection: psycopg.Connection, text: str) -> Counter[Any] | str:
    """The rows of an answer with how often each occurs, and the count of changed rows; else the SQLSTATE."""
    try:
        cursor = connection.execute(text.encode())  # type: ignore[arg-type]
    except psycopg.Error as error:
        return error.sqlstate or "?"
    if cursor.description is None:
        return Counter({("rows", cursor.rowcount): 1})
    return Counter(map(repr, cursor.fetchall()))


def _brief(rows: Counter[Any] | str) -> str:
    return str(rows)[:300]

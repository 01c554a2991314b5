"""Isolated statements on a real server: with the rows of two tenants they do what they do with one tenant's alone.

Both databases have the same schema. ``alone`` has only the tenant's rows and runs the statement as it was
written: that is the oracle. The neighbour has the same ids, names and amounts, so that a condition that is
missing anywhere changes an answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import psycopg
import pytest

from shardproxy.demo.postgres import Install, Run, Server
from shardproxy.errors import Refused
from shardproxy.monitor.schema_reader import read_schema
from shardproxy.routing.parameters import NoValues
from shardproxy.routing.router import RoutingContext, route
from shardproxy.sql.analysis import analyze
from shardproxy.sql.isolation import isolate
from shardproxy.sql.schema import Schema
from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.tables import Reference, Sharded, TableRules
from tests.support import aio

SCHEMA = """
CREATE TABLE currencies (currency text PRIMARY KEY, digits int NOT NULL);
CREATE TABLE customers (tenant_id text, customer_id int, name text, PRIMARY KEY (tenant_id, customer_id));
CREATE TABLE orders (
    tenant_id text, order_id int, customer_id int, status text DEFAULT 'new', total int, currency text,
    PRIMARY KEY (tenant_id, order_id)
);
CREATE TABLE items (
    tenant_id text, order_id int, line int, sku text, amount int, PRIMARY KEY (tenant_id, order_id, line)
);
CREATE TABLE audit (tenant_id text, id int PRIMARY KEY, what text);
CREATE TABLE events (tenant_id text, at int, what text) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10);
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (10) TO (20);
CREATE VIEW new_orders AS SELECT tenant_id, order_id, total FROM orders WHERE status = 'new';
CREATE VIEW summary (who, n) AS SELECT customer_id, count(*) FROM orders GROUP BY customer_id;
CREATE VIEW big_new AS SELECT * FROM new_orders WHERE total > 15;
CREATE VIEW names AS SELECT currency FROM currencies;
CREATE FUNCTION order_count() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM orders';
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
INSERT INTO currencies VALUES ('EUR', 2), ('JPY', 0);
"""
ROWS = """
INSERT INTO customers SELECT '{0}', i, 'customer ' || i || ' of {0}' FROM generate_series(1, {1}) i;
INSERT INTO orders SELECT '{0}', i, i % 4 + 1, CASE i % 3 WHEN 0 THEN 'new' ELSE 'paid' END, i * 5,
    CASE i % 2 WHEN 0 THEN 'EUR' END FROM generate_series(1, {2}) i;
INSERT INTO items SELECT '{0}', o, l, 'sku ' || l, o * l FROM generate_series(2, {2}, 2) o, generate_series(1, 2) l;
INSERT INTO events SELECT '{0}', i, 'event of {0}' FROM generate_series(1, 19, {1}) i;
"""
TENANT, NEIGHBOUR = "acme", "umbrella"
TABLES = ("currencies", "customers", "orders", "items", "audit", "events")
TENANT_RULE = Sharded("tenant_id", "tenant")
RULES = TableRules(
    {("public", name): TENANT_RULE for name in TABLES} | {("public", "currencies"): Reference()},
    {"tenant": KeyFamily.TEXT},
    "tenant",
)
SEARCH_PATH = ("public",)


@dataclass(frozen=True)
class Servers:
    """The two databases, and the schema of both."""

    both: psycopg.Connection[Any]
    alone: psycopg.Connection[Any]
    schema: Schema


@pytest.fixture(scope="module")
def server(install: Install) -> Iterator[Server]:
    with Run(install) as run:
        yield Server.create(run, "isolation").start()


@pytest.fixture(scope="module")
def servers(server: Server) -> Iterator[Servers]:
    for name in ("shared", "alone"):
        server.query(f"CREATE DATABASE {name}")
    with (
        psycopg.connect(server.dsn(dbname="shared"), cursor_factory=psycopg.RawCursor) as both,
        psycopg.connect(server.dsn(dbname="alone"), cursor_factory=psycopg.RawCursor) as alone,
    ):
        for connection, tenants in ((both, (TENANT, NEIGHBOUR)), (alone, (TENANT,))):
            connection.execute(SCHEMA)
            for tenant in tenants:
                connection.execute(ROWS.format(tenant, *((4, 8) if tenant == TENANT else (6, 9))))
            connection.commit()
        yield Servers(both, alone, aio.run(_schema(server.dsn(dbname="shared"))))


async def _schema(dsn: str) -> Schema:
    connection = await asyncpg.connect(dsn)
    try:
        return await read_schema(connection)
    finally:
        await connection.close()


def isolated(sql: str, schema: Schema) -> str:
    template = isolate(sql, schema=schema, rules=RULES, search_path=SEARCH_PATH)
    return f"'{TENANT}'".join(template.parts)


Outcome = tuple[list[str], int, dict[str, list[str]]]


def outcome(connection: psycopg.Connection[Any], sql: str, parameters: tuple[object, ...]) -> Outcome:
    """The rows and count that ``sql`` gives, and the rows of all tables after it; nothing is kept."""
    try:
        cursor = connection.execute(sql, parameters, prepare=False)
        rows = [repr(row) for row in cursor.fetchall()] if cursor.description else []
        ordered = rows if "ORDER BY" in sql.rpartition(")")[2] else sorted(rows)
        found = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in TABLES}
        return ordered, cursor.rowcount, {name: sorted(map(repr, rows)) for name, rows in found.items()}
    finally:
        connection.rollback()


def split(tables: dict[str, list[str]]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The tables of the tenant (with the reference table), and those of its neighbour."""
    own = {name: [row for row in rows if NEIGHBOUR not in row] for name, rows in tables.items()}
    return own, {name: [row for row in rows if NEIGHBOUR in row] for name, rows in tables.items()}


ACCEPTED = [
    "SELECT * FROM orders",
    "TABLE orders ORDER BY order_id",
    "SELECT count(*), sum(total), min(status) FROM orders WHERE total > 10 OR status = 'new'",
    "SELECT * FROM orders WHERE tenant_id = 'acme' AND order_id = 3",
    "SELECT o.order_id, c.name FROM orders o JOIN customers c ON c.customer_id = o.customer_id",
    "SELECT order_id, name FROM orders JOIN customers USING (customer_id)",
    "SELECT order_id, name FROM orders NATURAL JOIN customers",
    "SELECT * FROM orders, items WHERE orders.order_id = items.order_id",
    "SELECT * FROM orders CROSS JOIN currencies c WHERE c.currency = orders.currency",
    "SELECT c.name, o.order_id FROM customers c LEFT JOIN orders o ON o.customer_id = c.customer_id + 1",
    "SELECT o.order_id, i.line FROM orders o LEFT JOIN items i USING (order_id)",
    "SELECT o.order_id FROM orders o LEFT JOIN items i ON i.order_id = o.order_id WHERE i.line IS NULL",
    "SELECT o.order_id, i.line FROM items i RIGHT JOIN orders o ON i.order_id = o.order_id",
    "SELECT o.order_id, i.line, i.amount FROM orders o FULL JOIN items i ON i.amount = o.order_id",
    "SELECT * FROM orders FULL JOIN customers USING (customer_id)",
    "SELECT c.name, x.order_id, x.line FROM customers c LEFT JOIN (orders o JOIN items i"
    " ON i.order_id = o.order_id) AS x(t, order_id, c, s, to_, cu, t2, o2, line) ON x.c = c.customer_id",
    "SELECT c.name, o.order_id, i.line FROM customers c LEFT JOIN (orders o JOIN items i"
    " ON i.order_id = o.order_id) ON o.customer_id = c.customer_id",
    "SELECT c.name, o.order_id, i.line FROM customers c LEFT JOIN (orders o LEFT JOIN items i"
    " ON i.order_id = o.order_id) ON o.customer_id = c.customer_id",
    "SELECT c.name, o.order_id, i.line FROM customers c JOIN (orders o FULL JOIN items i"
    " USING (order_id)) ON o.customer_id = c.customer_id",
    "SELECT * FROM currencies LEFT JOIN orders o ON o.currency = currencies.currency",
    "SELECT a, e FROM orders AS o(t, a, b, c, e) WHERE t = 'acme'",
    "SELECT public.orders.total FROM public.orders WHERE public.orders.order_id < 5",
    "SELECT (SELECT count(*) FROM items i WHERE i.order_id = o.order_id), o.order_id FROM orders o",
    "SELECT order_id FROM orders o WHERE EXISTS (SELECT FROM items i WHERE i.order_id = o.order_id + 1)",
    "SELECT order_id FROM orders WHERE order_id NOT IN (SELECT order_id FROM items)",
    "SELECT order_id FROM orders WHERE total >= ALL (SELECT amount FROM items)",
    "SELECT CASE WHEN (SELECT max(total) FROM orders) > 40 THEN 'big' ELSE 'small' END FROM currencies",
    "SELECT c.name, x.total FROM customers c, LATERAL (SELECT total FROM orders o"
    " WHERE o.customer_id = c.customer_id ORDER BY total DESC LIMIT 1) x",
    "SELECT * FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY 1) x WHERE n > 1",
    "SELECT status, count(*) FILTER (WHERE total > 5) FROM orders GROUP BY ROLLUP (status) HAVING count(*) > 1",
    "SELECT order_id, rank() OVER (ORDER BY total DESC), lag(total) OVER w FROM orders"
    " WINDOW w AS (ORDER BY order_id)",
    "SELECT DISTINCT ON (customer_id) customer_id, order_id FROM orders ORDER BY customer_id, order_id DESC",
    "SELECT order_id, total, status FROM orders GROUP BY tenant_id, order_id",
    "SELECT orders FROM orders WHERE orders IS NOT NULL",
    "SELECT o.* FROM orders o ORDER BY o.total LIMIT 3 OFFSET 1",
    "SELECT order_id FROM orders UNION SELECT line FROM items",
    "SELECT order_id FROM orders EXCEPT ALL (SELECT order_id FROM items INTERSECT SELECT order_id FROM orders)",
    "WITH x AS (SELECT * FROM orders WHERE total > 10) SELECT count(*) FROM x JOIN customers USING (customer_id)",
    "WITH orders AS (SELECT * FROM public.orders WHERE total > 10) SELECT count(*) FROM orders",
    "WITH RECURSIVE r(n) AS (SELECT min(order_id) FROM orders UNION ALL SELECT o.order_id FROM orders o"
    " JOIN r ON o.order_id = r.n + 1) SELECT count(*) FROM r",
    "WITH a AS (SELECT order_id FROM orders), b AS (SELECT * FROM a WHERE order_id > 3) SELECT * FROM b, a",
    "SELECT * FROM new_orders",
    "SELECT v.t, v.total FROM new_orders AS v(t, o)",
    "SELECT who, n FROM summary WHERE n > 1",
    "SELECT * FROM big_new JOIN orders USING (order_id)",
    "SELECT * FROM customers c LEFT JOIN summary s ON s.who = c.customer_id",
    "SELECT * FROM names",
    "SELECT * FROM events WHERE at > 5",
    "SELECT * FROM events_2",
    "SELECT * FROM ONLY orders TABLESAMPLE SYSTEM (100)",
    "SELECT * FROM orders o FOR UPDATE OF o",
    "SELECT * FROM new_orders FOR SHARE",
    "SELECT tableoid::regclass::text, ctid IS NULL FROM orders",
    "SELECT array(SELECT order_id FROM orders ORDER BY 1), (SELECT array_agg(line) FROM items)",
    "VALUES ((SELECT count(*) FROM orders), 1), (2, (SELECT sum(amount) FROM items))",
    "SELECT twice(total) FROM orders",
    "SELECT g FROM generate_series(1, (SELECT max(order_id) FROM orders)) g",
    "UPDATE orders SET total = total + 1",
    "UPDATE orders AS o SET total = 0 WHERE o.status = 'new' OR o.total > 30 RETURNING o.order_id, o.total",
    "UPDATE orders SET status = c.name FROM customers c WHERE c.customer_id = orders.customer_id RETURNING *",
    "UPDATE orders SET (status, total) = (SELECT max(sku), sum(amount) FROM items"
    " WHERE items.order_id = orders.order_id)",
    "UPDATE orders o SET total = -1 FROM customers c LEFT JOIN items i ON i.order_id = c.customer_id"
    " WHERE c.customer_id = o.customer_id AND i.line IS NULL",
    "UPDATE events SET what = 'x'",
    "DELETE FROM items",
    "DELETE FROM items USING orders o WHERE o.order_id = items.order_id AND o.status = 'new' RETURNING line",
    "DELETE FROM customers c WHERE NOT EXISTS (SELECT FROM orders o WHERE o.customer_id = c.customer_id - 1)",
    "INSERT INTO orders (tenant_id, order_id, total) VALUES ('acme', 100, 1), ('acme', 101, 2) RETURNING *",
    "INSERT INTO orders VALUES ('acme', 100, 1)",
    "INSERT INTO items (tenant_id, order_id, line) SELECT tenant_id, order_id, 9 FROM orders",
    "INSERT INTO items (order_id, line, tenant_id) SELECT o.order_id, 9, c.tenant_id FROM orders o JOIN customers c"
    " ON c.customer_id = o.customer_id",
    "INSERT INTO orders (tenant_id, order_id, total) SELECT 'acme', 200, sum(total) FROM orders",
    "INSERT INTO orders (tenant_id, order_id, total) VALUES ('acme', 1, 7), ('acme', 50, 8)"
    " ON CONFLICT (tenant_id, order_id) DO UPDATE SET total = excluded.total + orders.total",
    "INSERT INTO orders AS o (tenant_id, order_id, total) VALUES ('acme', 1, 7)"
    " ON CONFLICT ON CONSTRAINT orders_pkey DO UPDATE SET total = 0 WHERE o.total > 100 OR o.total < 50",
    "INSERT INTO orders (tenant_id, order_id) VALUES ('acme', 1) ON CONFLICT DO NOTHING",
    "WITH gone AS (DELETE FROM items RETURNING *) INSERT INTO events (tenant_id, at, what)"
    " SELECT tenant_id, order_id, sku FROM gone",
    "WITH changed AS (UPDATE orders SET total = 0 RETURNING order_id) SELECT count(*) FROM changed",
    "MERGE INTO orders o USING items i ON o.order_id = i.order_id AND i.line = 1"
    " WHEN MATCHED AND o.total > 15 THEN DELETE WHEN MATCHED THEN UPDATE SET total = i.amount",
    "MERGE INTO items t USING orders s ON t.order_id = s.order_id AND t.line = 1 WHEN MATCHED THEN DO NOTHING"
    " WHEN NOT MATCHED THEN INSERT (tenant_id, order_id, line) VALUES (s.tenant_id, s.order_id, 1)",
    "EXPLAIN (COSTS OFF) SELECT 1 FROM currencies",
    "WITH orders AS (SELECT * FROM orders) SELECT count(*) FROM orders",
    "WITH orders AS (SELECT * FROM items), x AS (SELECT * FROM orders) SELECT count(*) FROM x, orders",
    "UPDATE orders SET total = 7 WHERE order_id = 1 RETURNING (SELECT count(*) FROM orders), (SELECT max(line) FROM items)",
    "DELETE FROM items WHERE order_id = 1 RETURNING line, ARRAY(SELECT order_id FROM orders ORDER BY 1)",
    "INSERT INTO orders (tenant_id, order_id) VALUES ('acme', 300) RETURNING (SELECT count(*) FROM orders)",
    "MERGE INTO items t USING orders s ON t.order_id = s.order_id AND t.line = 1 WHEN MATCHED THEN DO NOTHING"
    " WHEN NOT MATCHED THEN INSERT (tenant_id, order_id, line) VALUES (s.tenant_id, s.order_id, 1)"
    " RETURNING (SELECT count(*) FROM orders)",
    "UPDATE orders SET tenant_id = 'acme', total = 7 WHERE order_id = 1",
    "UPDATE orders SET tenant_id = i.tenant_id, total = 7 FROM items i WHERE i.tenant_id = orders.tenant_id"
    " AND i.order_id = orders.order_id",
]  # fmt: skip


@pytest.mark.parametrize("sql", ACCEPTED)
def test_a_tenant_is_alone_on_the_server(servers: Servers, sql: str) -> None:
    check(servers, sql)


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT * FROM orders WHERE tenant_id = $1 AND order_id = $2", (TENANT, 3)),
        ("SELECT * FROM orders WHERE order_id = ANY ($1)", ([1, 2, 9],)),
        ("UPDATE orders SET total = $1 WHERE order_id = $2", (5, 3)),
        ("INSERT INTO orders (tenant_id, order_id) VALUES ($1, $2)", (TENANT, 300)),
        ("SELECT * FROM orders ORDER BY order_id LIMIT $1", (3,)),
    ],
)
def test_parameters_stay_where_they_were(servers: Servers, sql: str, parameters: tuple[object, ...]) -> None:
    check(servers, sql, parameters)


def check(servers: Servers, sql: str, parameters: tuple[object, ...] = ()) -> None:
    _, untouched = split(outcome(servers.both, "SELECT 1", ())[2])
    rows, count, tables = outcome(servers.both, isolated(sql, servers.schema), parameters)
    expected_rows, expected_count, expected_tables = outcome(servers.alone, sql, parameters)
    own, neighbours = split(tables)
    assert rows == expected_rows
    assert count == expected_count
    assert own == expected_tables
    assert neighbours == untouched


def test_the_list_can_fail(servers: Servers) -> None:
    """Run as they were written, most statements of the list show or change the neighbour's rows."""
    caught = 0
    for sql in ACCEPTED:
        try:
            rows, _, tables = outcome(servers.both, sql, ())
            expected_rows, _, expected_tables = outcome(servers.alone, sql, ())
        except psycopg.Error:
            caught += 1
            continue
        caught += rows != expected_rows or split(tables)[0] != expected_tables or NEIGHBOUR not in str(tables)
    assert caught > len(ACCEPTED) * 3 // 4


REFUSED = [
    "TRUNCATE orders",
    "ALTER TABLE orders ADD x int",
    "DO $$ BEGIN DELETE FROM orders; END $$",
    "SELECT order_count()",
    "SELECT order_count() FROM orders WHERE tenant_id = 'acme'",
    "UPDATE new_orders SET total = 1",
    "INSERT INTO new_orders VALUES ('acme', 1, 1)",
    "DELETE FROM new_orders",
    "DELETE FROM orders WHERE CURRENT OF c",
    "UPDATE orders SET tenant_id = lower('UMBRELLA')",
    "INSERT INTO orders (tenant_id, order_id) VALUES (lower('UMBRELLA'), 1)",
    "INSERT INTO orders (tenant_id, order_id) SELECT lower('UMBRELLA'), order_id FROM orders",
    "INSERT INTO orders (tenant_id, order_id) SELECT status, order_id FROM orders",
    "INSERT INTO orders (tenant_id, order_id) VALUES ('acme', 1) ON CONFLICT (order_id) DO UPDATE SET total = 1",
    "INSERT INTO audit (tenant_id, id) VALUES ('acme', 1) ON CONFLICT (id) DO UPDATE SET what = 'x'",
    "INSERT INTO audit (tenant_id, id) VALUES ('acme', 1) ON CONFLICT ON CONSTRAINT audit_pkey"
    " DO UPDATE SET what = 'x'",
    "INSERT INTO orders (tenant_id, order_id) VALUES ('acme', 1) ON CONFLICT (tenant_id, order_id)"
    " DO UPDATE SET tenant_id = orders.status",
    "MERGE INTO orders o USING items i ON o.order_id = i.order_id"
    " WHEN MATCHED THEN UPDATE SET tenant_id = o.status",
    "MERGE INTO items t USING orders s ON t.order_id = s.order_id"
    " WHEN NOT MATCHED THEN INSERT (tenant_id, order_id, line) VALUES (lower('UMBRELLA'), s.order_id, 1)",
    "MERGE INTO orders o USING items i ON o.order_id = i.order_id WHEN NOT MATCHED BY SOURCE THEN DELETE",
    "SELECT query_to_xml('SELECT * FROM orders', true, true, '')",
    "COPY orders TO STDOUT",
]  # fmt: skip


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_not_proven_is_refused(servers: Servers, sql: str) -> None:
    with pytest.raises(Refused) as refusal:
        isolated(sql, servers.schema)
    assert refusal.value.construct


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO orders (tenant_id, order_id) VALUES ('umbrella', 100)",
        "INSERT INTO orders (tenant_id, order_id) VALUES ('acme', 100), ('umbrella', 101)",
        "INSERT INTO items (tenant_id, order_id, line) SELECT 'umbrella', order_id, 9 FROM orders",
        "WITH x AS (INSERT INTO orders (tenant_id, order_id) VALUES ('umbrella', 100) RETURNING *) SELECT * FROM x",
        "MERGE INTO items t USING orders s ON t.order_id = s.order_id"
        " WHEN NOT MATCHED THEN INSERT (tenant_id, order_id, line) VALUES ('umbrella', s.order_id, 1)",
        "SELECT * FROM orders WHERE tenant_id = 'umbrella'",
        "UPDATE orders SET tenant_id = 'umbrella'",
        "UPDATE orders SET (note, tenant_id) = ('x', 'umbrella') WHERE order_id = 1",
        "INSERT INTO orders (tenant_id, order_id) VALUES ('acme', 1) ON CONFLICT (tenant_id, order_id)"
        " DO UPDATE SET tenant_id = 'umbrella'",
        "MERGE INTO orders o USING items i ON o.order_id = i.order_id"
        " WHEN MATCHED THEN UPDATE SET tenant_id = 'umbrella'",
    ],
)  # fmt: skip
def test_what_the_rewriting_leaves_routing_compares(servers: Servers, sql: str) -> None:
    """Keys of new rows are not rewritten; a neighbour's never gets past routing."""
    from shardproxy.topology.shard_map import ShardSpec, build

    (statement,) = analyze(sql, schema=servers.schema, rules=RULES, search_path=SEARCH_PATH)
    shard_map = build([ShardSpec("a"), ShardSpec("b")], RULES)
    with pytest.raises(Refused, match='names the tenant "umbrella"'):
        route(statement, NoValues(), RoutingContext(tenant=TENANT.encode()), shard_map)


def test_rows_copied_in_are_looked_at_by_the_server(servers: Servers) -> None:
    both = servers.both
    sql = isolated(
        "COPY customers (tenant_id, customer_id) FROM STDIN WHERE customer_id > 50", servers.schema
    )
    with both.cursor().copy(sql) as copy:
        copy.write(f"{TENANT}\t100\n{TENANT}\t7\n{NEIGHBOUR}\t8\n")
    assert both.execute("SELECT count(*) FROM customers WHERE customer_id > 6").fetchone() == (1,)
    for tenant in (NEIGHBOUR, "\\N", f"{TENANT} "):
        with (
            pytest.raises(
                psycopg.errors.InvalidTextRepresentation, match="not a row of the session's tenant"
            ),
            both.transaction(),
            both.cursor().copy(sql) as copy,
        ):
            copy.write(f"{tenant}\t101\n")
    both.rollback()


@pytest.mark.parametrize(
    "sql",
    [
        "COPY customers (customer_id, name) TO STDOUT WITH (FORMAT csv, HEADER)",
        "COPY (SELECT * FROM orders JOIN items USING (order_id) ORDER BY 1, line) TO STDOUT",
        "COPY (DELETE FROM items RETURNING order_id) TO STDOUT",
    ],
)
def test_rows_copied_out_are_the_tenants(servers: Servers, sql: str) -> None:
    def copied(connection: psycopg.Connection[Any], sql: str) -> bytes:
        with connection.cursor().copy(sql) as copy:
            found = b"".join(bytes(block) for block in copy)
        connection.rollback()
        return found

    assert copied(servers.both, isolated(sql, servers.schema)) == copied(servers.alone, sql) != b""


def test_a_copied_table_is_copied_without_its_children(servers: Servers) -> None:
    assert "FROM ONLY customers" in isolated("COPY customers (customer_id) TO STDOUT", servers.schema)


def test_the_tenant_is_a_place_in_the_template(servers: Servers) -> None:
    sql = "SELECT '~0~', 'it''s', E'a\\nb' FROM orders WHERE tenant_id = $1"
    template = isolate(sql, schema=servers.schema, rules=RULES, search_path=SEARCH_PATH)
    assert len(template.parts) == 2
    for tenant in ("acme", "o''hara", "~0~", "~1~"):
        text = f"'{tenant}'".join(template.parts)
        assert servers.both.execute(text, ("x",)).fetchall() == []
        assert f"orders.tenant_id = '{tenant}'" in text
    servers.both.rollback()


def test_a_statement_without_the_tenants_tables_is_left_as_it_is(servers: Servers) -> None:
    sql = "SELECT  currency -- all of them\n FROM currencies"
    assert isolate(sql, schema=servers.schema, rules=RULES, search_path=SEARCH_PATH).parts == (sql,)


@pytest.mark.parametrize(("family", "type_name"), [(KeyFamily.INTEGER, "int"), (KeyFamily.UUID, "uuid")])
def test_keys_of_other_types_are_bound_too(
    server: Server, servers: Servers, family: KeyFamily, type_name: str
) -> None:
    name = f"keyed_{type_name}"
    server.query(f"CREATE DATABASE {name}")
    server.query(f"CREATE TABLE t (k {type_name}, x int)", dbname=name)
    schema = aio.run(_schema(server.dsn(dbname=name)))
    rules = TableRules({("public", "t"): Sharded("k", "g")}, {"g": family}, "g")
    for sql in ("SELECT x FROM t", "UPDATE t SET x = 1", "SELECT * FROM t a FULL JOIN t b USING (x)"):
        parts = isolate(sql, schema=schema, rules=rules, search_path=SEARCH_PATH).parts
        key = "7" if family is KeyFamily.INTEGER else "7e9a9700-0000-4000-8000-000000000007"
        server.query(f"'{key}'".join(parts), dbname=name)
        assert len(parts) == (3 if "JOIN" in sql else 2)


def test_hopeless_nesting_is_an_error(servers: Servers) -> None:
    from shardproxy.errors import StatementError

    nested = "SELECT * FROM orders WHERE " + "(NOT " * 2000 + "true" + ")" * 2000
    with pytest.raises(StatementError) as error:
        isolated(nested, servers.schema)
    assert error.value.sqlstate == "54001"

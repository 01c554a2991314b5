"""A shard with rows of a move in progress answers as one that does not have them: on a real server.

``with_them`` has rows of tenants that are on their way; ``without`` has not, and runs the statement as it was
written: that is the oracle.
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
from shardproxy.sql.exclusion import COLUMN, without_rows
from shardproxy.sql.schema import Schema
from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.tables import Reference, Sharded, TableRules
from tests.support import aio

SCHEMA = """
CREATE TABLE currencies (currency text PRIMARY KEY, digits int NOT NULL);
CREATE TABLE orders (tenant_id text, order_id int, currency text, total int, PRIMARY KEY (tenant_id, order_id));
CREATE TABLE items (tenant_id text, order_id int, line int, amount int, PRIMARY KEY (tenant_id, order_id, line));
CREATE TABLE "Readings" ("Device" bigint, at int, value int, PRIMARY KEY ("Device", at));
CREATE TABLE events (tenant_id text, at int, what text) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100);
CREATE VIEW big AS SELECT * FROM orders WHERE total > 15;
INSERT INTO currencies VALUES ('EUR', 2), ('JPY', 0), ('USD', 2);
"""
ROWS = """
INSERT INTO orders SELECT '{0}', i, CASE i % 3 WHEN 0 THEN 'EUR' WHEN 1 THEN 'JPY' END, i * 5 FROM generate_series(1, 9) i;
INSERT INTO items SELECT '{0}', o, l, o * l FROM generate_series(2, 11, 3) o, generate_series(1, 2) l;
INSERT INTO events SELECT '{0}', i, 'event of {0}' FROM generate_series(1, 9) i;
INSERT INTO "Readings" SELECT {1}, i, i * i FROM generate_series(1, 5) i;
"""
STAYING, MOVING = {"acme": 1, "o'neill": 2}, {"globex": 7, "it's \\moving": -8}
RULES = TableRules(
    {("public", name): Sharded("tenant_id", "tenant") for name in ("orders", "items", "events")}
    | {("public", "Readings"): Sharded("Device", "device"), ("public", "currencies"): Reference()},
    {"tenant": KeyFamily.TEXT, "device": KeyFamily.INTEGER},
    "tenant",
)
EXCLUDED = {
    "tenant": f"{COLUMN} IN ('globex', E'it''s \\\\moving', '{{column}}')",
    "device": f"{COLUMN} IN (7, -8)",
}
STATEMENTS = [
    "SELECT * FROM orders",
    "TABLE items",
    "SELECT o.* FROM public.orders AS o WHERE total > 10 OR o.total < 3",
    "SELECT tenant_id, count(*) FROM orders GROUP BY tenant_id HAVING count(*) > 1",
    "SELECT DISTINCT tenant_id FROM items",
    "SELECT o.tenant_id, i.line FROM orders o JOIN items i ON i.tenant_id = o.tenant_id AND i.order_id = o.order_id",
    "SELECT * FROM orders o LEFT JOIN items i ON i.tenant_id = o.tenant_id AND i.order_id = o.order_id",
    "SELECT * FROM orders o RIGHT JOIN items i ON i.tenant_id = o.tenant_id AND i.order_id = o.order_id",
    "SELECT * FROM orders o FULL JOIN items i ON i.tenant_id = o.tenant_id AND i.order_id = o.order_id",
    "SELECT * FROM orders JOIN items USING (tenant_id, order_id)",
    "SELECT * FROM orders FULL JOIN items USING (tenant_id, order_id)",
    "SELECT * FROM orders NATURAL JOIN items",
    "SELECT * FROM (orders JOIN items USING (tenant_id, order_id)) AS j",
    "SELECT * FROM orders o (tenant, id) LEFT JOIN currencies c ON c.currency = o.currency",
    "SELECT * FROM orders a, orders b WHERE a.tenant_id = b.tenant_id AND a.order_id = b.order_id + 1",
    'SELECT r."Device", sum(r.value) FROM "Readings" r GROUP BY r."Device"',
    "SELECT what FROM events",
    "SELECT at, what FROM ONLY events_1",
    "SELECT o FROM orders o",
]


@dataclass(frozen=True)
class Servers:
    with_them: psycopg.Connection[Any]
    without: psycopg.Connection[Any]
    schema: Schema


@pytest.fixture(scope="module")
def servers(install: Install) -> Iterator[Servers]:
    with Run(install) as run:
        server = Server.create(run, "exclusion").start()
        for name in ("with_them", "without"):
            server.query(f"CREATE DATABASE {name}")
        dsns = [server.dsn(dbname=name) for name in ("with_them", "without")]
        with psycopg.connect(dsns[0]) as with_them, psycopg.connect(dsns[1]) as without:
            for connection, tenants in ((with_them, STAYING | MOVING), (without, STAYING)):
                connection.execute(SCHEMA)
                for tenant, device in tenants.items():
                    connection.execute(ROWS.format(tenant.replace("'", "''"), device))
                connection.commit()
            yield Servers(with_them, without, aio.run(_schema(dsns[0])))


async def _schema(dsn: str) -> Schema:
    connection = await asyncpg.connect(dsn)
    try:
        return await read_schema(connection)
    finally:
        await connection.close()


def rewritten(sql: str, schema: Schema) -> str:
    return without_rows(sql, EXCLUDED, schema=schema, rules=RULES, search_path=("public",))


def rows(connection: psycopg.Connection[Any], sql: str) -> list[str]:
    found = sorted(map(repr, connection.execute(sql).fetchall()))  # type: ignore[arg-type]
    connection.rollback()
    return found


@pytest.mark.parametrize("sql", STATEMENTS)
def test_the_rows_that_do_not_count_are_left_out(servers: Servers, sql: str) -> None:
    expected = rows(servers.without, sql)
    assert expected
    assert rows(servers.with_them, sql) != expected, "the statement does not see the difference"
    assert rows(servers.with_them, rewritten(sql, servers.schema)) == expected


def test_parameters_keep_their_numbers(servers: Servers) -> None:
    sql = rewritten("SELECT order_id FROM orders WHERE total > $2 AND order_id < $1", servers.schema)
    assert "$1" in sql
    assert "$2" in sql


def test_what_reads_none_of_the_groups_stays_as_it_is(servers: Servers) -> None:
    assert rewritten("SELECT  * FROM currencies", servers.schema) == "SELECT  * FROM currencies"
    only = {"device": EXCLUDED["device"]}
    text = without_rows("TABLE  orders", only, schema=servers.schema, rules=RULES, search_path=("public",))
    assert text == "TABLE  orders"


@pytest.mark.parametrize("sql", ["SELECT * FROM big", "SELECT (SELECT 1 FROM big LIMIT 1) FROM orders"])
def test_what_cannot_be_restricted_is_refused(servers: Servers, sql: str) -> None:
    with pytest.raises(Refused, match="while rows of its tables move"):
        rewritten(sql, servers.schema)


def test_a_table_is_found_wherever_it_stands(servers: Servers) -> None:
    sql = "SELECT tenant_id FROM orders o WHERE EXISTS (SELECT FROM items i WHERE i.tenant_id = o.tenant_id)"
    assert rewritten(sql, servers.schema).count("IS NOT TRUE") == 2

"""Which SELECTs every shard may answer for itself, and the construct that is named where it may not."""

import pytest

from tests.sql.verdicts import fan_out, plan

CONCATENATED = [
    "SELECT * FROM orders",
    "SELECT order_id, total * 2, upper(status) FROM orders WHERE total > 5",
    "SELECT * FROM orders WHERE tenant_id IN ('a', 'b')",
    "SELECT * FROM orders WHERE tenant_id = ANY ($1)",
    "SELECT * FROM orders JOIN order_items USING (tenant_id, order_id)",
    "SELECT * FROM orders o, order_items i WHERE o.tenant_id = i.tenant_id",
    "SELECT * FROM orders o JOIN order_items i USING (tenant_id) JOIN products p ON p.tenant_id = i.tenant_id",
    "SELECT * FROM orders o LEFT JOIN order_items i ON i.tenant_id = o.tenant_id AND i.order_id = o.order_id",
    "SELECT * FROM orders o RIGHT JOIN order_items i USING (tenant_id, order_id)",
    "SELECT * FROM orders o FULL JOIN order_items i USING (tenant_id, order_id)",
    "SELECT * FROM orders o LEFT JOIN order_items i USING (tenant_id) LEFT JOIN products p ON p.tenant_id = i.tenant_id",
    "SELECT * FROM orders JOIN currencies USING (currency)",
    "SELECT * FROM orders LEFT JOIN currencies USING (currency)",
    "SELECT * FROM currencies RIGHT JOIN orders USING (currency)",
    "SELECT * FROM orders, generate_series(1, 3) AS n",
    "SELECT *, unnest(ARRAY[1, 2]) FROM orders",
    "SELECT tenant_id, count(*) FROM orders GROUP BY tenant_id",
    "SELECT tenant_id, status, sum(total) FROM orders GROUP BY 1, 2 HAVING sum(total) > 5",
    "SELECT o.tenant_id, count(*) FROM orders o JOIN order_items i USING (tenant_id, order_id) GROUP BY i.tenant_id, o.tenant_id",
    "SELECT o.tenant_id, count(i.line) FROM orders o LEFT JOIN order_items i USING (tenant_id) GROUP BY o.tenant_id",
    "SELECT tenant_id AS t, count(*) FROM orders GROUP BY t",
    "SELECT max(status) AS tenant_id FROM orders GROUP BY tenant_id",
    "SELECT k, count(*) FROM unnest(ARRAY['a', 'b']) k JOIN orders o ON o.tenant_id = k GROUP BY k",
    "SELECT DISTINCT tenant_id, status FROM orders",
    "SELECT DISTINCT * FROM orders",
    "SELECT double(order_id) FROM orders",
    "SELECT similarity(note, 'x') FROM orders",
    "SELECT current_user FROM orders",
    "SELECT FROM archived_orders",
]

REFUSED = [
    ("SELECT count(*) FROM orders", "aggregate over several shards: count(*)"),
    ("SELECT sum(total) + 1 FROM orders", "aggregate over several shards: sum(...)"),
    ("SELECT median(total) FROM orders", "aggregate over several shards: median(...)"),
    ("SELECT string_agg(status, ',') FROM orders", "aggregate over several shards: string_agg(...)"),
    ("SELECT json_arrayagg(status) FROM orders", "an aggregate or window function over several shards"),
    ("SELECT FROM orders HAVING true", "an aggregate or window function over several shards"),
    (
        "SELECT status, count(*) FROM orders GROUP BY status",
        "GROUP BY without the sharding key over several shards",
    ),
    (
        "SELECT lower(tenant_id) AS t, count(*) FROM orders GROUP BY t",
        "GROUP BY without the sharding key over several shards",
    ),
    (
        "SELECT tenant_id AS t, status AS t FROM orders GROUP BY t",
        "GROUP BY without the sharding key over several shards",
    ),
    (
        "SELECT tenant_id AS status FROM orders GROUP BY status",
        "GROUP BY without the sharding key over several shards",
    ),
    (
        "SELECT count(*) FROM orders GROUP BY lower(tenant_id)",
        "GROUP BY without the sharding key over several shards",
    ),
    (
        "SELECT i.tenant_id, count(*) FROM orders o LEFT JOIN order_items i USING (tenant_id) GROUP BY i.tenant_id",
        "GROUP BY without the sharding key over several shards",
    ),
    (
        "SELECT tenant_id, count(*) FROM orders o FULL JOIN order_items i USING (tenant_id) GROUP BY tenant_id",
        "GROUP BY without the sharding key over several shards",
    ),
    (
        "SELECT tenant_id, count(*) FROM orders GROUP BY ROLLUP (tenant_id)",
        "GROUPING SETS, ROLLUP or CUBE over several shards",
    ),
    (
        "SELECT tenant_id, sum(count(*)) OVER () FROM orders GROUP BY tenant_id",
        "window function over several shards: sum(...)",
    ),
    ("SELECT row_number() OVER () FROM orders", "window function over several shards: row_number()"),
    ("SELECT DISTINCT status FROM orders", "DISTINCT without the sharding key over several shards"),
    ("SELECT DISTINCT lower(tenant_id) FROM orders", "DISTINCT without the sharding key over several shards"),
    ("SELECT DISTINCT ON (tenant_id) * FROM orders", "DISTINCT ON over several shards"),
    ("SELECT * FROM orders ORDER BY order_id", "ORDER BY over several shards"),
    ("SELECT * FROM orders LIMIT 5", "LIMIT or OFFSET over several shards"),
    ("SELECT * FROM orders OFFSET 5", "LIMIT or OFFSET over several shards"),
    ("SELECT * FROM orders FETCH FIRST ROW ONLY", "LIMIT or OFFSET over several shards"),
    ("SELECT * FROM orders FOR UPDATE", "FOR UPDATE or FOR SHARE over several shards"),
    ("SELECT 1 FROM orders UNION ALL SELECT 2 FROM orders", "UNION, INTERSECT or EXCEPT over several shards"),
    ("WITH x AS (SELECT 1) SELECT * FROM orders", "WITH over several shards"),
    ("SELECT * FROM orders WHERE EXISTS (SELECT FROM currencies)", "a subquery over several shards"),
    ("SELECT * FROM (SELECT * FROM orders) s", "a subquery, view or CTE in FROM over several shards"),
    ("SELECT * FROM order_view", "a subquery, view or CTE in FROM over several shards"),
    ("SELECT random() FROM orders", "a volatile function over several shards"),
    ("SELECT nextval('x'), * FROM orders", "a volatile function over several shards"),
    ("SELECT touch() FROM orders", "a volatile function over several shards"),
    (
        "SELECT total_of(order_id) FROM orders",
        "the function total_of over several shards, which may read tables",
    ),
    ("SELECT now() FROM orders", "now over several shards, which differs from server to server"),
    (
        "SELECT * FROM orders WHERE placed_at > CURRENT_TIMESTAMP",
        "CURRENT_TIMESTAMP over several shards, which differs from server to server",
    ),
    ("SELECT ctid FROM orders", "a system column (ctid, xmin, tableoid ...) over several shards"),
    ("SELECT o.tableoid FROM orders o", "a system column (ctid, xmin, tableoid ...) over several shards"),
    ("SELECT * FROM orders TABLESAMPLE system(10)", "TABLESAMPLE over several shards"),
    (
        "SELECT * FROM orders CROSS JOIN order_items",
        "a join of sharded tables that is not on the sharding key, over several shards",
    ),
    (
        "SELECT * FROM orders o JOIN order_items i USING (order_id)",
        "a join of sharded tables that is not on the sharding key, over several shards",
    ),
    (
        "SELECT * FROM orders o LEFT JOIN order_items i ON i.order_id = o.order_id",
        "a join of sharded tables that is not on the sharding key, over several shards",
    ),
    (
        "SELECT * FROM orders o JOIN order_items i ON i.tenant_id = o.tenant_id OR true",
        "a join of sharded tables that is not on the sharding key, over several shards",
    ),
    (
        "SELECT * FROM orders o, order_items i WHERE o.tenant_id IN ('a', 'b') AND i.tenant_id IN ('a', 'b')",
        "a join of sharded tables that is not on the sharding key, over several shards",
    ),
    (
        "SELECT * FROM orders, devices",
        "a join of sharded tables that is not on the sharding key, over several shards",
    ),
    (
        "SELECT * FROM currencies LEFT JOIN orders USING (currency)",
        "an outer join that keeps rows of a reference table over several shards",
    ),
    (
        "SELECT * FROM orders RIGHT JOIN currencies USING (currency)",
        "an outer join that keeps rows of a reference table over several shards",
    ),
    (
        "SELECT * FROM orders FULL JOIN currencies USING (currency)",
        "an outer join that keeps rows of a reference table over several shards",
    ),
    (
        "SELECT * FROM generate_series(1, 3) n LEFT JOIN orders ON n = order_id",
        "an outer join that keeps rows of a reference table over several shards",
    ),
    (
        "SELECT * FROM orders o JOIN currencies c ON EXISTS (SELECT FROM currencies)",
        "a subquery in ON over several shards",
    ),
    (
        "SELECT * FROM orders, pg_class",
        "a sharded table joined with another relation over several shards",
    ),
    (
        "SELECT * FROM orders, nowhere",
        "a sharded table joined with another relation over several shards",
    ),
    (
        "SELECT * FROM orders o LEFT JOIN order_items i ON i.tenant_id = o.tenant_id AND o.tenant_id = 'a'",
        "tables bound to different keys over several shards",
    ),
    ("DELETE FROM orders", "DELETE over several shards"),
    ("UPDATE orders SET note = ''", "UPDATE over several shards"),
    ("SELECT pg_advisory_lock(1) FROM orders", "a volatile function over several shards"),
    ("DECLARE c CURSOR FOR SELECT * FROM orders", "a cursor over several shards"),
    ("EXPLAIN SELECT * FROM orders", "EXPLAIN of a statement over several shards"),
    ("SELECT * FROM padded", 'table "padded", whose key column cannot be compared, over several shards'),
]


@pytest.mark.parametrize("sql", CONCATENATED)
def test_shards_answer_for_themselves(sql: str) -> None:
    assert fan_out(sql) == "concatenate"
    assert plan(sql).refusal is None


@pytest.mark.parametrize(("sql", "construct"), REFUSED)
def test_shards_do_not_answer_for_themselves(sql: str, construct: str) -> None:
    assert fan_out(sql) == construct


def test_the_hint_names_the_sharding_key() -> None:
    refusal = plan("SELECT count(*) FROM devices").refusal
    assert refusal is not None
    assert refusal.hint == "Compare the sharding key device_id with one value, or SET shardproxy.tenant."


def test_a_child_is_known_by_the_name_that_the_configuration_has() -> None:
    statement = plan("SELECT * FROM archived_orders")
    assert statement.unbound == statement.relations == (("public", "orders"),)

"""Subqueries, CTEs, views and set operations: every occurrence of a sharded table must be bound."""

import pytest

from tests.sql.verdicts import verdict

SUBLINKS = [
    (
        "SELECT FROM orders o WHERE tenant_id = 'a' AND EXISTS (SELECT FROM order_items i WHERE i.tenant_id = o.tenant_id)",
        "keyed a",
    ),
    (
        "SELECT FROM orders o WHERE tenant_id = 'a' AND EXISTS (SELECT FROM order_items i WHERE i.order_id = o.order_id)",
        "unbound order_items beside a",
    ),
    (
        "SELECT FROM orders o WHERE tenant_id = 'a' AND NOT EXISTS"
        " (SELECT FROM order_items i WHERE i.tenant_id = o.tenant_id)",
        "keyed a",
    ),
    (
        "SELECT FROM orders WHERE tenant_id = 'a' AND order_id IN (SELECT order_id FROM order_items)",
        "unbound order_items beside a",
    ),
    (
        "SELECT FROM orders WHERE tenant_id = 'a' AND order_id IN (SELECT order_id FROM order_items WHERE tenant_id = 'a')",
        "keyed a",
    ),
    (
        "SELECT FROM orders WHERE tenant_id = 'a' AND order_id IN (SELECT order_id FROM order_items WHERE tenant_id = 'b')",
        "keyed a; b",
    ),
    (
        "SELECT (SELECT count(*) FROM order_items i WHERE i.tenant_id = o.tenant_id) FROM orders o WHERE tenant_id = 'a'",
        "keyed a",
    ),
    (
        "SELECT (SELECT count(*) FROM order_items) FROM orders o WHERE tenant_id = 'a'",
        "unbound order_items beside a",
    ),
    ("SELECT (SELECT 1 FROM orders WHERE tenant_id = 'a') FROM orders", "unbound orders beside a"),
    ("SELECT FROM orders WHERE tenant_id = (SELECT 'a')", "unbound orders"),
    (
        "SELECT FROM orders WHERE tenant_id = (SELECT tenant_id FROM tenants WHERE tenant_id = 'a')",
        "unbound orders beside a",
    ),
    (
        "SELECT FROM orders WHERE tenant_id = ANY (SELECT tenant_id FROM tenants WHERE tenant_id = 'a')",
        "keyed a",
    ),
    ("SELECT FROM orders WHERE tenant_id IN (VALUES ('a'), ('b'))", "keyed a, b"),
    ("SELECT FROM orders WHERE tenant_id IN (SELECT 'a') AND order_id = 1", "keyed a"),
    (
        "SELECT FROM orders WHERE (order_id, tenant_id) IN (SELECT order_id, tenant_id FROM orders WHERE tenant_id = $1"
        " ORDER BY order_id LIMIT 9)",
        "keyed $1",
    ),
    (
        "SELECT FROM orders WHERE tenant_id IN (SELECT t FROM (SELECT tenant_id AS t FROM tenants) s WHERE t = 'a')",
        "keyed a",
    ),
    *(
        (f"SELECT FROM orders WHERE {condition}", verdict)
        for condition, verdict in (
            ("tenant_id NOT IN (SELECT 'a')", "unbound orders"),
            ("tenant_id IN (SELECT 'a') OR order_id = 1", "unbound orders"),
            ("tenant_id <> ANY (SELECT 'a')", "unbound orders"),
            ("tenant_id = ALL (SELECT 'a')", "unbound orders"),
            ("(tenant_id IN (SELECT 'a')) IS NOT TRUE", "unbound orders"),
            ("tenant_id IN (SELECT lower('A'))", "unbound orders"),
            ("tenant_id IN (SELECT 'a' UNION ALL SELECT 'b')", "unbound orders"),
            ("tenant_id IN (SELECT 'a' COLLATE \"C\")", "unbound orders"),
            ("status IN (SELECT 'a')", "unbound orders"),
            ("order_id IN (SELECT '1')", "unbound orders"),
            (
                "tenant_id IN (SELECT max(tenant_id) FROM tenants WHERE tenant_id = 'a')",
                "unbound orders beside a",
            ),
            (
                "tenant_id IN (SELECT tenant_id FROM tenants WHERE tenant_id = 'a' GROUP BY ROLLUP (tenant_id))",
                "unbound orders beside a",
            ),
            ("tenant_id IN (SELECT name FROM tenants WHERE tenant_id = 'a')", "unbound orders beside a"),
        )
    ),
    (
        "SELECT o.tenant_id IN (SELECT 'a') FROM orders o ORDER BY o.tenant_id IN (SELECT 'a')",
        "unbound orders",
    ),
    (
        "SELECT FROM tenants t WHERE t.tenant_id = 'a' AND EXISTS (SELECT FROM orders o WHERE t.name IN (SELECT 'a')"
        " AND o.tenant_id = t.name)",
        "keyed a",
    ),
    ("SELECT 1 WHERE EXISTS (SELECT FROM orders)", "unbound orders"),
    ("SELECT 1 ORDER BY (SELECT count(*) FROM orders)", "unbound orders"),
    ("SELECT 1 LIMIT (SELECT count(*) FROM orders)", "unbound orders"),
    ("SELECT 1 OFFSET (SELECT count(*) FROM orders WHERE tenant_id = 'a')", "keyed a"),
    (
        "SELECT count(*) FROM orders o WHERE tenant_id = 'a' GROUP BY status HAVING (SELECT true FROM order_items) ",
        "unbound order_items beside a",
    ),
    (
        "SELECT count(*) FILTER (WHERE EXISTS (SELECT FROM order_items)) FROM orders WHERE tenant_id = 'a'",
        "unbound order_items beside a",
    ),
    ("SELECT CASE WHEN EXISTS (SELECT FROM orders) THEN 1 END", "unbound orders"),
    ("SELECT ARRAY(SELECT order_id FROM orders WHERE tenant_id = 'a')", "keyed a"),
    ("SELECT row_number() OVER (ORDER BY (SELECT count(*) FROM orders))", "unbound orders"),
    ("SELECT FROM currencies GROUP BY (SELECT count(*) FROM orders)", "unbound orders"),
    ("SELECT FROM generate_series(1, (SELECT count(*) FROM orders))", "unbound orders"),
    ("SELECT FROM unnest(ARRAY(SELECT order_id FROM orders WHERE tenant_id = $1))", "keyed $1"),
    (
        "SELECT FROM ROWS FROM (generate_series(1, (SELECT count(*) FROM orders)), unnest(ARRAY[1])) AS t",
        "unbound orders",
    ),
    ("SELECT FROM currencies c JOIN currencies d ON EXISTS (SELECT FROM orders)", "unbound orders"),
    (
        "SELECT FROM orders o JOIN customers c ON c.tenant_id = o.tenant_id AND EXISTS"
        " (SELECT FROM order_items i WHERE i.tenant_id = c.tenant_id) WHERE o.tenant_id = 'a'",
        "keyed a",
    ),
    ("SELECT json_array((SELECT count(*) FROM orders))", "unbound orders"),
    ("SELECT xmlelement(name x, (SELECT count(*) FROM orders))", "unbound orders"),
    ("VALUES ((SELECT count(*) FROM orders))", "unbound orders"),
    # A fact of the surroundings helps inside; one from inside says nothing about the surroundings.
    (
        "SELECT FROM orders o WHERE EXISTS (SELECT FROM order_items i WHERE i.tenant_id = o.tenant_id AND i.tenant_id = 'a')",
        "unbound orders beside a",
    ),
    (
        "SELECT FROM orders o WHERE EXISTS (SELECT FROM order_items i WHERE o.tenant_id = 'a')",
        "unbound orders, order_items",
    ),
    (
        "SELECT FROM orders o WHERE o.tenant_id = 'a' AND EXISTS (SELECT FROM customers c WHERE c.tenant_id = o.tenant_id"
        " AND EXISTS (SELECT FROM products p WHERE p.tenant_id = o.tenant_id))",
        "keyed a",
    ),
    # The inner table has a column of that name, so the outer one is not meant.
    (
        "SELECT FROM orders o WHERE tenant_id = 'a' AND EXISTS (SELECT FROM order_items WHERE tenant_id = tenant_id)",
        "unbound order_items beside a",
    ),
    (
        "SELECT FROM orders WHERE tenant_id = 'a' AND EXISTS (SELECT FROM order_items i WHERE i.tenant_id = orders.tenant_id)",
        "keyed a",
    ),
    (
        "SELECT FROM devices d WHERE EXISTS (SELECT FROM readings WHERE label = 'x' AND readings.device_id = d.device_id)"
        " AND d.device_id = 3",
        "keyed 3",
    ),
    # A column made NULL by an outer join is equal to nothing, so this restricts the products all the same.
    (
        "SELECT (SELECT count(*) FROM products p WHERE p.tenant_id = i.tenant_id) FROM orders o"
        " LEFT JOIN order_items i ON i.tenant_id = o.tenant_id WHERE o.tenant_id = 'a'",
        "unbound products beside a",
    ),
]

UNNESTED = [
    ("SELECT FROM unnest($1::text[]) k JOIN orders o ON o.tenant_id = k", "keyed any($1)"),
    ("SELECT FROM unnest($1::text[]) AS u (k), orders o WHERE o.tenant_id = u.k", "keyed any($1)"),
    (
        "SELECT FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY u (k, n), orders o WHERE o.tenant_id = k",
        "keyed a, b",
    ),
    ("SELECT FROM unnest('{a,b}'::varchar[]) u, orders o WHERE o.tenant_id = u", "keyed a, b"),
    ("SELECT FROM unnest($1::int[], $2::text[]) u (n, k), orders o WHERE o.tenant_id = k", "keyed any($2)"),
    ("SELECT FROM pg_catalog.unnest($1::text[]) u (k), orders o WHERE o.tenant_id = k", "keyed any($1)"),
    ("SELECT FROM orders o WHERE tenant_id IN (SELECT k FROM unnest($1::text[]) k)", "keyed any($1)"),
    ("SELECT FROM unnest($1::text[]) k LEFT JOIN orders o ON o.tenant_id = k", "keyed any($1)"),
    ("SELECT FROM orders o LEFT JOIN unnest($1::text[]) k ON o.tenant_id = k", "unbound orders"),
    ("SELECT FROM unnest($1::bigint[]) k JOIN devices d ON d.device_id = k", "keyed any($1)"),
    # A parameter may be an array of anything, and these are no arrays of keys.
    ("SELECT FROM unnest($1) k JOIN orders o ON o.tenant_id = k", "unbound orders"),
    ("SELECT FROM unnest($1::bpchar[]) k JOIN orders o ON o.tenant_id = k", "unbound orders"),
    ("SELECT FROM unnest($1::text[]) k JOIN devices d ON d.device_id::text = k", "unbound devices"),
    ("SELECT FROM unnest(ARRAY['1', 2]) k JOIN orders o ON o.tenant_id = k::text", "unbound orders"),
    ("SELECT FROM unnest(ARRAY['a', lower('B')]) k JOIN orders o ON o.tenant_id = k", "unbound orders"),
    (
        "SELECT FROM unnest($1::text[], $2::text[]) u JOIN orders o ON o.tenant_id = u.unnest",
        "unbound orders",
    ),
    (
        "SELECT FROM unnest($1::text[], $2::text[]) u (a, b) JOIN orders o ON o.tenant_id = u.c",
        "unbound orders",
    ),
    (
        "SELECT FROM unnest($1::text[]) WITH ORDINALITY k JOIN orders o ON o.tenant_id = ordinality",
        "unbound orders",
    ),
    ("SELECT FROM ROWS FROM (unnest($1::text[])) k JOIN orders o ON o.tenant_id = k", "unbound orders"),
    (
        "SELECT FROM tenants t, unnest(ARRAY[t.name]) k JOIN orders o ON o.tenant_id = k",
        "unbound tenants, orders",
    ),
]

DERIVED = [
    ("SELECT * FROM (SELECT * FROM orders) s WHERE s.tenant_id = 'a'", "keyed a"),
    ("SELECT * FROM (SELECT * FROM orders) s WHERE tenant_id = 'a'", "keyed a"),
    ("SELECT * FROM (SELECT * FROM orders WHERE tenant_id = 'a') s", "keyed a"),
    ("SELECT * FROM (SELECT tenant_id AS t FROM orders) s WHERE s.t = 'a'", "keyed a"),
    ("SELECT * FROM (SELECT tenant_id FROM orders) s (t) WHERE s.t = 'a'", "keyed a"),
    ("SELECT * FROM (SELECT status AS tenant_id FROM orders) s WHERE s.tenant_id = 'a'", "unbound orders"),
    (
        "SELECT * FROM (SELECT order_id, tenant_id FROM orders) s (tenant_id, o) WHERE s.tenant_id = 'a'",
        "unbound orders",
    ),
    (
        "SELECT * FROM (SELECT lower(tenant_id) AS tenant_id FROM orders) s WHERE s.tenant_id = 'a'",
        "unbound orders",
    ),
    ("SELECT * FROM (SELECT DISTINCT tenant_id FROM orders) s WHERE s.tenant_id = 'a'", "keyed a"),
    ("SELECT * FROM (SELECT * FROM orders LIMIT 10) s WHERE s.tenant_id = 'a'", "unbound orders"),
    ("SELECT * FROM (SELECT * FROM orders OFFSET 1) s WHERE s.tenant_id = 'a'", "unbound orders"),
    ("SELECT * FROM (SELECT * FROM orders WHERE tenant_id = 'a' LIMIT 10) s", "keyed a"),
    ("SELECT * FROM (SELECT DISTINCT ON (status) * FROM orders) s WHERE s.tenant_id = 'a'", "unbound orders"),
    (
        "SELECT * FROM (SELECT *, row_number() OVER () FROM orders) s WHERE s.tenant_id = 'a'",
        "unbound orders",
    ),
    (
        "SELECT * FROM (SELECT *, sum(total) OVER w FROM orders WINDOW w AS (ORDER BY 1)) s WHERE tenant_id = 'a'",
        "unbound orders",
    ),
    ("SELECT * FROM (SELECT * FROM orders FOR UPDATE) s WHERE s.tenant_id = 'a'", "unbound orders"),
    (
        "SELECT * FROM (SELECT tenant_id, count(*) FROM orders GROUP BY tenant_id) s WHERE tenant_id = 'a'",
        "keyed a",
    ),
    ("SELECT * FROM (SELECT tenant_id, count(*) FROM orders GROUP BY 1) s WHERE tenant_id = 'a'", "keyed a"),
    (
        "SELECT * FROM (SELECT max(tenant_id) AS tenant_id FROM orders) s WHERE tenant_id = 'a'",
        "unbound orders",
    ),
    (
        "SELECT * FROM (SELECT tenant_id, count(*) FROM orders GROUP BY ROLLUP (tenant_id)) s WHERE tenant_id = 'a'",
        "unbound orders",
    ),
    (
        "SELECT * FROM (SELECT o.tenant_id FROM orders o GROUP BY o.status, o.tenant_id) s WHERE tenant_id = 'a'",
        "keyed a",
    ),
    # What a derived table ensures holds outside.
    (
        "SELECT FROM (SELECT * FROM orders WHERE tenant_id = 'a') s JOIN order_items i ON i.tenant_id = s.tenant_id",
        "keyed a",
    ),
    ("SELECT FROM (SELECT 'a' AS t) s JOIN orders o ON o.tenant_id = s.t", "keyed a"),
    ("SELECT FROM (VALUES ('a'), ('b')) s (t) JOIN orders o ON o.tenant_id = s.t", "keyed a, b"),
    ("SELECT FROM (VALUES (1), (2)) s (d) JOIN devices USING (device_id)", "unbound devices"),
    ("SELECT FROM (VALUES (1), (2)) s (device_id) JOIN devices USING (device_id)", "keyed 1, 2"),
    ("SELECT FROM (VALUES (1), (2.5)) s (device_id) JOIN devices USING (device_id)", "unbound devices"),
    (
        "SELECT FROM (SELECT * FROM orders WHERE tenant_id = 'a') s RIGHT JOIN order_items i ON i.tenant_id = s.tenant_id",
        "unbound order_items beside a",
    ),
    (
        "SELECT FROM (SELECT 'a' AS t, count(*) FROM orders) s JOIN customers c ON c.tenant_id = s.t",
        "unbound orders beside a",
    ),
    (
        "SELECT FROM (SELECT count(*) AS n FROM orders WHERE tenant_id = 'a') s, customers c WHERE c.tenant_id = 'a'",
        "keyed a",
    ),
    # The column inside may be NULL, so it says nothing about the outer join inside.
    (
        "SELECT * FROM (SELECT i.tenant_id FROM tenants t LEFT JOIN order_items i"
        " ON i.tenant_id = t.tenant_id AND t.tenant_id = 'a') s",
        "unbound tenants beside a",
    ),
    (
        "SELECT * FROM (SELECT i.tenant_id FROM tenants t LEFT JOIN order_items i USING (tenant_id)) s"
        " WHERE s.tenant_id = 'a'",
        "keyed a",
    ),
    # A limit inside keeps the condition outside out; that the rows join others does not bring it in.
    (
        "SELECT FROM (SELECT * FROM orders LIMIT 5) s JOIN customers c USING (tenant_id) WHERE c.tenant_id = 'a'",
        "unbound orders beside a",
    ),
    (
        "SELECT FROM (SELECT * FROM (SELECT * FROM orders LIMIT 5) t) s WHERE tenant_id = 'a'",
        "unbound orders",
    ),
]

LATERAL = [
    (
        "SELECT FROM orders o, LATERAL (SELECT * FROM order_items i WHERE i.tenant_id = o.tenant_id LIMIT 3) s"
        " WHERE o.tenant_id = 'a'",
        "keyed a",
    ),
    (
        "SELECT FROM orders o LEFT JOIN LATERAL (SELECT * FROM order_items i WHERE i.tenant_id = o.tenant_id LIMIT 3) s"
        " ON true WHERE o.tenant_id = 'a'",
        "keyed a",
    ),
    (
        "SELECT FROM orders o, LATERAL (SELECT * FROM order_items i WHERE i.order_id = o.order_id) s"
        " WHERE o.tenant_id = 'a'",
        "unbound order_items beside a",
    ),
    (
        "SELECT FROM orders o, LATERAL (SELECT count(*) FROM order_items i WHERE i.tenant_id = o.tenant_id"
        " AND i.tenant_id = 'a') s",
        "unbound orders beside a",
    ),
    (
        "SELECT FROM orders o, LATERAL (SELECT 1 FROM order_items i WHERE i.tenant_id = o.tenant_id"
        " AND i.tenant_id = 'a') s",
        "keyed a",
    ),
    (
        "SELECT FROM orders o, LATERAL (SELECT (SELECT sum(i.line)) FROM order_items i WHERE i.tenant_id = o.tenant_id"
        " AND i.tenant_id = 'a') s",
        "unbound orders beside a",
    ),
    # So has an aggregate, which belongs to its own level whatever the names in its subquery.
    (
        "SELECT FROM orders o, LATERAL (SELECT sum((SELECT 1 FROM order_items o WHERE o.line = 1 AND o.tenant_id = 'a'))"
        " FROM currencies WHERE o.tenant_id = 'a') s",
        "unbound orders beside a",
    ),
    # A grouping set without columns has a row even where its tables have none.
    (
        "SELECT FROM orders o, LATERAL (SELECT count(*) FROM order_items i WHERE i.tenant_id = o.tenant_id"
        " AND i.tenant_id = 'a' GROUP BY ROLLUP (i.line)) s",
        "unbound orders beside a",
    ),
    (
        "SELECT FROM orders o, LATERAL (SELECT 1 FROM currencies WHERE o.tenant_id = 'a' GROUP BY ()) s",
        "unbound orders",
    ),
    (
        "SELECT FROM orders o, LATERAL (SELECT 1 FROM currencies WHERE o.tenant_id = 'a'"
        " GROUP BY GROUPING SETS ((), (currency))) s",
        "unbound orders",
    ),
    # IS NOT DISTINCT FROM what may be NULL is true of a row that an outer join around has made NULL.
    (
        "SELECT FROM orders o LEFT JOIN order_items i ON i.tenant_id = o.tenant_id AND i.line = 9,"
        " LATERAL (SELECT 1 FROM currencies WHERE i.tenant_id IS NOT DISTINCT FROM NULL) s",
        "unbound orders, order_items",
    ),
    (
        "SELECT FROM orders o LEFT JOIN order_items i ON i.tenant_id = o.tenant_id,"
        " LATERAL (SELECT 1 FROM currencies c JOIN currencies d ON i.tenant_id IS NOT DISTINCT FROM $1) s",
        "unbound orders, order_items",
    ),
    (
        "SELECT FROM orders o LEFT JOIN order_items i ON i.tenant_id = o.tenant_id,"
        " LATERAL (SELECT 1 FROM currencies WHERE i.tenant_id IS NOT DISTINCT FROM 'a') s",
        "keyed a",
    ),
    # Not LATERAL: the name is not visible.
    (
        "SELECT FROM orders o, (SELECT * FROM order_items i WHERE i.tenant_id = o.tenant_id) s WHERE o.tenant_id = 'a'",
        "unbound order_items beside a",
    ),
]

SET_OPERATIONS = [
    (
        "SELECT order_id FROM orders WHERE tenant_id = 'a' UNION ALL SELECT order_id FROM orders WHERE tenant_id = 'a'",
        "keyed a",
    ),
    (
        "SELECT order_id FROM orders WHERE tenant_id = 'a' UNION SELECT order_id FROM orders",
        "unbound orders beside a",
    ),
    (
        "SELECT order_id FROM orders UNION SELECT order_id FROM orders WHERE tenant_id = 'a'",
        "unbound orders beside a",
    ),
    (
        "SELECT order_id FROM orders WHERE tenant_id = 'a' EXCEPT SELECT order_id FROM order_items WHERE tenant_id = 'b'",
        "keyed a; b",
    ),
    (
        "(SELECT 1 FROM orders WHERE tenant_id = 'a') INTERSECT (SELECT 2 FROM orders WHERE tenant_id = 'a' LIMIT 1)",
        "keyed a",
    ),
    (
        "SELECT * FROM (SELECT tenant_id FROM orders UNION ALL SELECT tenant_id FROM order_items) s WHERE tenant_id = 'a'",
        "keyed a",
    ),
    (
        "SELECT * FROM (SELECT tenant_id FROM orders UNION ALL SELECT status FROM order_events) s WHERE tenant_id = 'a'",
        "unbound order_events beside a",
    ),
    (
        "SELECT * FROM (SELECT tenant_id FROM orders UNION SELECT tenant_id FROM loose) s WHERE tenant_id = 'a'",
        "unbound orders, loose",
    ),
    (
        "SELECT * FROM (SELECT tenant_id FROM orders UNION SELECT tenant_id FROM order_items LIMIT 5) s"
        " WHERE tenant_id = 'a'",
        "unbound orders, order_items",
    ),
    (
        "SELECT * FROM (SELECT device_id FROM devices UNION SELECT value FROM readings) s WHERE device_id = 7",
        "unbound devices, readings",
    ),
    (
        "SELECT tenant_id FROM orders WHERE tenant_id = 'a' UNION SELECT 'b' ORDER BY (SELECT count(*) FROM customers)",
        "unbound customers beside a",
    ),
]

CTES = [
    # A row of a recursive query may come from one with another key.
    (
        "WITH RECURSIVE r (t, n) AS (SELECT tenant_id, 1 FROM tenants UNION ALL SELECT 'a', n + 1 FROM r WHERE n < 2)"
        " SELECT FROM r WHERE t = 'a'",
        "unbound tenants",
    ),
    (
        "WITH RECURSIVE r (t, n) AS (SELECT tenant_id, 1 FROM tenants WHERE tenant_id = 'a' UNION ALL"
        " SELECT o.tenant_id, n + 1 FROM r JOIN orders o ON o.tenant_id = 'a' WHERE n < 2) SELECT FROM r",
        "keyed a",
    ),
    ("WITH RECURSIVE r (t) AS (SELECT tenant_id FROM tenants) SELECT FROM r WHERE t = 'a'", "keyed a"),
    ("WITH x AS (SELECT * FROM orders WHERE tenant_id = 'a') SELECT * FROM x", "keyed a"),
    ("WITH x AS (SELECT * FROM orders) SELECT * FROM x WHERE tenant_id = 'a'", "keyed a"),
    ("WITH x AS MATERIALIZED (SELECT * FROM orders) SELECT * FROM x WHERE tenant_id = 'a'", "keyed a"),
    ("WITH x AS (SELECT * FROM orders LIMIT 5) SELECT * FROM x WHERE tenant_id = 'a'", "unbound orders"),
    ("WITH x (t) AS (SELECT tenant_id FROM orders) SELECT * FROM x WHERE t = 'a'", "keyed a"),
    (
        "WITH x AS (SELECT * FROM orders) SELECT * FROM x a JOIN x b USING (tenant_id) WHERE a.tenant_id = 'a'",
        "keyed a",
    ),
    (
        "WITH x AS (SELECT * FROM orders) SELECT * FROM x a, x b WHERE a.tenant_id = 'a'",
        "unbound orders beside a",
    ),
    ("WITH x AS (SELECT FROM orders WHERE tenant_id = 'a') SELECT FROM orders", "unbound orders beside a"),
    ("WITH x AS (SELECT FROM orders) SELECT FROM customers WHERE tenant_id = 'a'", "unbound orders beside a"),
    ("WITH orders AS (SELECT 'a' AS tenant_id) SELECT * FROM orders", "anywhere"),
    ("WITH orders AS (SELECT * FROM orders) SELECT * FROM orders WHERE tenant_id = 'a'", "keyed a"),
    ("WITH orders AS (SELECT 1) SELECT * FROM public.orders", "unbound orders"),
    (
        "WITH x AS (SELECT * FROM orders), y AS (SELECT * FROM x) SELECT * FROM y WHERE tenant_id = 'a'",
        "keyed a",
    ),
    ("WITH y AS (SELECT * FROM x), x AS (SELECT 1) SELECT * FROM y", "anywhere"),
    ("SELECT * FROM (WITH x AS (SELECT * FROM orders) SELECT * FROM x) s WHERE tenant_id = 'a'", "keyed a"),
    (
        "WITH x AS (SELECT * FROM orders WHERE tenant_id = 'a') SELECT * FROM currencies WHERE EXISTS (SELECT FROM x)",
        "keyed a",
    ),
    (
        "WITH RECURSIVE t AS (SELECT order_id FROM orders WHERE tenant_id = 'a' UNION ALL"
        " SELECT o.order_id FROM orders o JOIN t ON o.order_id = t.order_id + 1 WHERE o.tenant_id = 'a') SELECT * FROM t",
        "keyed a",
    ),
    (
        "WITH RECURSIVE t AS (SELECT order_id FROM orders WHERE tenant_id = 'a' UNION ALL"
        " SELECT o.order_id FROM orders o JOIN t ON o.order_id = t.order_id + 1) SELECT * FROM t",
        "unbound orders beside a",
    ),
    (
        "WITH RECURSIVE t (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 9) SELECT sum(n) FROM t",
        "anywhere",
    ),
    ("WITH d AS (DELETE FROM orders WHERE tenant_id = 'a' RETURNING *) SELECT * FROM d", "keyed a"),
    ("WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d WHERE tenant_id = 'a'", "unbound orders"),
    (
        "WITH d AS (DELETE FROM orders WHERE tenant_id = 'a' RETURNING *)"
        " SELECT FROM d JOIN customers c USING (tenant_id)",
        "keyed a",
    ),
    (
        "WITH d AS (UPDATE orders SET note = '' WHERE tenant_id = 'a') SELECT FROM customers",
        "unbound customers beside a",
    ),
]

VIEWS = [
    ("SELECT * FROM order_view", "unbound orders"),
    ("SELECT * FROM order_view WHERE tenant_id = 'a'", "keyed a"),
    ("SELECT * FROM order_view v JOIN order_items i USING (tenant_id) WHERE v.tenant_id = $1", "keyed $1"),
    ("SELECT * FROM open_orders WHERE tenant_id = 'a'", "keyed a"),
    ("SELECT * FROM acme_orders", "keyed acme"),
    ("SELECT * FROM acme_orders WHERE tenant_id = 'other'", "keyed other"),
    ("SELECT * FROM totals WHERE tenant_id = 'a'", "keyed a"),
    ("SELECT * FROM totals", "unbound orders"),
    ("SELECT * FROM grand_total", "unbound orders"),
    ("SELECT * FROM latest WHERE tenant_id = 'a'", "unbound orders"),
    (
        "SELECT * FROM unknown_view WHERE tenant_id = 'a'",
        'refused: the view "unknown_view", whose definition is not known',
    ),
    ("WITH order_view AS (SELECT 1) SELECT * FROM order_view", "anywhere"),
]


@pytest.mark.parametrize(("sql", "expected"), SUBLINKS)
def test_subqueries_in_expressions(sql: str, expected: str) -> None:
    assert verdict(sql) == expected


@pytest.mark.parametrize(("sql", "expected"), UNNESTED)
def test_rows_made_of_arrays(sql: str, expected: str) -> None:
    assert verdict(sql) == expected


@pytest.mark.parametrize(("sql", "expected"), DERIVED + LATERAL)
def test_subqueries_in_from(sql: str, expected: str) -> None:
    assert verdict(sql) == expected


@pytest.mark.parametrize(("sql", "expected"), SET_OPERATIONS)
def test_set_operations(sql: str, expected: str) -> None:
    assert verdict(sql) == expected


@pytest.mark.parametrize(("sql", "expected"), CTES)
def test_with_queries(sql: str, expected: str) -> None:
    assert verdict(sql) == expected


@pytest.mark.parametrize(("sql", "expected"), VIEWS)
def test_views(sql: str, expected: str) -> None:
    assert verdict(sql) == expected


def test_references_that_multiply_are_refused_before_they_explode() -> None:
    ctes = ", ".join(f"x{i} AS (SELECT FROM x{i - 1} a, x{i - 1} b)" for i in range(1, 40))
    assert verdict(f"WITH x0 AS (SELECT 1), {ctes} SELECT FROM x39").startswith("refused: more than")

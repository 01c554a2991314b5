"""Joins: an inner join's condition binds both sides, an outer join's only the side it may null."""

import pytest

from tests.sql.verdicts import verdict

JOINS = [
    ("SELECT FROM orders o, order_items i WHERE o.tenant_id = i.tenant_id AND o.tenant_id = 'a'", "keyed a"),
    (
        "SELECT FROM orders o JOIN order_items i ON o.tenant_id = i.tenant_id WHERE i.tenant_id = 'a'",
        "keyed a",
    ),
    ("SELECT FROM orders o JOIN order_items i ON o.tenant_id = i.tenant_id AND i.tenant_id = 'a'", "keyed a"),
    ("SELECT FROM orders o JOIN order_items i USING (tenant_id, order_id) WHERE tenant_id = 'a'", "keyed a"),
    (
        "SELECT FROM orders JOIN order_items USING (tenant_id) JOIN products USING (tenant_id) WHERE tenant_id = $1",
        "keyed $1",
    ),
    ("SELECT FROM orders NATURAL JOIN order_events WHERE tenant_id = 'a'", "keyed a"),
    ("SELECT FROM orders o CROSS JOIN order_items i WHERE o.tenant_id = 'a'", "unbound order_items beside a"),
    (
        "SELECT FROM orders o JOIN order_items i ON o.order_id = i.order_id WHERE o.tenant_id = 'a'",
        "unbound order_items beside a",
    ),
    ("SELECT FROM orders o, order_items i WHERE o.tenant_id = 'a' AND i.tenant_id = 'b'", "keyed a; b"),
    (
        "SELECT FROM orders a JOIN orders b ON a.order_id = b.order_id WHERE a.tenant_id = 'x'",
        "unbound orders beside x",
    ),
    ("SELECT FROM orders a JOIN orders b USING (tenant_id) WHERE a.tenant_id = 'x'", "keyed x"),
    ("SELECT FROM devices d JOIN readings r USING (device_id) WHERE d.device_id = 7", "keyed 7"),
    ("SELECT FROM devices d JOIN alerts a USING (device_id) WHERE a.device_id = 7", "keyed 7"),
    # Equal columns of different types do not carry a key on.
    (
        "SELECT FROM orders o JOIN devices d ON d.label = o.tenant_id WHERE d.label = 'a'",
        "unbound devices beside a",
    ),
    (
        "SELECT FROM orders o JOIN products p ON p.price = o.total WHERE o.tenant_id = 'a'",
        "unbound products beside a",
    ),
    (
        "SELECT FROM orders o JOIN loose l ON l.tenant_id = o.tenant_id WHERE l.tenant_id = 'a'",
        "unbound orders, loose",
    ),
    # Two groups have two keys, which may live on different shards.
    ("SELECT FROM orders o, devices d WHERE o.tenant_id = 'a' AND d.device_id = 7", "keyed a; 7"),
    (
        "SELECT FROM alerts a JOIN orders o USING (tenant_id) WHERE a.tenant_id = 'a' AND a.device_id = 7",
        "keyed 7; a",
    ),
]

OUTER_JOINS = [
    # IS NOT DISTINCT FROM what may be NULL is true of a row that a join below has made NULL.
    (
        "SELECT FROM orders o LEFT JOIN order_items i ON i.tenant_id = o.tenant_id AND i.line = 9"
        " JOIN currencies c ON i.tenant_id IS NOT DISTINCT FROM NULL",
        "unbound orders, order_items",
    ),
    # The merged column of a RIGHT JOIN is the right side's: a condition on it keeps rows without a partner.
    (
        "SELECT FROM (SELECT * FROM orders WHERE tenant_id = 'a') o RIGHT JOIN customers c USING (tenant_id, customer_id)"
        " WHERE customer_id = 1",
        "unbound customers beside a",
    ),
    (
        "SELECT FROM (SELECT * FROM orders WHERE tenant_id = 'a') o JOIN customers c USING (tenant_id, customer_id)"
        " WHERE customer_id = 1",
        "keyed a",
    ),
    (
        "SELECT FROM orders o LEFT JOIN order_items i ON i.tenant_id = o.tenant_id WHERE o.tenant_id = 'a'",
        "keyed a",
    ),
    ("SELECT FROM orders o LEFT JOIN order_items i USING (tenant_id) WHERE o.tenant_id = 'a'", "keyed a"),
    ("SELECT FROM orders o LEFT JOIN order_items i USING (tenant_id) WHERE tenant_id = 'a'", "keyed a"),
    ("SELECT FROM orders o LEFT JOIN order_items i ON i.tenant_id = 'a'", "unbound orders beside a"),
    (
        "SELECT FROM orders o LEFT JOIN order_items i ON i.tenant_id = o.tenant_id AND o.tenant_id = 'a'",
        "unbound orders beside a",
    ),
    ("SELECT FROM orders o LEFT JOIN order_items i ON o.tenant_id = 'a'", "unbound orders, order_items"),
    (
        "SELECT FROM orders o RIGHT JOIN order_items i ON i.tenant_id = o.tenant_id WHERE i.tenant_id = 'a'",
        "keyed a",
    ),
    ("SELECT FROM orders o RIGHT JOIN order_items i USING (tenant_id) WHERE tenant_id = 'a'", "keyed a"),
    (
        "SELECT FROM orders o RIGHT JOIN order_items i ON i.tenant_id = o.tenant_id AND i.tenant_id = 'a'",
        "unbound order_items beside a",
    ),
    # A condition that NULLs fail makes the join an inner one.
    (
        "SELECT FROM orders o LEFT JOIN order_items i ON i.tenant_id = o.tenant_id WHERE i.tenant_id = 'a'",
        "keyed a",
    ),
    (
        "SELECT FROM orders o LEFT JOIN order_items i ON i.tenant_id = o.tenant_id"
        " WHERE i.tenant_id IS NOT DISTINCT FROM $1",
        "unbound orders, order_items",
    ),
    (
        "SELECT FROM orders o LEFT JOIN order_items i ON i.tenant_id = o.tenant_id"
        " WHERE coalesce(i.tenant_id, 'a') = 'a'",
        "unbound orders, order_items",
    ),
    (
        "SELECT FROM orders o FULL JOIN order_items i USING (tenant_id) WHERE tenant_id = 'a'",
        "unbound orders, order_items",
    ),
    (
        "SELECT FROM orders o FULL JOIN order_items i ON o.tenant_id = i.tenant_id AND i.tenant_id = 'a'",
        "unbound orders, order_items",
    ),
    (
        "SELECT FROM orders o FULL JOIN order_items i ON o.tenant_id = i.tenant_id"
        " WHERE o.tenant_id = 'a' AND i.tenant_id = 'a'",
        "keyed a",
    ),
    # Chains of outer joins.
    (
        "SELECT FROM orders o LEFT JOIN order_items i ON i.tenant_id = o.tenant_id"
        " LEFT JOIN products p ON p.tenant_id = i.tenant_id WHERE o.tenant_id = 'a'",
        "keyed a",
    ),
    (
        "SELECT FROM orders o LEFT JOIN order_items i ON i.tenant_id = o.tenant_id AND o.tenant_id = 'a'"
        " LEFT JOIN products p ON p.tenant_id = o.tenant_id",
        "unbound orders, products beside a",
    ),
    (
        "SELECT FROM orders o LEFT JOIN (order_items i JOIN products p USING (tenant_id)) ON i.tenant_id = o.tenant_id"
        " WHERE o.tenant_id = 'a'",
        "keyed a",
    ),
    (
        "SELECT FROM orders o LEFT JOIN (order_items i LEFT JOIN products p ON p.tenant_id = 'b')"
        " ON i.tenant_id = o.tenant_id WHERE o.tenant_id = 'a'",
        "keyed a; b",
    ),
    (
        "SELECT FROM (orders o JOIN customers c ON c.tenant_id = 'a') FULL JOIN products p ON true",
        "unbound orders, products beside a",
    ),
]

NAMES = [
    # An alias hides the table's name, and a name means the nearest thing.
    ("SELECT FROM orders AS customers WHERE customers.tenant_id = 'a'", "keyed a"),
    ("SELECT FROM orders AS o WHERE orders.tenant_id = 'a'", "unbound orders"),
    ("SELECT FROM orders o, customers c WHERE tenant_id = 'a'", "unbound orders, customers"),
    ("SELECT FROM orders, devices WHERE tenant_id = 'a' AND device_id = 7", "keyed a; 7"),
    ("SELECT FROM orders AS o (a, b) WHERE a = 'x'", "keyed x"),
    ("SELECT FROM orders AS o (a, b) WHERE tenant_id = 'x'", "unbound orders"),
    ("SELECT FROM orders AS o (order_id, tenant_id) WHERE o.tenant_id = 'x'", "unbound orders"),
    ("SELECT FROM public.orders WHERE public.orders.tenant_id = 'a'", "keyed a"),
    ("SELECT FROM public.orders WHERE orders.tenant_id = 'a'", "keyed a"),
    ("SELECT FROM public.orders WHERE reporting.orders.tenant_id = 'a'", "unbound orders"),
    ('SELECT FROM "orders" WHERE "tenant_id" = \'a\'', "keyed a"),
    ("SELECT FROM ORDERS WHERE TENANT_ID = 'a'", "keyed a"),
    ('SELECT FROM "ORDERS" WHERE "tenant_id" = \'a\'', "anywhere"),
    ("SELECT FROM orders WHERE \"Tenant_Id\" = 'a'", "unbound orders"),
    ("SELECT FROM (orders o JOIN customers c USING (tenant_id)) AS j WHERE j.tenant_id = 'a'", "keyed a"),
    (
        "SELECT FROM (orders o JOIN customers c USING (tenant_id)) AS j WHERE o.tenant_id = 'a'",
        "unbound orders, customers",
    ),
    ("SELECT FROM orders o JOIN customers c USING (tenant_id) AS u WHERE u.tenant_id = 'a'", "keyed a"),
    ("SELECT FROM orders, unnest($1::int[]) AS n WHERE tenant_id = 'a'", "keyed a"),
    ("SELECT FROM orders o, generate_series(1, 3) AS g (tenant_id) WHERE o.tenant_id = 'a'", "keyed a"),
    ("SELECT FROM orders, nowhere WHERE nowhere.tenant_id = 'a'", "unbound orders"),
    ("SELECT FROM orders o JOIN nowhere n USING (tenant_id) WHERE tenant_id = 'a'", "unbound orders"),
    (
        "SELECT FROM reporting.orders WHERE tenant_id = 'a'",
        'refused: the table "reporting.orders", which the configuration does not name',
    ),
    ("SELECT (o).tenant_id = 'a' FROM orders o", "unbound orders"),
    ("SELECT FROM orders o WHERE (o).tenant_id = 'a'", "unbound orders"),
    ("SELECT FROM orders o WHERE o = ROW('a')", "unbound orders"),
    ("SELECT FROM orders o WHERE tenant_id.o = 'a'", "unbound orders"),
]


@pytest.mark.parametrize(("sql", "expected"), JOINS + OUTER_JOINS)
def test_what_a_join_binds(sql: str, expected: str) -> None:
    assert verdict(sql) == expected


@pytest.mark.parametrize(("sql", "expected"), NAMES)
def test_what_a_name_means(sql: str, expected: str) -> None:
    assert verdict(sql) == expected


def test_the_search_path_decides_what_an_unqualified_name_means() -> None:
    sql = "SELECT FROM orders WHERE tenant_id = 'a'"
    assert verdict(sql, search_path=("public", "reporting")) == "keyed a"
    assert verdict(sql, search_path=("reporting", "public")).startswith(
        'refused: the table "reporting.orders"'
    )
    assert verdict(sql, search_path=("elsewhere",)) == "anywhere"
    assert verdict(sql, search_path=()) == "anywhere"


def test_system_catalogs_come_before_the_path_and_after_it_when_it_says_so() -> None:
    assert verdict("SELECT FROM pg_class", search_path=("public",)) == "anywhere"
    assert verdict("SELECT FROM orders", search_path=("public", "pg_catalog")) == "unbound orders"

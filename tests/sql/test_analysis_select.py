"""Which conditions bind a table's sharding key, on one query level."""

import pytest

from tests.sql.verdicts import verdict

BOUND = [
    ("SELECT * FROM orders WHERE tenant_id = 'acme'", "keyed acme"),
    ("SELECT * FROM orders WHERE 'acme' = tenant_id", "keyed acme"),
    ("SELECT * FROM orders WHERE tenant_id = $1", "keyed $1"),
    ("SELECT * FROM orders o WHERE o.tenant_id = $1 AND o.order_id = $2", "keyed $1"),
    ("SELECT * FROM orders WHERE status = 'new' AND (total > 5 AND tenant_id = 'acme')", "keyed acme"),
    ("SELECT * FROM orders WHERE tenant_id OPERATOR(pg_catalog.=) 'acme'", "keyed acme"),
    ("SELECT * FROM orders WHERE tenant_id = 'acme'::text", "keyed acme"),
    ("SELECT * FROM orders WHERE tenant_id = text 'acme'", "keyed acme"),
    ("SELECT * FROM orders WHERE tenant_id = CAST($1 AS varchar)", "keyed $1"),
    ("SELECT * FROM orders WHERE tenant_id = E'ac\\x6de'", "keyed acme"),
    ("SELECT * FROM orders WHERE tenant_id = U&'\\0061cme'", "keyed acme"),
    ("SELECT * FROM orders WHERE tenant_id = $$acme$$", "keyed acme"),
    ("SELECT * FROM orders WHERE tenant_id = 'ac'\n'me'", "keyed acme"),
    ("SELECT * FROM orders WHERE tenant_id = 'größe'", "keyed größe"),
    ("SELECT * FROM orders WHERE tenant_id = ''", "keyed "),
    ("SELECT * FROM orders WHERE tenant_id::text = 'acme'", "keyed acme"),
    ("SELECT * FROM coupons WHERE code::text = 'ABC'", "keyed ABC"),
    ("SELECT * FROM coupons WHERE code = 'longer than its column'", "keyed longer than its column"),
    ("SELECT * FROM devices WHERE device_id = 7", "keyed 7"),
    ("SELECT * FROM devices WHERE device_id = -7", "keyed -7"),
    ("SELECT * FROM devices WHERE device_id = 007", "keyed 7"),
    ("SELECT * FROM devices WHERE device_id = 9223372036854775807", "keyed 9223372036854775807"),
    ("SELECT * FROM devices WHERE device_id = -9223372036854775808", "keyed -9223372036854775808"),
    ("SELECT * FROM devices WHERE device_id = '7'", "keyed 7"),
    ("SELECT * FROM devices WHERE device_id = ' 7 '", "keyed 7"),
    ("SELECT * FROM devices WHERE device_id = 7::int8", "keyed 7"),
    ("SELECT * FROM devices WHERE device_id = '7'::smallint", "keyed 7"),
    ("SELECT * FROM devices WHERE device_id = $1::bigint", "keyed $1"),
    ("SELECT * FROM alerts WHERE device_id = 7", "keyed 7"),
    (
        "SELECT * FROM docs WHERE doc_id = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
        "keyed a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ),
    (
        "SELECT * FROM docs WHERE doc_id = '{a0eebc999c0b4ef8bb6d6bb9bd380a11}'::uuid",
        "keyed a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ),
    ("SELECT * FROM orders WHERE (tenant_id, order_id) = ('acme', 7)", "keyed acme"),
    ("SELECT * FROM orders WHERE ROW(order_id, tenant_id) = ROW($1, $2)", "keyed $2"),
    ("SELECT * FROM orders WHERE tenant_id = 'acme' AND tenant_id = 'acme'", "keyed acme"),
    ("SELECT * FROM archived_orders WHERE tenant_id = 'acme'", "keyed acme"),
    ("SELECT * FROM ONLY orders WHERE tenant_id = 'acme'", "keyed acme"),
    ("SELECT * FROM orders TABLESAMPLE bernoulli(10) WHERE tenant_id = 'acme'", "keyed acme"),
    ("SELECT * FROM orders WHERE tenant_id = 'acme' FOR UPDATE", "keyed acme"),
    ("TABLE orders", "unbound orders"),
]

SETS_OF_KEYS = [
    ("SELECT * FROM orders WHERE tenant_id IN ('a', 'b', $1)", "keyed a, b, $1"),
    ("SELECT * FROM orders WHERE tenant_id = 'a' OR tenant_id = 'b'", "keyed a, b"),
    (
        "SELECT * FROM orders WHERE (tenant_id = 'a' AND total > 1) OR tenant_id IN ('b', 'c')",
        "keyed a, b, c",
    ),
    ("SELECT * FROM orders WHERE tenant_id = ANY ($1)", "keyed any($1)"),
    ("SELECT * FROM orders WHERE tenant_id = ANY ($1::text[])", "keyed any($1)"),
    ("SELECT * FROM orders WHERE tenant_id = ANY (ARRAY['a', $2])", "keyed a, $2"),
    ("SELECT * FROM orders WHERE tenant_id = ANY (ARRAY['a', 'b']::text[])", "keyed a, b"),
    ("SELECT * FROM orders WHERE tenant_id = ANY ('{a,\"b c\",NULL}')", "keyed a, b c, null"),
    ("SELECT * FROM devices WHERE device_id = ANY ('{1,2}'::bigint[])", "keyed 1, 2"),
    ("SELECT * FROM orders WHERE tenant_id = SOME (ARRAY['a'])", "keyed a"),
    ("SELECT * FROM orders WHERE (tenant_id, order_id) IN (('a', 1), ('b', 2))", "keyed a, b"),
    ("SELECT * FROM orders WHERE tenant_id IN ('a', 'b') AND tenant_id = 'a'", "keyed a"),
    ("SELECT * FROM orders WHERE tenant_id = 'abc'::varchar(1)", "keyed a"),
    ("SELECT * FROM orders WHERE tenant_id = 'abc'::varchar(40)::text::varchar(2)", "keyed ab"),
    ("SELECT * FROM orders WHERE tenant_id = ANY (ARRAY['abc', 'b']::varchar(1)[])", "keyed a, b"),
    ("SELECT * FROM orders WHERE tenant_id IS NOT DISTINCT FROM 'a'", "keyed a"),
    ("SELECT * FROM orders WHERE tenant_id IS NOT DISTINCT FROM $1", "keyed $1"),
]

NULLS_AND_WRONG_VALUES = [
    ("SELECT * FROM orders WHERE tenant_id = NULL", "keyed null"),
    ("SELECT * FROM orders WHERE tenant_id IN ('a', NULL)", "keyed a, null"),
    # The table's constraint says that there is no row without a key ...
    ("SELECT * FROM orders WHERE tenant_id IS NOT DISTINCT FROM NULL", "keyed null"),
    # ... and here it does not.
    ("SELECT * FROM nullable WHERE tenant_id IS NOT DISTINCT FROM NULL", "unbound nullable"),
    ("SELECT * FROM nullable WHERE tenant_id IS NOT DISTINCT FROM $1", "unbound nullable"),
    ("SELECT * FROM nullable WHERE tenant_id IS NOT DISTINCT FROM 'a'", "keyed a"),
    ("SELECT * FROM orders WHERE tenant_id IS NULL", "unbound orders"),
    # Every server answers these with its own error.
    ("SELECT * FROM devices WHERE device_id = 'seven'", "keyed (nothing)"),
    ("SELECT * FROM docs WHERE doc_id = 'no uuid'", "keyed (nothing)"),
]

NOT_BOUND = [
    "SELECT * FROM orders",
    "SELECT * FROM orders WHERE order_id = 7",
    "SELECT * FROM orders WHERE tenant_id = 'a' OR status = 'new'",
    "SELECT * FROM orders WHERE tenant_id = 'a' OR true",
    "SELECT * FROM orders WHERE NOT tenant_id = 'a'",
    "SELECT * FROM orders WHERE NOT (tenant_id <> 'a')",
    "SELECT * FROM orders WHERE (tenant_id = 'a') IS TRUE",
    "SELECT * FROM orders WHERE (tenant_id = 'a') = true",
    "SELECT * FROM orders WHERE CASE WHEN tenant_id = 'a' THEN true END",
    "SELECT * FROM orders WHERE coalesce(tenant_id = 'a', true)",
    "SELECT * FROM orders WHERE coalesce(tenant_id, 'a') = 'a'",
    "SELECT * FROM orders WHERE tenant_id > 'a'",
    "SELECT * FROM orders WHERE tenant_id <> 'a'",
    "SELECT * FROM orders WHERE tenant_id BETWEEN 'a' AND 'a'",
    "SELECT * FROM orders WHERE tenant_id LIKE 'a'",
    "SELECT * FROM orders WHERE tenant_id SIMILAR TO 'a'",
    "SELECT * FROM orders WHERE tenant_id NOT IN ('a')",
    "SELECT * FROM orders WHERE tenant_id IN ('a', 'b' || 'c')",
    "SELECT * FROM orders WHERE tenant_id IN ('a', status)",
    "SELECT * FROM orders WHERE tenant_id = ALL (ARRAY['a'])",
    "SELECT * FROM orders WHERE tenant_id <> ANY (ARRAY['a'])",
    "SELECT * FROM orders WHERE tenant_id = ANY (string_to_array('a', ','))",
    "SELECT * FROM orders WHERE tenant_id IS DISTINCT FROM 'a'",
    "SELECT * FROM orders WHERE lower(tenant_id) = 'a'",
    "SELECT * FROM orders WHERE tenant_id = lower('A')",
    "SELECT * FROM orders WHERE tenant_id = 'a' || 'b'",
    "SELECT * FROM orders WHERE tenant_id || '' = 'a'",
    "SELECT * FROM orders WHERE tenant_id = current_setting('app.tenant')",
    "SELECT * FROM orders WHERE tenant_id = current_user",
    "SELECT * FROM orders WHERE tenant_id = status",
    "SELECT * FROM orders WHERE tenant_id COLLATE \"C\" = 'a'",
    "SELECT * FROM orders WHERE tenant_id = 'a' COLLATE \"und-x-icu\"",
    "SELECT * FROM orders WHERE tenant_id::bpchar = 'a'",
    "SELECT * FROM orders WHERE tenant_id::varchar(1) = 'a'",
    "SELECT * FROM orders WHERE tenant_id = 'a'::char(3)",
    "SELECT * FROM orders WHERE tenant_id = 'a'::name",
    "SELECT * FROM orders WHERE tenant_id = 'a'::citext",
    "SELECT * FROM orders WHERE tenant_id = 'a'::public.text",
    "SELECT * FROM orders WHERE tenant_id OPERATOR(public.=) 'a'",
    "SELECT * FROM orders WHERE tenant_id = 7",
    "SELECT * FROM orders WHERE (tenant_id = 'a') IS UNKNOWN",
    "SELECT * FROM orders WHERE ROW(tenant_id, order_id) > ROW('a', 7)",
    "SELECT * FROM orders WHERE (tenant_id, order_id) = ('a', 7, 8)",
    "SELECT tenant_id = 'a' FROM orders",
    "SELECT count(*) FILTER (WHERE tenant_id = 'a') FROM orders",
    "SELECT tenant_id FROM orders GROUP BY tenant_id HAVING tenant_id = 'a'",
    "SELECT * FROM orders ORDER BY tenant_id = 'a'",
    "SELECT 'a' AS tenant_id FROM orders",
    "SELECT * FROM devices WHERE device_id = 7.0",
    "SELECT * FROM devices WHERE device_id = 7.5",
    "SELECT * FROM devices WHERE device_id = 1e3",
    "SELECT * FROM devices WHERE device_id = 9223372036854775808",
    "SELECT * FROM devices WHERE device_id = '7'::numeric",
    "SELECT * FROM devices WHERE device_id = 7::float8",
    "SELECT * FROM devices WHERE device_id = 7::oid",
    "SELECT * FROM devices WHERE device_id = $1::numeric",
    "SELECT * FROM devices WHERE device_id::int2 = 7",
    "SELECT * FROM devices WHERE device_id + 0 = 7",
    "SELECT * FROM devices WHERE -device_id = -7",
    "SELECT * FROM devices WHERE device_id IN (1, 1 + 1)",
    "SELECT * FROM devices WHERE device_id IN (1, 2.0)",
    "SELECT * FROM devices WHERE device_id = true",
    "SELECT * FROM devices WHERE device_id = B'1'",
    "SELECT * FROM docs WHERE doc_id::text = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
    "SELECT * FROM docs WHERE tenant_id = 'a'",
    "SELECT * FROM padded WHERE code = 'a'",
    "SELECT * FROM loose WHERE tenant_id = 'a'",
]


@pytest.mark.parametrize(("sql", "expected"), BOUND + SETS_OF_KEYS + NULLS_AND_WRONG_VALUES)
def test_what_binds_the_key(sql: str, expected: str) -> None:
    assert verdict(sql) == expected


@pytest.mark.parametrize("sql", NOT_BOUND)
def test_what_does_not_bind_the_key(sql: str) -> None:
    assert verdict(sql).startswith("unbound ")


def test_an_equality_operator_of_a_user_binds_nothing() -> None:
    from dataclasses import replace

    from shardproxy.sql.analysis import analyze
    from tests.support.sample_schema import RULES, SCHEMA

    schema = replace(SCHEMA, user_operators=frozenset({"="}))
    for sql in (
        "SELECT FROM orders WHERE tenant_id = 'a'",
        "SELECT FROM orders WHERE tenant_id IN ('a')",
        "SELECT FROM orders o JOIN tenants t USING (tenant_id) WHERE false",
    ):
        (statement,) = analyze(sql, schema=schema, rules=RULES, search_path=("public",))
        assert statement.unbound
        assert not statement.key_sets


def test_with_pg_catalog_late_in_the_path_types_and_operators_are_not_taken_for_builtin() -> None:
    path = ("public", "pg_catalog")
    assert verdict("SELECT FROM orders WHERE tenant_id = 'a'", search_path=path) == "unbound orders"
    assert verdict("SELECT FROM orders WHERE tenant_id = 'a'::text", search_path=path) == "unbound orders"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", "anywhere"),
        ("VALUES (1), (2)", "anywhere"),
        ("SELECT now(), version()", "anywhere"),
        ("SELECT * FROM currencies", "anywhere"),
        ("SELECT * FROM currencies JOIN orders USING (currency) WHERE tenant_id = 'a'", "keyed a"),
        ("SELECT * FROM audit", "local shard-a"),
        ("SELECT * FROM audit a JOIN currencies c ON c.currency = a.what", "local shard-a"),
        ("SELECT * FROM audit, archive", "refused: tables local to different shards in one statement"),
        (
            "SELECT * FROM audit JOIN orders USING (tenant_id) WHERE tenant_id = 'a'",
            "refused: a local table and a sharded table in one statement",
        ),
        ("SELECT * FROM misc", 'refused: the table "public.misc", which the configuration does not name'),
        ("SELECT * FROM stored", 'refused: the table "public.stored", which the configuration does not name'),
        ("SELECT * FROM gone", 'refused: the table "public.gone", which was not found on the shards'),
        ("SELECT * FROM numbers", 'refused: reading the sequence "numbers": each shard has its own'),
        ("SELECT * FROM nowhere", "anywhere"),
        ("SELECT * FROM nowhere, orders WHERE orders.tenant_id = 'a'", "keyed a"),
        ("SELECT * FROM pg_class", "anywhere"),
        ("SELECT * FROM information_schema.tables", "anywhere"),
        ("SELECT FROM orders o JOIN pg_class c ON c.relname = o.status WHERE o.tenant_id = 'a'", "keyed a"),
        ("SELECT 'orders'::regclass", "anywhere"),
    ],
)
def test_relations_that_are_not_sharded(sql: str, expected: str) -> None:
    assert verdict(sql) == expected

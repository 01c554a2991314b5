"""What the functions a statement calls mean: read-only or not, bound to a tenant, or not run at all."""

from dataclasses import replace

import pytest

from shardproxy.sql.analysis import analyze
from shardproxy.sql.statement import Reach
from tests.sql.verdicts import plan, verdict
from tests.support.sample_schema import RULES, SCHEMA, SEARCH_PATH


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT * FROM orders WHERE tenant_id = 'a'",
        "SELECT now(), CURRENT_DATE, current_setting('a.b')",
        "SELECT count(*), max(total) FROM orders WHERE tenant_id = 'a'",
        "SELECT total_of(1)",
        "SHOW work_mem",
        "TABLE currencies",
        "EXPLAIN ANALYZE SELECT 1",
        "COPY (SELECT 1) TO STDOUT",
        "DECLARE c CURSOR FOR SELECT 1",
    ],
)
def test_read_only(sql: str) -> None:
    assert plan(sql).read_only


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT random()",
        "SELECT pg_catalog.random()",
        "SELECT clock_timestamp()",
        "SELECT pg_sleep(1)",
        "SELECT gen_random_uuid()",
        "SELECT * FROM orders WHERE tenant_id = 'a' AND random() < 0.5",
        "SELECT * FROM orders WHERE tenant_id = 'a' FOR SHARE",
        "SELECT * FROM (SELECT * FROM orders WHERE tenant_id = 'a' FOR UPDATE) s",
        "SELECT touch()",
        "SELECT public.touch()",
        "SELECT uuid_generate_v4()",
        "SELECT pg_advisory_xact_lock(1)",
        "SELECT pg_current_xact_id()",
        "SELECT txid_current()",
        "SHOW transaction_read_only",
        "SELECT current_setting('Transaction_Read_Only')",
        "SELECT set_config('a.b', 'c', true)",
        "SELECT pg_notify('c', 'x')",
        "SELECT nextval('s') FROM orders WHERE tenant_id = 'a'",
        "SELECT 1 INTO TEMP t",
        "EXECUTE p",
        "FETCH c",
        "COPY t FROM STDIN",
        "BEGIN",
        "LISTEN c",
    ],
)
def test_not_read_only(sql: str) -> None:
    assert not plan(sql).read_only


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        # A user's function may read any table, of any shard, whatever the statement's own tables say.
        ("SELECT total_of(1)", "unbound"),
        ("SELECT public.total_of(1)", "unbound"),
        ("SELECT * FROM total_of(1)", "unbound"),
        ("SELECT total_of(order_id) FROM orders WHERE tenant_id = 'a'", "unbound beside a"),
        ("SELECT touch()", "unbound"),
        ("SELECT double(2)", "anywhere"),
        ("SELECT elsewhere.total_of(1)", "anywhere"),
        ("SELECT similarity('a', 'b')", "anywhere"),
        (
            "SELECT total_of(1) FROM audit",
            "refused: a local table and the function total_of, which may read sharded tables",
        ),
        ("SELECT no_such_function(1)", "anywhere"),
        ("SELECT nextval('s')", "unbound"),
        ("SELECT setval('s', 1), name FROM currencies", "unbound"),
        ("INSERT INTO audit (id) VALUES (nextval('s'))", "local shard-a"),
        ("INSERT INTO orders (tenant_id, order_id) VALUES ('a', nextval('s'))", "keyed a"),
        ("SELECT lo_create(0)", "refused: the large object function lo_create()"),
        (
            "SELECT query_to_xml('select 1', true, true, '')",
            "refused: query_to_xml(), which reads tables that are named in a value",
        ),
        (
            "SELECT ts_rewrite('a', 'SELECT t, s FROM aliases')",
            "refused: ts_rewrite(), which reads tables that are named in a value",
        ),
        ("SELECT ts_rewrite('a', 'a', 'b')", "anywhere"),
        (
            "SELECT pg_terminate_backend(1)",
            "refused: pg_terminate_backend(), whose server process may serve another session by now",
        ),
        ("SELECT pg_read_file('x')", "refused: pg_read_file(), which reads files of one server"),
        (
            "SELECT * FROM dblink('', '') AS t (a int)",
            "refused: the function dblink, which connects to another server",
        ),
        (
            "SELECT lastval()",
            "refused: lastval(), which answers from the server connection of an earlier statement",
        ),
        (
            "SELECT currval('s') FROM orders WHERE tenant_id = 'a'",
            "refused: currval(), which answers from the server connection of an earlier statement",
        ),
        ("SELECT * FROM currencies FOR UPDATE", "refused: locking rows of a reference table"),
    ],
)
def test_where_functions_may_run(sql: str, expected: str) -> None:
    assert verdict(sql) == expected


def test_a_sequence_without_a_key_is_refused_unless_the_session_names_a_tenant() -> None:
    statement = plan("SELECT nextval('s')")
    assert statement.sequence
    assert statement.refusal is not None
    assert statement.refusal.construct.startswith("nextval() without a sharding key")
    assert not plan("SELECT nextval('s'), total_of(1)").sequence


@pytest.mark.parametrize(
    ("operator", "sql"),
    [
        ("<=", "SELECT name BETWEEN 'a' AND 'b' FROM tenants WHERE tenant_id = 'a'"),
        (">=", "SELECT name NOT BETWEEN SYMMETRIC 'a' AND 'b' FROM tenants WHERE tenant_id = 'a'"),
        ("=", "SELECT CASE name WHEN 'a' THEN 1 END FROM tenants"),
        ("=", "SELECT name IN (SELECT 'a') FROM tenants"),
        ("=", "SELECT FROM tenants JOIN orders USING (tenant_id)"),
        ("=", "SELECT FROM tenants NATURAL JOIN orders"),
        ("=", "SELECT name IS DISTINCT FROM 'a' FROM tenants"),
        ("=", "SELECT NULLIF(name, 'a') FROM tenants"),
        ("<", "SELECT FROM tenants WHERE (name, plan) < ('a', 'b')"),
        ("~~", "SELECT FROM tenants WHERE name LIKE 'a'"),
        ("+", "SELECT FROM tenants WHERE name < ANY (SELECT 1 + 1)"),
        (">>", "SELECT FROM tenants ORDER BY name USING >>"),
    ],
)
def test_an_operator_hides_nowhere(operator: str, sql: str) -> None:
    reading = {operator: (("public", "reads"),)}
    schema = replace(SCHEMA, user_operators=frozenset({operator}), reading_operators=reading)
    (statement,) = analyze(sql, schema=schema, rules=RULES, search_path=SEARCH_PATH)
    assert statement.reach is Reach.UNBOUND
    assert statement.refusal is not None
    assert not statement.fan_out


def test_a_function_hides_nowhere() -> None:
    for sql in (
        "SELECT 1 ORDER BY random()",
        "SELECT 1 LIMIT random()::int",
        "SELECT CASE WHEN true THEN random() END",
        "SELECT ARRAY[random()]",
        "SELECT (SELECT random())",
        "SELECT sum(1) FILTER (WHERE random() > 1)",
        "SELECT sum(1) OVER (ORDER BY random())",
        "SELECT * FROM ROWS FROM (random()) r",
        "WITH x AS (SELECT random()) SELECT 1",
        "VALUES (random())",
        "SELECT * FROM currencies c JOIN currencies d ON random() > 1",
        "SELECT 1 UNION SELECT random()",
        "SELECT * FROM currencies TABLESAMPLE bernoulli(random())",
        "SELECT json_object('a': random())",
        "SELECT xmlelement(name x, random())",
        "SELECT coalesce(NULL, random())",
        "SELECT random() IS NULL",
        "SELECT (random(), 1)",
        "SELECT a[random()::int] FROM (SELECT ARRAY[1] a) s",
        "SELECT GREATEST(random(), 1)",
    ):
        assert not plan(sql).read_only, sql

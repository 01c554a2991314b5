import pytest

from shardproxy.client.statements import may_change_session, quote_literal
from shardproxy.demo.postgres import Server


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "  select * from orders where id = $1;  ",
        "-- why\n/* shardproxy_free */ UPDATE orders SET status = 'set'",
        "INSERT INTO orders DEFAULT VALUES RETURNING id",
        "WITH x AS (SELECT 1) DELETE FROM orders USING x",
        "COPY orders TO STDOUT",
        "EXPLAIN (ANALYZE) SELECT 1",
    ],
)
def test_data_statements_keep_the_session_as_it_is(sql: str) -> None:
    assert not may_change_session(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "SET work_mem = '1MB'",
        "set shardproxy.tenant = 'x'",
        "RESET ALL",
        "LISTEN jobs",
        "BEGIN",
        "DO $$ BEGIN END $$",
        "CALL f()",
        "PREPARE p AS SELECT 1",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "SELECT set_config('work_mem', '1MB', false)",
        "SELECT SET_CONFIG($1, $2, false)",
        'SELECT U&"set\\005fconfig"($1, $2, false)',
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_lock_shared(1)",
        "SELECT 1 INTO TEMP t",
        "SELECT setseed(0.5)",
        "SELECT 1; SET work_mem = '1MB'",
        "/* a /* nested */ comment */ SET work_mem = '1MB'",
        "/* shardproxy.tenant='x' */ SELECT set_config('a.b', 'c', false)",
    ],
)
def test_everything_that_may_leave_state_is_noticed(sql: str) -> None:
    assert may_change_session(sql)


VALUES = [
    "acme",
    "",
    "O'Brien",
    "''",
    "\\",
    "\\'",
    "a\\b'c",
    "zürich-東京-🐘",
    "'; DROP TABLE note; --",
    "E'x'",
]


@pytest.mark.parametrize("conforming", ["on", "off"])
def test_a_quoted_value_is_the_value_to_the_server(plain_server: Server, conforming: str) -> None:
    expressions = " || '|' || ".join(
        f"encode(convert_to({quote_literal(value)}, 'UTF8'), 'hex')" for value in VALUES
    )
    said = plain_server.query(f"SET standard_conforming_strings = {conforming};\nSELECT {expressions}")
    assert said.split("|") == [value.encode().hex() for value in VALUES]


@pytest.mark.parametrize("value", ["a\0b", "\udc00"])
def test_text_that_postgresql_cannot_hold_is_not_quoted(value: str) -> None:
    with pytest.raises(ValueError, match=r"NUL|surrogates"):
        quote_literal(value)

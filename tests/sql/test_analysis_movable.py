"""Which queries leave a block free to move: those by which nobody can tell that it ran them elsewhere."""

import pytest

from tests.sql.verdicts import plan


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT",
        "VALUES (1, 'a'), (2, 'b')",
        "SELECT version(), current_user, current_schemas(false), current_setting('jit')",
        "SELECT set_config('jit', 'off', false)",
        "SELECT current_setting('jit') AS cur, set_config('jit', $1, true)",
        "SHOW work_mem",
        "TABLE currencies",
        "SELECT currency FROM currencies WHERE minor_units = $1::int ORDER BY 1 LIMIT 3",
        "WITH c AS (SELECT * FROM currencies) SELECT count(*) FROM c UNION ALL SELECT 1",
        "SELECT c.oid, c.relname::text, 'orders'::regclass::oid FROM pg_class c WHERE c.oid = ANY($1::oid[])",
        "SELECT * FROM information_schema.columns WHERE table_name::information_schema.sql_identifier = 'a'",
        "SELECT name, setting FROM pg_settings",
        "SELECT double(2), similarity('a', 'b'), median(minor_units) FROM currencies",
        "SELECT pg_get_expr(NULL, 0), format_type(25, NULL), obj_description(1, 'pg_class')",
    ],
)
def test_movable(sql: str) -> None:
    assert plan(sql).movable


@pytest.mark.parametrize(
    "sql",
    [
        # rows that live on one shard, whatever their keys
        "SELECT * FROM orders WHERE tenant_id = 'a'",
        "SELECT * FROM orders WHERE tenant_id = NULL",
        "SELECT * FROM acme_orders",
        "SELECT * FROM audit",
        "SELECT * FROM pg_toast.pg_toast_1",
        "SELECT total_of(1)",
        # the clock
        "SELECT now()",
        "SELECT pg_catalog.transaction_timestamp()",
        "SELECT statement_timestamp()",
        "SELECT clock_timestamp()",
        "SELECT LOCALTIME",
        "SELECT age('2020-01-01')",
        "SELECT 'now'::timestamptz",
        "SELECT $1::date[]",
        "SELECT CAST('x' AS tstzrange)",
        "SELECT '2020-01-01'::pg_catalog.timestamp",
        "SELECT 'a'::public.text",
        "SELECT 'a'::citext",
        "SELECT timestamptz('n' || 'ow')",
        "SELECT timestamptz_in('x', 0, -1)",
        "SELECT array_in('{x}', 1184, -1)",
        "SELECT x.timestamptz FROM (SELECT 'n' || 'ow') x",
        "SELECT json_populate_record(c, '{}') FROM currencies c",
        "SELECT * FROM json_to_record('{}') AS r(at timestamptz)",
        "SELECT * FROM xmltable('/a' PASSING '<a/>' COLUMNS b timestamptz)",
        "SELECT json_value('{}', '$' RETURNING timestamptz)",
        "SELECT * FROM pg_stat_activity",
        # this transaction, this server
        "SELECT pg_current_snapshot()",
        "SELECT txid_current()",
        "SELECT mxid_age('1')",
        "SELECT pg_backend_pid()",
        "SELECT pg_export_snapshot()",
        "SELECT pg_stat_get_backend_pid(1)",
        "SELECT xmin FROM currencies",
        "SELECT ctid FROM pg_class",
        "SELECT * FROM pg_locks",
        "SELECT random()",
        "SELECT touch()",
        "SELECT uuid_generate_v4()",
        # effects
        "SELECT * FROM pg_class FOR SHARE",
        "SELECT pg_advisory_xact_lock(1)",
        "SELECT pg_notify('a', 'b')",
        "SELECT set_config('a.b', 'c', true) FROM currencies",
        "SELECT (SELECT set_config('a.b', 'c', true)), set_config('a.b', 'd', true)",
        "SELECT 1 INTO TEMP t",
        "INSERT INTO orders (tenant_id, customer_id) VALUES (NULL, 1)",
        "DECLARE c CURSOR FOR SELECT 1",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT 1",
        "COPY (SELECT 1) TO STDOUT",
        "FETCH c",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "LISTEN c",
        "SET work_mem = '1MB'",
        "SELECT * FROM nowhere",
    ],
)
def test_not_movable(sql: str) -> None:
    assert not plan(sql).movable


def test_names_of_ones_own_bind() -> None:
    assert not plan("SELECT upper('a')", search_path=("public", "pg_catalog")).movable

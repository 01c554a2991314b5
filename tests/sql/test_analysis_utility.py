"""Statements that are not queries: what the session has to do with each, and what is refused by name."""

import pytest

from shardproxy.sql.statement import Kind, Reach, SettingChange
from tests.sql.verdicts import plan, statements, verdict


@pytest.mark.parametrize(
    ("sql", "kind", "tag", "name"),
    [
        ("BEGIN", Kind.BEGIN, "BEGIN", None),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY", Kind.BEGIN, "BEGIN", None),
        ("START TRANSACTION", Kind.BEGIN, "START TRANSACTION", None),
        ("COMMIT", Kind.COMMIT, "COMMIT", None),
        ("END AND CHAIN", Kind.COMMIT, "COMMIT", None),
        ("ROLLBACK", Kind.ROLLBACK, "ROLLBACK", None),
        ("ABORT", Kind.ROLLBACK, "ROLLBACK", None),
        ("SAVEPOINT s", Kind.SAVEPOINT, "SAVEPOINT", "s"),
        ("RELEASE s", Kind.RELEASE, "RELEASE", "s"),
        ('ROLLBACK TO SAVEPOINT "S"', Kind.ROLLBACK_TO, "ROLLBACK", "S"),
        ("SET TRANSACTION READ ONLY", Kind.SET_TRANSACTION, "SET", None),
        ("SET transaction_isolation = 'serializable'", Kind.SET_TRANSACTION, "SET", None),
        ("SHOW ALL", Kind.SHOW, "SHOW", "all"),
        ("SHOW TimeZone", Kind.SHOW, "SHOW", "timezone"),
        ("SHOW shardproxy.tenant", Kind.SHOW, "SHOW", "shardproxy.tenant"),
        ("DISCARD ALL", Kind.DISCARD, "DISCARD ALL", "all"),
        ("DISCARD TEMP", Kind.DISCARD, "DISCARD TEMP", "temp"),
        ("DEALLOCATE p", Kind.DEALLOCATE, "DEALLOCATE", "p"),
        ("DEALLOCATE ALL", Kind.DEALLOCATE, "DEALLOCATE ALL", None),
        ("SET CONSTRAINTS ALL DEFERRED", Kind.QUERY, "SET CONSTRAINTS", None),
        ("SET CONSTRAINTS public.orders_fkey IMMEDIATE", Kind.QUERY, "SET CONSTRAINTS", None),
        ("FETCH 5 FROM c", Kind.QUERY, "FETCH", "c"),
        ("MOVE c", Kind.QUERY, "MOVE", "c"),
        ("CLOSE c", Kind.QUERY, "CLOSE CURSOR", "c"),
        ("CLOSE ALL", Kind.QUERY, "CLOSE CURSOR ALL", None),
        ("UNLISTEN *", Kind.QUERY, "UNLISTEN", None),
        ("NOTIFY c, 'x'", Kind.QUERY, "NOTIFY", "c"),
        ("EXECUTE p (1)", Kind.QUERY, "EXECUTE", "p"),
    ],
)
def test_statements_about_the_session(sql: str, kind: Kind, tag: str, name: str | None) -> None:
    statement = plan(sql)
    assert (statement.kind, statement.tag, statement.name) == (kind, tag, name)
    assert statement.reach is Reach.ANYWHERE


@pytest.mark.parametrize(
    ("sql", "name", "value", "local"),
    [
        ("SET work_mem = '4MB'", "work_mem", "4MB", False),
        ("SET WORK_MEM TO 64", "work_mem", "64", False),
        ("SET x.y = -1.5", "x.y", "-1.5", False),
        ("SET LOCAL enable_seqscan = off", "enable_seqscan", "off", True),
        ("SET SESSION enable_seqscan = true", "enable_seqscan", "true", False),
        ('SET search_path TO a, "B c", \'d\', "$user"', "search_path", 'a, "B c", d, "$user"', False),
        ("SET search_path = ''", "search_path", '""', False),
        ("SET SCHEMA 'x'", "search_path", "x", False),
        ("SET DateStyle = ISO, DMY", "datestyle", "iso, dmy", False),
        ("SET TIME ZONE 'UTC'", "timezone", "UTC", False),
        ("SET TIME ZONE LOCAL", "timezone", None, False),
        ("SET NAMES 'UTF8'", "client_encoding", "UTF8", False),
        ("SET ROLE app", "role", "app", False),
        ("SET ROLE NONE", "role", "none", False),
        ("SET shardproxy.tenant = 'acme'", "shardproxy.tenant", "acme", False),
        ("SET LOCAL shardproxy.tenant TO DEFAULT", "shardproxy.tenant", None, True),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "default_transaction_isolation",
            "repeatable read",
            False,
        ),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            "default_transaction_read_only",
            "on",
            False,
        ),
        ("RESET work_mem", "work_mem", None, False),
        ("RESET ALL", "all", None, False),
        ("RESET ROLE", "role", None, False),
    ],
)
def test_settings_and_their_values(sql: str, name: str, value: str | None, local: bool) -> None:
    statement = plan(sql)
    assert statement.kind is (Kind.RESET if sql.startswith("RESET") else Kind.SET)
    assert statement.setting == SettingChange(name, value, local, sql)
    assert not statement.foldable


def test_the_text_of_a_setting_is_its_own_statement_only() -> None:
    _, setting, _ = statements("SELECT 'ö'; SET a.b = 'ü' ; SELECT 1")
    assert setting.setting is not None
    assert setting.setting.sql.rstrip() == "SET a.b = 'ü'"


@pytest.mark.parametrize(
    ("sql", "construct"),
    [
        ("SET SESSION AUTHORIZATION app", "SET SESSION AUTHORIZATION"),
        ("SET session_authorization = app", "SET SESSION AUTHORIZATION"),
        ("SET TRANSACTION SNAPSHOT 'x'", "SET TRANSACTION SNAPSHOT"),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, DEFERRABLE",
            "SET SESSION CHARACTERISTICS with several characteristics",
        ),
        ("PREPARE TRANSACTION 'x'", "PREPARE TRANSACTION"),
        ("COMMIT PREPARED 'x'", "COMMIT PREPARED"),
        ("ROLLBACK PREPARED 'x'", "ROLLBACK PREPARED"),
        ("CREATE TABLE t (a int)", "CREATE TABLE, which must run on every shard"),
        ("CREATE TABLE t AS SELECT 1", "CREATE TABLE, which must run on every shard"),
        ("SELECT 1 INTO t", "CREATE TABLE, which must run on every shard"),
        ("CREATE INDEX ON orders (total)", "CREATE INDEX, which must run on every shard"),
        ("CREATE VIEW v AS SELECT * FROM orders", "CREATE VIEW, which must run on every shard"),
        ("CREATE TEMP VIEW v AS SELECT * FROM orders", "CREATE VIEW, which must run on every shard"),
        (
            "CREATE MATERIALIZED VIEW v AS SELECT 1",
            "CREATE MATERIALIZED VIEW, which must run on every shard",
        ),
        ("ALTER TABLE orders ADD x int", "ALTER TABLE, which must run on every shard"),
        ("DROP TABLE orders", "DROP TABLE, which must run on every shard"),
        ("DROP TABLE nowhere, orders", "DROP TABLE, which must run on every shard"),
        ("DROP SCHEMA public", "DROP SCHEMA, which must run on every shard"),
        ("DROP MATERIALIZED VIEW stored", "DROP MATERIALIZED VIEW, which must run on every shard"),
        ("TRUNCATE orders", "TRUNCATE TABLE, which must run on every shard"),
        ("TRUNCATE nowhere, orders", "TRUNCATE TABLE, which must run on every shard"),
        ("LOCK TABLE orders", "LOCK TABLE, which must run on every shard"),
        ("VACUUM orders", "VACUUM, which must run on every shard"),
        ("VACUUM", "VACUUM, which must run on every shard"),
        ("ANALYZE orders", "ANALYZE, which must run on every shard"),
        ("REINDEX TABLE orders", "REINDEX, which must run on every shard"),
        ("CLUSTER orders USING i", "CLUSTER, which must run on every shard"),
        ("CHECKPOINT", "CHECKPOINT, which must run on every shard"),
        ("GRANT SELECT ON orders TO app", "GRANT, which must run on every shard"),
        ("REVOKE app FROM other", "GRANT ROLE, which must run on every shard"),
        ("COMMENT ON TABLE orders IS 'x'", "COMMENT, which must run on every shard"),
        ("ALTER SYSTEM SET work_mem = '1MB'", "ALTER SYSTEM, which must run on every shard"),
        ("CREATE EXTENSION citext", "CREATE EXTENSION, which must run on every shard"),
        ("CREATE ROLE app", "CREATE ROLE, which must run on every shard"),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1'",
            "CREATE FUNCTION, which must run on every shard",
        ),
        ("ALTER TABLE orders RENAME COLUMN total TO sum", "ALTER TABLE, which must run on every shard"),
        (
            "ALTER TABLE nowhere ADD FOREIGN KEY (a) REFERENCES orders",
            "ALTER TABLE, which must run on every shard",
        ),
        ("CREATE RULE r AS ON INSERT TO orders DO NOTHING", "CREATE RULE, which must run on every shard"),
        ("COPY orders FROM '/tmp/x'", "COPY with a file or program of the server"),
        ("COPY orders TO PROGRAM 'cat'", "COPY with a file or program of the server"),
        ("COPY order_view TO STDOUT", 'COPY of the view "order_view"'),
        ("COPY currencies FROM STDIN", 'writing the reference table "currencies"'),
        ("COPY misc TO STDOUT", 'the table "public.misc", which the configuration does not name'),
        (
            "PREPARE p AS SELECT * FROM orders WHERE tenant_id = $1",
            "PREPARE of a statement on sharded tables",
        ),
        (
            "PREPARE p AS INSERT INTO orders (tenant_id) VALUES ($1)",
            "PREPARE of a statement on sharded tables",
        ),
        (
            "CREATE TEMP TABLE orders (a int)",
            'the temporary table "orders", which would hide another relation of that name',
        ),
        (
            "CREATE TEMP TABLE order_view (a int)",
            'the temporary table "order_view", which would hide another relation of that name',
        ),
        (
            "CREATE TEMP TABLE pg_class (a int)",
            'the temporary table "pg_class", which would hide another relation of that name',
        ),
        (
            "SELECT 1 INTO TEMP gone",
            'the temporary table "gone", which would hide another relation of that name',
        ),
        ("CREATE TEMP TABLE t () INHERITS (orders)", "a temporary table that inherits from another"),
    ],
)
def test_what_is_refused_by_name(sql: str, construct: str) -> None:
    statement = plan(sql)
    assert statement.reach is Reach.REFUSED
    assert statement.refusal is not None
    assert statement.refusal.construct == construct
    assert statement.refusal.sqlstate == "0A000"


@pytest.mark.parametrize(
    ("sql", "expected", "pins"),
    [
        ("CREATE TEMP TABLE t (a int)", "anywhere", "temporary table"),
        ("CREATE TEMPORARY TABLE t (LIKE orders INCLUDING ALL)", "anywhere", "temporary table"),
        ("CREATE TABLE pg_temp.t (a int)", "anywhere", "temporary table"),
        ("CREATE TEMP TABLE t (a int REFERENCES u)", "anywhere", "temporary table"),
        ("CREATE TEMP TABLE t AS SELECT * FROM orders WHERE tenant_id = 'a'", "keyed a", "temporary table"),
        ("CREATE TEMP TABLE t AS SELECT * FROM orders", "unbound orders", "temporary table"),
        ("SELECT * INTO TEMP t FROM orders WHERE tenant_id = 'a'", "keyed a", "temporary table"),
        ("SELECT 1 INTO TEMP t UNION SELECT 2", "anywhere", "temporary table"),
        ("LISTEN c", "anywhere", "LISTEN"),
        ("LOAD 'auto_explain'", "anywhere", "LOAD"),
        ("PREPARE p AS SELECT 1", "anywhere", "PREPARE"),
        (
            "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM orders WHERE tenant_id = 'a'",
            "keyed a",
            "WITH HOLD cursor",
        ),
        ("DECLARE c CURSOR FOR SELECT * FROM orders WHERE tenant_id = 'a'", "keyed a", None),
        ("DECLARE c CURSOR FOR SELECT * FROM orders", "unbound orders", None),
        ("SELECT pg_advisory_lock(1)", "anywhere", "session advisory lock"),
        (
            "SELECT pg_try_advisory_lock_shared(1) FROM orders WHERE tenant_id = 'a'",
            "keyed a",
            "session advisory lock",
        ),
        ("SELECT pg_advisory_xact_lock(1)", "anywhere", None),
        ("SELECT set_config('a.b', 'x', false)", "anywhere", None),
        ("SELECT set_config('a.b', 'x', $1)", "anywhere", "set_config"),
        ("SELECT set_config('a.b', 'x', true)", "anywhere", None),
        # Relations that no shard has: temporary ones, or PostgreSQL says that they do not exist.
        ("DROP TABLE t", "anywhere", None),
        ("DROP TABLE IF EXISTS pg_temp.t", "anywhere", None),
        ("TRUNCATE t", "anywhere", None),
        ("CREATE INDEX ON t (a)", "anywhere", None),
        ("ANALYZE t", "anywhere", None),
        ("ALTER TABLE t ADD a int", "anywhere", None),
    ],
)
def test_state_that_pins_a_session(sql: str, expected: str, pins: str | None) -> None:
    statement = plan(sql)
    assert verdict(sql) == expected
    assert statement.pins == pins
    assert not statement.fan_out


def test_what_depends_on_the_third_argument_of_set_config_is_not_shared_between_literals() -> None:
    assert not plan("SELECT set_config('a.b', 'x', true)").foldable


@pytest.mark.parametrize(
    ("sql", "kind", "expected"),
    [
        ("COPY orders FROM STDIN", Kind.COPY_IN, "unbound orders"),
        ("COPY orders (tenant_id, order_id) FROM STDIN (FORMAT csv)", Kind.COPY_IN, "unbound orders"),
        ("COPY orders TO STDOUT", Kind.COPY_OUT, "unbound orders"),
        ("COPY audit FROM STDIN", Kind.COPY_IN, "local shard-a"),
        ("COPY currencies TO STDOUT", Kind.COPY_OUT, "anywhere"),
        ("COPY t FROM STDIN", Kind.COPY_IN, "anywhere"),
        ("COPY (SELECT * FROM orders WHERE tenant_id = 'a') TO STDOUT", Kind.COPY_OUT, "keyed a"),
        ("COPY (SELECT * FROM orders) TO STDOUT", Kind.COPY_OUT, "unbound orders"),
        ("COPY (DELETE FROM orders WHERE tenant_id = $1 RETURNING *) TO STDOUT", Kind.COPY_OUT, "keyed $1"),
    ],
)
def test_copy(sql: str, kind: Kind, expected: str) -> None:
    statement = plan(sql)
    assert (statement.kind, statement.tag) == (kind, "COPY")
    assert verdict(sql) == expected
    assert not statement.fan_out


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("EXPLAIN SELECT * FROM orders WHERE tenant_id = 'a'", "keyed a"),
        ("EXPLAIN (ANALYZE) DELETE FROM orders WHERE tenant_id = 'a'", "keyed a"),
        ("EXPLAIN SELECT * FROM orders", "unbound orders"),
        ("EXPLAIN DECLARE c CURSOR FOR SELECT * FROM orders WHERE tenant_id = 'a'", "keyed a"),
        ("EXPLAIN CREATE TABLE t AS SELECT 1", "refused: CREATE TABLE, which must run on every shard"),
        ("EXPLAIN EXECUTE p", "anywhere"),
    ],
)
def test_explain_goes_where_its_statement_goes(sql: str, expected: str) -> None:
    assert verdict(sql) == expected
    assert not plan(sql).fan_out
    assert plan(sql).tag == "EXPLAIN"


def test_explain_of_a_change_is_not_read_only() -> None:
    assert not plan("EXPLAIN ANALYZE DELETE FROM orders WHERE tenant_id = 'a'").read_only
    assert plan("EXPLAIN SELECT 1").read_only


@pytest.mark.parametrize("sql", ["DO $$ BEGIN DELETE FROM orders; END $$", "CALL settle(1)"])
def test_code_that_may_touch_any_table_has_no_shard_of_its_own(sql: str) -> None:
    statement = plan(sql)
    assert statement.reach is Reach.UNBOUND
    assert statement.unbound == ()
    assert statement.refusal is not None
    assert not statement.read_only


def test_listen_and_notify_meet_on_the_designated_shard() -> None:
    assert plan("LISTEN c").catalog
    assert plan("NOTIFY c").catalog
    assert plan("SELECT pg_notify('c', '')").catalog
    assert verdict("SELECT pg_notify('c', note) FROM orders WHERE tenant_id = 'a'").startswith(
        "refused: pg_notify()"
    )


@pytest.mark.parametrize("text", ["", ";", " ; ; ", "-- nothing\n", "/* nothing */"])
def test_no_statement_at_all(text: str) -> None:
    (statement,) = statements(text)
    assert statement.kind is Kind.EMPTY
    assert statement.read_only


def test_each_statement_of_a_text_with_its_place_in_characters() -> None:
    text = "SELECT 'größe'; ; DELETE FROM orders WHERE tenant_id = 'ä';\n COMMIT"
    found = [(statement.tag, text[statement.start : statement.end]) for statement in statements(text)]
    assert found == [
        ("SELECT", "SELECT 'größe'"),
        ("DELETE", "DELETE FROM orders WHERE tenant_id = 'ä'"),
        ("COMMIT", "COMMIT"),
    ]

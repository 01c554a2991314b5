"""Conversations with a server, as raw messages: what a private connection answers is what the proxy must answer.

They touch only the coupons of the tenant ``hooli``, whose shard is not the designated one.
"""

from tests.support.wire_client import Step
from shardproxy.wire.client_messages import (
    COPY_DONE,
    FLUSH,
    SYNC,
    bind,
    close,
    copy_data,
    copy_fail,
    describe,
    execute,
    message,
    parse,
)
from shardproxy.wire.client_messages import query as _query

TENANT = "hooli"
MINE = "SELECT code, percent FROM coupons WHERE tenant_id = 'hooli'"
ALL = f"{MINE} ORDER BY code"
INSERT = "INSERT INTO coupons VALUES ('hooli', '{}', {})"
BY_KEY = b"SELECT code, percent FROM coupons WHERE tenant_id = $1 ORDER BY code"
ADD = b"INSERT INTO coupons (tenant_id, code, percent) VALUES ($1, $2, $3)"
SERIES = b"SELECT i FROM generate_series(1, 7) AS i"

Script = tuple[bytes | Step, ...]
SCRIPTS: dict[str, Script] = {}


def q(sql: str) -> bytes:
    """A simple query."""
    return _query(sql.encode())


def insert(code: str, percent: object = 1) -> str:
    """A row of the tenant."""
    return INSERT.format(code, percent)


def ext(sql: str, *values: bytes | None, results: tuple[int, ...] = ()) -> bytes:
    """Parse, Bind, Describe and Execute without names; no Sync."""
    return (
        parse(b"", sql.encode())
        + bind(b"", b"", values=values, result_formats=results)
        + describe(b"P", b"")
        + execute()
    )


def add(name: str, *steps: bytes | Step) -> None:
    """A script; what was done is looked at in its end."""
    assert name not in SCRIPTS, name
    SCRIPTS[name] = steps


def add_copy(name: str, *steps: bytes | Step) -> None:
    """The same for COPY FROM STDIN, whose rows the proxy does not look into: the session names the tenant."""
    add(name, q("SET shardproxy.tenant = 'hooli'"), *steps)


# --- simple queries -----------------------------------------------------------------------------------------

add("one row", q(ALL))
add("no rows", q(f"{MINE} AND code = 'none'"))
add("no columns", q("SELECT"))
add("no columns of a table", q("SELECT FROM coupons WHERE tenant_id = 'hooli'"))
add("null and empty", q("SELECT NULL, '', ' ', NULL::int"))
add("empty query", q(""))
add("semicolons only", q(" ; ;; "))
add("comments only", q("-- nothing\n /* to /* see */ */"))
add("comment and semicolon", q("/* a */;-- b"))
add("empty statements around one", q(";;SELECT 1;;"))
add("two statements", q("SELECT 1; SELECT 2"))
add("several statements of all kinds", q(f"{insert('t1')}; {ALL}; DELETE FROM coupons WHERE tenant_id = 'hooli' AND code = 't1'"))
add("syntax error", q("SELEC 1"))
add("syntax error at the end", q("SELECT 1 FROM"))
add("syntax error in the second statement", q(f"{insert('t1')}; SELEC 1"), q(ALL))
add("position behind characters of several bytes", q("SELECT 'äöü€', nothing"))
add("unterminated string", q("SELECT 'abc"))
add("unknown table", q("SELECT * FROM nothing_here"))
add("unknown column", q("SELECT nothing_here FROM coupons WHERE tenant_id = 'hooli'"))
add("unknown function", q("SELECT nothing_here(1)"))
add("division by zero", q("SELECT 1/0"))
add("error after rows", q("SELECT 10 / (4 - i) FROM generate_series(1, 7) AS i"))
add("error in the middle undoes what was before", q(f"{insert('t1')}; SELECT 1/0; {insert('t2')}"), q(ALL))
add("constraint violated", q(insert("WELCOME1")), q(ALL))
add("check of a type", q(insert("t1", "'many'")), q(insert("t1", 99999)))
add("not null violated", q("INSERT INTO coupons VALUES ('hooli', 't1', NULL)"))
add("foreign key violated", q("DELETE FROM tenants WHERE tenant_id = 'hooli'"))
add("returning", q("UPDATE coupons SET percent = percent + 1 WHERE tenant_id = 'hooli' RETURNING code, percent - 1"), q("UPDATE coupons SET percent = percent - 1 WHERE tenant_id = 'hooli'"))
add("types", q("SELECT 1::int2, 2::int8, 3.50::numeric, 1.5::float8, true, 'x'::text, '{1,2}'::int[], '2024-02-29'::date, '1 day 2 h'::interval, '\\xdead'::bytea, '{\"a\": 1}'::jsonb"))
add("eight megabytes in a row", q("SELECT repeat('x', 8 * 1024 * 1024), 1"))
add("eight megabytes in a query", q("SELECT length('" + "y" * (8 << 20) + "')"))
add("many rows", q("SELECT i, repeat('z', 50) FROM generate_series(1, 3000) AS i"))
add("two queries at once", q("SELECT 1") + q("SELECT 2"))
add("a failing query among several at once", q("SELECT 1") + q("SELECT 1/0") + q("SELECT 3"))
add("hidden characters", q("SELECT '\x01\x7f\u200b', E'\\x41\\u00e9', U&'\\0041'"))
add("explain", q("EXPLAIN (COSTS OFF) SELECT 1"))
add("values", q("VALUES (1, 'a'), (2, NULL)"))
add("notices", q("SET shardproxy.tenant = 'hooli'"), q("DO $$BEGIN RAISE NOTICE 'hello %', 1; RAISE WARNING 'careful' USING HINT = 'h', DETAIL = 'd'; END$$"))
add("raised error", q("SET shardproxy.tenant = 'hooli'"), q("DO $$BEGIN RAISE EXCEPTION 'own' USING ERRCODE = 'ZZ001', COLUMN = 'c', TABLE = 't'; END$$"))

# --- transaction blocks, simple -----------------------------------------------------------------------------

add("block", q("BEGIN"), q(insert("t1")), q(ALL), q("COMMIT"), q(ALL))
add("block rolled back", q("BEGIN"), q(insert("t1")), q(ALL), q("ROLLBACK"), q(ALL))
add("empty block", q("BEGIN"), q("COMMIT"), q("BEGIN"), q("ROLLBACK"))
add("other words for it", q("START TRANSACTION"), q("END"), q("BEGIN WORK"), q("ABORT"), q("BEGIN TRANSACTION"), q("COMMIT WORK"))
add("begin twice", q("BEGIN"), q("BEGIN"), q("COMMIT"))
add("begin twice on a server", q("BEGIN"), q(ALL), q("BEGIN"), q("COMMIT"))
add("commit outside", q("COMMIT"), q("ROLLBACK"), q("END"), q("ABORT"))
add("failed block", q("BEGIN"), q(insert("t1")), q("SELECT 1/0"), q("SELECT 1"), q(insert("t2")), q("COMMIT"), q(ALL))
add("failed block rolled back", q("BEGIN"), q("SELECT 1/0"), q("ROLLBACK"), q("SELECT 1"))
add("first statement fails", q("BEGIN"), q("SELEC"), q("SELECT 1"), q("COMMIT"), q("SELECT 2"))
add("unknown table in a block", q("BEGIN"), q("SELECT * FROM nothing_here"), q("SELECT 1"), q("BEGIN"), q("END"))
add("syntax error in an open block", q("BEGIN"), q(insert("t1")), q("SELEC"), q("SELECT 1"), q("COMMIT"), q(ALL))
add("empty query in blocks", q("BEGIN"), q(""), q("SELECT 1/0"), q(""), q("-- x"), q("ROLLBACK"))
add("set, show and others in a failed block", q("BEGIN"), q("SELECT 1/0"), q("SHOW timezone"), q("SET timezone = 'UTC'"), q("RESET ALL"), q("SAVEPOINT a"), q("RELEASE a"), q("BEGIN"), q("COMMIT"))
add("failed before any server knew", q("BEGIN"), q("SAVEPOINT a"), q("SELEC"), q("SHOW timezone"), q("SAVEPOINT b"), q("RELEASE a"), q("ROLLBACK TO nothing"), q("ROLLBACK TO a"), q("SELECT 1"), q("COMMIT"))
add("and chain", q("BEGIN"), q(insert("t1")), q("COMMIT AND CHAIN"), q(insert("t2")), q("ROLLBACK AND CHAIN"), q(ALL), q("COMMIT AND NO CHAIN"), q(ALL))
add("and chain of an empty block", q("BEGIN ISOLATION LEVEL REPEATABLE READ"), q("COMMIT AND CHAIN"), q("SHOW transaction_isolation"), q("ROLLBACK AND CHAIN"), q("SHOW transaction_isolation"), q("COMMIT"), q("SHOW transaction_isolation"))
add("and chain of an open block", q("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY"), q("SELECT 1"), q("COMMIT AND CHAIN"), q("SHOW transaction_isolation"), q("SHOW transaction_read_only"), q("ROLLBACK"))
add("and chain of a failed block", q("BEGIN"), q("SELECT 1/0"), q("COMMIT AND CHAIN"), q("SELECT 1"), q("COMMIT"))
add("and chain outside", q("COMMIT AND CHAIN"), q("ROLLBACK AND CHAIN"), q("SELECT 1"))
add("isolation levels", q("BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE"), q("SHOW transaction_isolation"), q("SHOW transaction_read_only"), q("SHOW transaction_deferrable"), q("COMMIT"))
add("set transaction", q("BEGIN"), q("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"), q("SHOW transaction_isolation"), q("COMMIT"), q("SHOW transaction_isolation"))
add("set transaction too late", q("BEGIN"), q("SELECT 1"), q("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"), q("ROLLBACK"))
add("set transaction outside", q("SET TRANSACTION READ ONLY"), q("SHOW transaction_read_only"))
add("set transaction_isolation", q("BEGIN"), q("SET transaction_isolation = 'serializable'"), q("SHOW transaction_isolation"), q("COMMIT"))
add("set transaction to nonsense", q("BEGIN"), q("SET transaction_isolation = 'nonsense'"), q("SELECT 1"), q("ROLLBACK"))
add("read only", q("BEGIN READ ONLY"), q(insert("t1")), q("ROLLBACK"), q(ALL))
add("set session characteristics", q("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"), q(insert("t1")), q("BEGIN READ WRITE"), q(insert("t1")), q("ROLLBACK"), q("SHOW default_transaction_read_only"))

# --- savepoints -----------------------------------------------------------------------------------------------

add("savepoints", q("BEGIN"), q(insert("t1")), q("SAVEPOINT a"), q(insert("t2")), q("ROLLBACK TO a"), q(insert("t3")), q("RELEASE a"), q("COMMIT"), q(ALL))
add("savepoints before any statement", q("BEGIN"), q("SAVEPOINT a"), q("SAVEPOINT b"), q("RELEASE b"), q("ROLLBACK TO SAVEPOINT a"), q("RELEASE SAVEPOINT a"), q(insert("t1")), q("ROLLBACK TO a"), q("COMMIT"))
add("savepoints of one name", q("BEGIN"), q("SAVEPOINT a"), q(insert("t1")), q("SAVEPOINT a"), q(insert("t2")), q("ROLLBACK TO a"), q("RELEASE a"), q("ROLLBACK TO a"), q(ALL), q("COMMIT"), q(ALL))
add("savepoint outside", q("SAVEPOINT a"), q("RELEASE a"), q("ROLLBACK TO a"))
add("unknown savepoint", q("BEGIN"), q("ROLLBACK TO nothing"), q("SELECT 1"), q("ROLLBACK"))
add("unknown savepoint on a server", q("BEGIN"), q("SELECT 1"), q("RELEASE nothing"), q("SELECT 1"), q("ROLLBACK"))
add("error and back to the savepoint", q("BEGIN"), q("SAVEPOINT a"), q(f"{MINE} AND 1/0 = 1"), q("SELECT 1"), q("ROLLBACK TO a"), q("SELECT 2"), q(insert("t1")), q("COMMIT"), q(ALL))
add("error twice", q("BEGIN"), q(insert("t1")), q("SAVEPOINT a"), q("SELEC"), q("ROLLBACK TO a"), q("SELECT 1/0"), q("ROLLBACK TO a"), q("COMMIT"), q(ALL))
add("released savepoints are gone", q("BEGIN"), q("SAVEPOINT a"), q("SAVEPOINT b"), q("RELEASE a"), q("ROLLBACK TO b"), q("ROLLBACK"))
add("names of savepoints", q("BEGIN"), q('SAVEPOINT "Two Words"'), q("SAVEPOINT Plain"), q("ROLLBACK TO plain"), q('RELEASE "Two Words"'), q("COMMIT"))

# --- several statements with transaction statements among them ---------------------------------------------

add("block in one query", q(f"BEGIN; {insert('t1')}; COMMIT; {ALL}"), q(ALL))
add("block opened in one query", q(f"BEGIN; {insert('t1')}"), q(ALL), q("ROLLBACK"), q(ALL))
add("block opened and left empty", q("BEGIN; SELECT 1"), q("COMMIT"))
add("commit in the middle", q(f"{insert('t1')}; COMMIT; {insert('t2')}; SELECT 1/0"), q(ALL))
add("rollback in the middle", q(f"{insert('t1')}; ROLLBACK; {insert('t2')}"), q(ALL))
add("begin in the middle", q(f"{insert('t1')}; BEGIN; {insert('t2')}"), q("ROLLBACK"), q(ALL))
add("only transaction statements", q("BEGIN; COMMIT; BEGIN"), q("SELECT 1"), q("ROLLBACK; COMMIT"))
add("savepoint in an implicit block", q("SELECT 1; SAVEPOINT a"), q("SELECT 1"))
add("error closes what the query opened", q("BEGIN; SELECT 1/0"), q("SELECT 1"), q("ROLLBACK"))
add("failed block ended in a query of several", q("BEGIN"), q("SELECT 1/0"), q("ROLLBACK; SELECT 1"), q("SELECT 2"))
add("set in a query that fails", q("SET work_mem = '8MB'; SELECT 1/0"), q("SHOW work_mem"))
add("set and use", q("SET work_mem = '8MB'; SHOW work_mem"), q("SHOW work_mem"), q("RESET work_mem; SHOW work_mem"))
add("set local in an implicit block", q("SET LOCAL work_mem = '9MB'; SHOW work_mem"), q("SHOW work_mem"))
add("vacuum in an implicit block", q("SELECT 1; VACUUM nothing_here"))

# --- settings -----------------------------------------------------------------------------------------------

add("set and show", q("SET work_mem = '7MB'"), q("SHOW work_mem"), q("RESET work_mem"), q("SHOW work_mem"))
add("set what is reported", q("SET TIME ZONE 'Asia/Tokyo'"), q("SHOW timezone"), q("SET datestyle TO 'German, DMY'"), q("SET intervalstyle = iso_8601"), q("SET application_name = 'me'"), q("RESET ALL"))
add("set to nonsense", q("SET work_mem = 'lots'"), q("SET nothing_here = 1"), q("SET timezone = 'Nowhere/Land'"), q("SHOW work_mem"))
add("show unknown", q("SHOW nothing_here"), q("RESET nothing_here"))
add("set local outside", q("SET LOCAL work_mem = '7MB'"), q("SHOW work_mem"))
add("set local", q("BEGIN"), q("SET LOCAL work_mem = '7MB'"), q("SHOW work_mem"), q("COMMIT"), q("SHOW work_mem"))
add("set local rolled back", q("BEGIN"), q("SELECT 1"), q("SET LOCAL work_mem = '7MB'"), q("ROLLBACK"), q("SHOW work_mem"))
add("set in a block that is kept", q("BEGIN"), q("SET work_mem = '7MB'"), q("COMMIT"), q("SHOW work_mem"))
add("set in a block that is not", q("BEGIN"), q("SET work_mem = '7MB'"), q("SELECT 1"), q("ROLLBACK"), q("SHOW work_mem"))
add("set to nonsense in a block", q("BEGIN"), q("SET work_mem = 'lots'"), q("SHOW work_mem"), q("ROLLBACK"), q("SHOW work_mem"))
add("set to nonsense in an open block", q("BEGIN"), q("SELECT 1"), q("SET work_mem = 'lots'"), q("SHOW work_mem"), q("COMMIT"))
add("reported settings in a block", q("BEGIN"), q("SET timezone = 'Asia/Tokyo'"), q("SELECT 1"), q("ROLLBACK"))
add("reported settings in an empty block", q("BEGIN"), q("SET timezone = 'Asia/Tokyo'"), q("ROLLBACK"), q("BEGIN"), q("SET timezone = 'Asia/Tokyo'"), q("COMMIT"))
add("reported settings and savepoints", q("BEGIN"), q("SAVEPOINT a"), q("SET timezone = 'Asia/Tokyo'"), q("ROLLBACK TO a"), q("SHOW timezone"), q("COMMIT"))
add("settings and savepoints", q("BEGIN"), q("SET work_mem = '7MB'"), q("SAVEPOINT a"), q("SET work_mem = '8MB'"), q("SET LOCAL work_mem = '9MB'"), q("SHOW work_mem"), q("ROLLBACK TO a"), q("SHOW work_mem"), q("COMMIT"), q("SHOW work_mem"))
add("set local over set", q("BEGIN"), q("SET work_mem = '7MB'"), q("SET LOCAL work_mem = '8MB'"), q("SHOW work_mem"), q("COMMIT"), q("SHOW work_mem"))
add("set local under savepoint released", q("BEGIN"), q("SELECT 1"), q("SAVEPOINT a"), q("SET LOCAL work_mem = '8MB'"), q("RELEASE a"), q("SHOW work_mem"), q("COMMIT"), q("SHOW work_mem"))
add("set_config", q("SELECT set_config('work_mem', '7MB', false)"), q("SHOW work_mem"), q("SELECT set_config('work_mem', '8MB', true)"), q("SHOW work_mem"))
add("set_config local in a block", q("BEGIN"), q("SELECT set_config('work_mem', '8MB', true)"), q("SHOW work_mem"), q("COMMIT"), q("SHOW work_mem"))
add("current_setting", q("SELECT current_setting('work_mem'), current_setting('nothing.here', true)"), q("SET my.own = 'x'"), q("SELECT current_setting('my.own')"), q("SHOW my.own"))
add("search_path", q("SET search_path = pg_catalog"), q("SELECT count(*) FROM pg_namespace WHERE nspname = 'public'"), q("SELECT * FROM coupons WHERE tenant_id = 'hooli'"), q("RESET search_path"), q(ALL))
add("search_path in a block", q("BEGIN"), q("SET LOCAL search_path TO pg_catalog, public"), q("SHOW search_path"), q("SELECT current_schemas(false)"), q("COMMIT"), q("SHOW search_path"))
add("reset all", q("SET work_mem = '7MB'"), q("SET my.own = 'x'"), q("RESET ALL"), q("SHOW work_mem"))
add("reset all in a block", q("SET work_mem = '7MB'"), q("BEGIN"), q("RESET ALL"), q("SHOW work_mem"), q("ROLLBACK"), q("SHOW work_mem"))
add("set to default", q("SET work_mem = '7MB'"), q("SET work_mem TO DEFAULT"), q("SHOW work_mem"))
add("discard all", q("SET work_mem = '7MB'"), q("SET timezone = 'Asia/Tokyo'"), q("DISCARD ALL"), q("SHOW work_mem"), q("SHOW timezone"))
add("discard all in a block", q("BEGIN"), q("DISCARD ALL"), q("SELECT 1"), q("ROLLBACK"))
add("discard all in an open block", q("BEGIN"), q("SELECT 1"), q("DISCARD ALL"), q("SELECT 1"), q("ROLLBACK"))
add("discard others", q("DISCARD PLANS"), q("DISCARD SEQUENCES"), q("DISCARD TEMP"), q("DISCARD TEMPORARY"))
add("deallocate", q("DEALLOCATE nothing"), q("DEALLOCATE ALL"), q("DEALLOCATE PREPARE nothing"))
add("deallocate in a block", q("BEGIN"), q("DEALLOCATE nothing"), q("SELECT 1"), q("ROLLBACK"))

# --- session state ------------------------------------------------------------------------------------------

add("cursor", q("BEGIN"), q(f"DECLARE c CURSOR FOR {ALL}"), q("FETCH 1 FROM c"), q("FETCH ALL c"), q("MOVE BACKWARD 1 FROM c"), q("CLOSE c"), q("FETCH c"), q("COMMIT"))
add("cursor outside", q(f"DECLARE c CURSOR FOR {ALL}"), q("FETCH 1 FROM c"))
add("cursor with hold", q(f"DECLARE c CURSOR WITH HOLD FOR {ALL}"), q("FETCH 1 FROM c"), q("FETCH 1 FROM c"), q("CLOSE c"))
add("scroll cursor", q("BEGIN"), q("DECLARE c SCROLL CURSOR FOR SELECT i FROM generate_series(1, 9) AS i"), q("FETCH LAST FROM c"), q("FETCH ABSOLUTE 3 FROM c"), q("FETCH BACKWARD 2 FROM c"), q("ROLLBACK"), q("FETCH 1 FROM c"))
add("temporary table", q("CREATE TEMP TABLE scratch (a int, b text)"), q("INSERT INTO scratch VALUES (1, 'x'), (2, NULL)"), q("SELECT * FROM scratch ORDER BY a"), q("DROP TABLE scratch"), q("SELECT * FROM scratch"))
add("temporary table of a block", q("BEGIN"), q("CREATE TEMP TABLE scratch (a int) ON COMMIT DROP"), q("INSERT INTO scratch VALUES (1)"), q("SELECT * FROM scratch"), q("COMMIT"), q("SELECT * FROM scratch"))
add("advisory locks", q("SELECT pg_advisory_lock(4711)"), q("SELECT pg_advisory_unlock(4711)"), q("SELECT pg_advisory_unlock(4711)"))
add("advisory lock of a block", q("BEGIN"), q("SELECT pg_try_advisory_xact_lock(4712)"), q("COMMIT"))
add("listen and notify", q("LISTEN here"), q("NOTIFY here, 'a word'"), q("SELECT 1"), q("UNLISTEN here"), q("NOTIFY here"), q("SELECT 2"))
add("listen in a block", q("BEGIN"), q("LISTEN here"), q("NOTIFY here, 'x'"), q("COMMIT"), q("UNLISTEN *"))
add("prepare and execute", q("PREPARE p AS SELECT $1::int + 1"), q("EXECUTE p(41)"), q("EXECUTE p(1, 2)"), q("PREPARE p AS SELECT 1"), q("DEALLOCATE p"), q("EXECUTE p(1)"))
add("role", q("SET ROLE app"), q("SELECT current_user"), q("RESET ROLE"), q("SET ROLE nobody_here"))

# --- copy, simple -------------------------------------------------------------------------------------------

COPY = "COPY coupons (tenant_id, code, percent) FROM STDIN"
add("copy out", q(f"COPY ({ALL}) TO STDOUT"))
add("copy out csv", q(f"COPY ({ALL}) TO STDOUT (FORMAT csv, HEADER)"))
add("copy out binary", q("COPY (SELECT 1::int4, 'x'::text) TO STDOUT (FORMAT binary)"))
add("copy out that fails midway", q("COPY (SELECT 10 / (4 - i) FROM generate_series(1, 7) AS i) TO STDOUT"))
add("copy out of nothing", q(f"COPY ({MINE} AND false) TO STDOUT"))
add("copy out in a block", q("BEGIN"), q(f"COPY ({ALL}) TO STDOUT"), q("COMMIT"))
add("copy out among others", q(f"SELECT 1; COPY ({ALL}) TO STDOUT; SELECT 2"))

# --- extended: one statement --------------------------------------------------------------------------------

add("extended", ext(ALL) + SYNC)
add("extended with values", ext(BY_KEY.decode(), b"hooli") + SYNC)
add("sync only", SYNC, SYNC + SYNC)
add("flush only", FLUSH + SYNC)
add("parse and sync", parse(b"", b"SELECT 1") + SYNC)
add("describe statement", parse(b"s", BY_KEY) + describe(b"S", b"s") + SYNC)
add("describe statement without rows", parse(b"s", ADD) + describe(b"S", b"s") + SYNC)
add("describe portal", parse(b"", BY_KEY) + bind(b"", b"", values=[b"hooli"]) + describe(b"P", b"") + SYNC)
add("describe portal in binary", ext(BY_KEY.decode(), b"hooli", results=(1,)) + SYNC)
add("describe portal in mixed formats", ext(BY_KEY.decode(), b"hooli", results=(0, 1)) + SYNC)
add("too many result formats", ext(BY_KEY.decode(), b"hooli", results=(0, 1, 0)) + SYNC)
add("unknown result format", ext(BY_KEY.decode(), b"hooli", results=(7,)) + SYNC)
add("insert", ext(ADD.decode(), b"hooli", b"t1", b"7") + SYNC, q(ALL))
add("null values", ext(ADD.decode(), b"hooli", b"t1", None) + SYNC, ext("SELECT $1::int, $2::text", None, b"") + SYNC)
add("empty statement", ext("") + SYNC, ext(" ; ") + SYNC, ext("-- x") + SYNC)
add("describe empty statement", parse(b"s", b"") + describe(b"S", b"s") + SYNC)
add("several statements are refused", ext("SELECT 1; SELECT 2") + SYNC)
add("binary values", parse(b"", b"SELECT $1::int4 + $2::int8, $3", [0, 0, 17]) + bind(b"", b"", [1], [b"\0\0\0\7", b"\0" * 7 + b"\5", b"\0\xff"], [1]) + describe(b"P", b"") + execute() + SYNC)
add("mixed value formats", parse(b"", b"SELECT $1::int4, $2::int4") + bind(b"", b"", [0, 1], [b"12", b"\0\0\0\7"]) + execute() + SYNC)
add("typed values", parse(b"s", b"SELECT $1, $2", [23, 1184]) + describe(b"S", b"s") + bind(b"", b"s", values=[b"1", b"2024-01-01 00:00+00"]) + execute() + SYNC)
add("eight megabytes as value", ext("SELECT length($1::text), $1", b"w" * (8 << 20)) + SYNC)
add("a thousand values", ext("SELECT " + ",".join(f"${i + 1}::int" for i in range(1000)), *[b"1"] * 1000) + SYNC)

# --- extended: errors ---------------------------------------------------------------------------------------

add("parse error", ext("SELEC 1") + SYNC, q("SELECT 1"))
add("parse error of a table", ext("SELECT * FROM nothing_here") + SYNC)
add("parse error of a named statement", parse(b"s", b"SELECT nothing_here") + SYNC, bind(b"", b"s") + SYNC)
add("undetermined type", parse(b"s", b"SELECT $1") + describe(b"S", b"s") + SYNC, ext("SELECT coalesce($1, $2)", None, None) + SYNC)
add("bind error", ext(ADD.decode(), b"hooli", b"t1", b"many") + SYNC, q(ALL))
add("too few values", ext(BY_KEY.decode()) + SYNC)
add("too many values", ext(BY_KEY.decode(), b"hooli", b"x") + SYNC)
add("binary value of the wrong size", parse(b"", b"SELECT $1::int4") + bind(b"", b"", [1], [b"\0\7"]) + execute() + SYNC)
add("execute error", ext("SELECT 1 / $1::int", b"0") + SYNC, ext("SELECT 1 / $1::int", b"1") + SYNC)
add("execute error after rows", ext("SELECT 10 / (4 - i) FROM generate_series(1, 7) AS i") + SYNC)
add("everything up to sync is skipped", ext("SELECT 1/0") + ext(insert("t1")) + parse(b"s", b"SELECT 1") + SYNC, bind(b"", b"s") + SYNC, q(ALL))
add("skipped messages may be wrong", ext("SELECT 1/0") + bind(b"", b"nothing") + describe(b"S", b"nothing") + execute(b"nothing") + FLUSH + SYNC, q("SELECT 1"))
add("unknown statement", bind(b"", b"nothing") + execute() + SYNC, describe(b"S", b"nothing") + SYNC)
add("unknown unnamed statement", bind(b"", b"") + SYNC, describe(b"S", b"") + SYNC)
add("unknown portal", execute(b"nothing") + SYNC, describe(b"P", b"nothing") + SYNC, execute() + SYNC, describe(b"P", b"") + SYNC)
add("unknown portal in a block", q("BEGIN"), execute(b"nothing") + SYNC, q("SELECT 1"), q("ROLLBACK"))
add("unknown portal in an open block", q("BEGIN"), q("SELECT 1"), execute(b"nothing") + SYNC, q("SELECT 1"), q("ROLLBACK"))
add("statement twice", parse(b"s", b"SELECT 1") + SYNC, parse(b"s", b"SELECT 2") + SYNC, bind(b"", b"s") + execute() + SYNC)
add("statement twice in one batch", parse(b"s", b"SELECT 1") + parse(b"s", b"SELECT 2") + SYNC, bind(b"", b"s") + execute() + SYNC)
add("unnamed statement again and again", parse(b"", b"SELECT 1") + parse(b"", b"SELECT 2") + bind(b"", b"") + execute() + SYNC, bind(b"", b"") + execute() + SYNC)
add("failed parse forgets the unnamed statement", parse(b"", b"SELECT 1") + SYNC, parse(b"", b"SELEC") + SYNC, bind(b"", b"") + execute() + SYNC)
add("simple query forgets the unnamed statement", parse(b"", b"SELECT 1") + SYNC, q("SELECT 2"), bind(b"", b"") + execute() + SYNC)
add("portal twice", q("BEGIN"), parse(b"s", SERIES) + bind(b"p", b"s") + bind(b"p", b"s") + SYNC, q("ROLLBACK"))
add("unnamed portal again and again", parse(b"s", SERIES) + bind(b"", b"s") + bind(b"", b"s") + execute(b"", 2) + SYNC)
add("error in an open block", q("BEGIN"), ext(insert("t1")) + SYNC, ext("SELECT 1/0") + SYNC, ext("SELECT 1") + SYNC, parse(b"s", b"SELECT 1") + SYNC, q("ROLLBACK"), q(ALL))
add("parse error in an open block", q("BEGIN"), ext(insert("t1")) + SYNC, ext("SELEC") + SYNC, ext("SELECT 1") + SYNC, ext("ROLLBACK") + SYNC, q(ALL))
add("parse error in an unopened block", q("BEGIN"), ext("SELEC") + SYNC, ext("SELECT 1") + SYNC, ext("COMMIT") + SYNC, q("SELECT 1"))
add("unknown statement in an unopened block", ext("BEGIN") + SYNC, bind(b"", b"nothing") + SYNC, ext("SELECT 1") + SYNC, ext("ROLLBACK") + SYNC)
add("only transaction ends in a failed block", parse(b"c", b"COMMIT") + parse(b"x", b"SELECT 1") + SYNC, q("BEGIN"), q("SELECT 1/0"), bind(b"", b"x") + SYNC, bind(b"", b"c") + execute() + SYNC, q("SELECT 1"))
add("close in a failed block", parse(b"x", b"SELECT 1") + SYNC, q("BEGIN"), q("SELECT 1/0"), close(b"S", b"x") + SYNC, q("ROLLBACK"))

# --- extended: names and portals ----------------------------------------------------------------------------

add("named statement", parse(b"s", BY_KEY) + SYNC, bind(b"", b"s", values=[b"hooli"]) + execute() + SYNC, bind(b"", b"s", values=[b"none"]) + execute() + SYNC)
add("close statement", parse(b"s", b"SELECT 1") + SYNC, close(b"S", b"s") + SYNC, bind(b"", b"s") + SYNC, parse(b"s", b"SELECT 2") + bind(b"", b"s") + execute() + SYNC)
add("close unknown", close(b"S", b"nothing") + close(b"P", b"nothing") + close(b"S", b"") + close(b"P", b"") + SYNC)
add("close and reuse in a batch", parse(b"s", b"SELECT 1") + close(b"S", b"s") + parse(b"s", b"SELECT 2") + bind(b"", b"s") + execute() + SYNC)
add("close unnamed portal", parse(b"", SERIES) + bind(b"", b"") + close(b"P", b"") + execute() + SYNC)
add("statement outlives an error", parse(b"s", b"SELECT 1") + SYNC, q("SELECT 1/0"), bind(b"", b"s") + execute() + SYNC)
add("statement of a batch that failed", parse(b"s", b"SELECT 1") + ext("SELECT 1/0") + SYNC, bind(b"", b"s") + execute() + SYNC)
add("statement prepared in a block that is rolled back", q("BEGIN"), parse(b"s", b"SELECT 1") + SYNC, q("ROLLBACK"), bind(b"", b"s") + execute() + SYNC)
add("deallocate of a protocol statement", parse(b"s", b"SELECT 1") + SYNC, q("DEALLOCATE s"), bind(b"", b"s") + SYNC)
add("deallocate all", parse(b"s", b"SELECT 1") + SYNC, ext("DEALLOCATE ALL") + SYNC, bind(b"", b"s") + SYNC)
add("discard all forgets statements", parse(b"s", b"SELECT 1") + SYNC, q("DISCARD ALL"), bind(b"", b"s") + SYNC)
add("several portals of a statement", parse(b"s", b"SELECT $1::int") + bind(b"a", b"s", values=[b"1"]) + bind(b"b", b"s", values=[b"2"]) + execute(b"b") + execute(b"a") + SYNC, execute(b"a") + SYNC)
add("row limit", parse(b"", SERIES) + bind(b"", b"") + execute(b"", 3) + execute(b"", 3) + execute(b"", 3) + execute(b"", 3) + SYNC)
add("row limit ends with sync", parse(b"", SERIES) + bind(b"", b"") + execute(b"", 3) + SYNC, execute(b"", 3) + SYNC)
add("row limit in a block", q("BEGIN"), parse(b"", SERIES) + bind(b"p", b"") + execute(b"p", 3) + SYNC, execute(b"p", 3) + SYNC, execute(b"p", 0) + SYNC, execute(b"p", 0) + SYNC, close(b"P", b"p") + SYNC, execute(b"p") + SYNC, q("ROLLBACK"))
add("row limit of exactly all", parse(b"", SERIES) + bind(b"", b"") + execute(b"", 7) + execute(b"", 7) + SYNC)
add("row limit of a table", q("BEGIN"), parse(b"", BY_KEY) + bind(b"p", b"", values=[b"hooli"], result_formats=[1]) + describe(b"P", b"p") + execute(b"p", 1) + SYNC, execute(b"p", 1) + SYNC, execute(b"p", 1) + SYNC, q("COMMIT"), execute(b"p") + SYNC)
add("row limit of changes", ext(insert("t1") + " RETURNING code") + SYNC, parse(b"", b"UPDATE coupons SET percent = percent WHERE tenant_id = 'hooli' RETURNING code") + bind(b"", b"") + execute(b"", 1) + execute(b"", 9) + SYNC)
add("changes twice from one portal", parse(b"", insert("t1").encode()) + bind(b"", b"") + execute() + execute() + SYNC, q(ALL))
add("portal of a simple cursor", q("BEGIN"), q(f"DECLARE c CURSOR FOR {ALL}"), describe(b"P", b"c") + execute(b"c", 1) + execute(b"c") + SYNC, q("COMMIT"))
add("portals end with the transaction", q("BEGIN"), parse(b"s", SERIES) + bind(b"p", b"s") + execute(b"p", 1) + SYNC, q("COMMIT"), bind(b"p", b"s") + execute(b"p", 1) + SYNC)
add("fetch from a portal", q("BEGIN"), parse(b"s", SERIES) + bind(b"p", b"s") + SYNC, q("FETCH 2 FROM p"), execute(b"p", 2) + SYNC, q("CLOSE p"), execute(b"p") + SYNC, q("ROLLBACK"))
add("portal rolled back to a savepoint", q("BEGIN"), q("SAVEPOINT a"), parse(b"s", SERIES) + bind(b"p", b"s") + execute(b"p", 1) + SYNC, q("ROLLBACK TO a"), execute(b"p", 1) + SYNC, q("ROLLBACK"))

# --- extended: pipelines ------------------------------------------------------------------------------------

add("pipeline", (ext(ALL) + SYNC) * 3)
add("pipeline with an error", ext("SELECT 1") + SYNC + ext("SELECT 1/0") + ext("SELECT 2") + SYNC + ext("SELECT 3") + SYNC)
add("pipeline of changes", b"".join(ext(insert(f"t{i}")) + SYNC for i in range(5)) + ext(ALL) + SYNC)
add("one transaction up to sync", ext(insert("t1")) + ext(insert("t2")) + ext("SELECT 1/0") + ext(insert("t3")) + SYNC, q(ALL))
add("simple and extended mixed", q("SELECT 1") + ext("SELECT 2") + SYNC + q("SELECT 3"))
add("asyncpg", Step(parse(b"s", BY_KEY) + describe(b"S", b"s") + FLUSH, "1tT"), bind(b"", b"s", [1], [b"hooli"], [1]) + execute() + SYNC, close(b"S", b"s") + SYNC)
add("asyncpg with a statement that is wrong", Step(parse(b"s", b"SELEC") + describe(b"S", b"s") + FLUSH, "1tT"), SYNC, q("SELECT 1"))
add("asyncpg in a block", q("BEGIN"), Step(parse(b"s", ADD) + describe(b"S", b"s") + FLUSH, "1tn"), bind(b"", b"s", [0], [b"hooli", b"t1", b"1"]) + execute() + SYNC, Step(parse(b"r", BY_KEY) + describe(b"S", b"r") + FLUSH, "1tT"), bind(b"p", b"r", [0], [b"hooli"]) + execute(b"p", 1) + SYNC, execute(b"p", 5) + SYNC, q("ROLLBACK"))
add("flush after each message", Step(parse(b"", BY_KEY) + FLUSH, "1"), Step(bind(b"", b"", values=[b"hooli"]) + FLUSH, "2"), Step(describe(b"P", b"") + FLUSH, "T"), Step(execute(b"", 1) + FLUSH, "Ds"), Step(execute() + FLUSH, "DC"), SYNC)
add("flush and an error", Step(ext("SELECT 1/0") + FLUSH, "E"), ext("SELECT 1") + SYNC, q("SELECT 2"))
add("flush of what we answer ourselves", Step(ext("BEGIN") + FLUSH, "12nC"), SYNC, Step(ext("COMMIT") + FLUSH, "12nC"), SYNC)
add("two flushed statements", Step(ext("SELECT 1") + FLUSH, "C"), Step(ext("SELECT 2") + FLUSH, "C"), SYNC)
add("jdbc", ext("BEGIN") + ext(insert("t1")) + SYNC, ext(ALL) + SYNC, ext("COMMIT") + SYNC, q(ALL))
add("jdbc rolled back", ext("BEGIN") + ext(insert("t1")) + SYNC, ext("ROLLBACK") + SYNC, q(ALL))
add("block in one batch", ext("BEGIN") + ext(insert("t1")) + ext("COMMIT") + ext(ALL) + SYNC)
add("block in one batch rolled back", ext("BEGIN") + ext(insert("t1")) + ext("ROLLBACK") + ext(ALL) + SYNC)
add("empty block in one batch", ext("BEGIN") + ext("COMMIT") + SYNC, ext("BEGIN") + SYNC, ext("COMMIT") + SYNC)
add("block in one batch that fails", ext("BEGIN") + ext(insert("t1")) + ext("SELECT 1/0") + ext("COMMIT") + SYNC, q("SELECT 1"), q("ROLLBACK"), q(ALL))
add("begin after work in a batch", ext(insert("t1")) + ext("BEGIN") + ext(insert("t2")) + SYNC, q("ROLLBACK"), q(ALL))
add("commit in the middle of a batch", ext(insert("t1")) + ext("COMMIT") + ext(insert("t2")) + ext("SELECT 1/0") + SYNC, q(ALL))
add("savepoints extended", ext("BEGIN") + ext("SAVEPOINT a") + ext(insert("t1")) + ext("ROLLBACK TO a") + ext("RELEASE a") + ext("COMMIT") + SYNC, q(ALL))
add("savepoint outside extended", ext("SAVEPOINT a") + SYNC, ext("ROLLBACK TO a") + SYNC)
add("transaction statements that warn, extended", ext("COMMIT") + SYNC, ext("BEGIN") + ext("BEGIN") + SYNC, ext("ROLLBACK") + ext("ROLLBACK") + SYNC)
add("chain extended", ext("BEGIN") + SYNC, ext("COMMIT AND CHAIN") + SYNC, ext("ROLLBACK") + SYNC, ext("COMMIT AND CHAIN") + SYNC)
add("named begin and commit", parse(b"b", b"BEGIN") + parse(b"c", b"COMMIT") + SYNC, (bind(b"", b"b") + execute() + SYNC + bind(b"", b"c") + execute() + SYNC) * 2)
add("settings extended", ext("SET work_mem = '7MB'") + SYNC, ext("SHOW work_mem") + SYNC, ext("BEGIN") + ext("SET LOCAL work_mem = '8MB'") + ext("SHOW work_mem") + SYNC, ext("COMMIT") + ext("SHOW work_mem") + SYNC)
add("settings extended in a block", ext("BEGIN") + SYNC, ext("SET work_mem = '8MB'") + SYNC, ext("SHOW work_mem") + SYNC, ext("ROLLBACK") + SYNC, ext("SHOW work_mem") + SYNC)
add("wrong settings extended", ext("SET work_mem = 'lots'") + SYNC, ext("BEGIN") + SYNC, ext("SET work_mem = 'lots'") + SYNC, ext("SELECT 1") + SYNC, ext("ROLLBACK") + SYNC)
add("setting in a batch that fails", ext("SET work_mem = '7MB'") + ext("SELECT 1/0") + SYNC, q("SHOW work_mem"))
add("describe transaction statements", parse(b"b", b"BEGIN") + describe(b"S", b"b") + bind(b"", b"b") + describe(b"P", b"") + SYNC, parse(b"s", b"SHOW work_mem") + describe(b"S", b"s") + SYNC, parse(b"d", b"DISCARD ALL") + describe(b"S", b"d") + SYNC)
add("isolation extended", ext("BEGIN ISOLATION LEVEL SERIALIZABLE") + ext("SHOW transaction_isolation") + SYNC, ext("COMMIT") + SYNC)
add("discard all extended", ext("SET work_mem = '7MB'") + SYNC, ext("DISCARD ALL") + SYNC, ext("SHOW work_mem") + SYNC)
add("long batch", b"".join(ext(f"SELECT {i}, repeat('x', 1000)") for i in range(400)) + SYNC)
add("long batch that fails early", ext("SELECT 1/0") + b"".join(ext(f"SELECT {i}, '{'x' * 1000}'") for i in range(400)) + SYNC)

# --- copy: from the client ----------------------------------------------------------------------------------

LINES = b"hooli\tt1\t1\nhooli\tt2\t2\n"
add_copy("copy in", q(COPY) + copy_data(LINES) + COPY_DONE, q(ALL))
add_copy("copy in, waiting for the server", Step(q(COPY), "G"), Step(copy_data(LINES) + COPY_DONE, "Z"), q(ALL))
add_copy("copy in in pieces", Step(q(COPY), "G"), Step(b"".join(copy_data(LINES[i : i + 1]) for i in range(len(LINES))) + COPY_DONE, "Z"), q(ALL))
add_copy("copy in of nothing", q(COPY) + COPY_DONE, q(ALL))
add_copy("copy in given up", Step(q(COPY), "G"), Step(copy_data(LINES) + copy_fail("changed my mind"), "Z"), q(ALL))
add_copy("copy in with an error", Step(q(COPY), "G"), Step(copy_data(b"hooli\tt1\tmany\n") + COPY_DONE, "Z"), q(ALL))
add_copy("copy in with an error and more data", Step(q(COPY), "G"), Step(copy_data(b"hooli\tWELCOME1\t1\n") * 3 + COPY_DONE, "Z"), q(ALL))
add_copy("copy in whose error comes before the data", q("COPY coupons (nothing_here) FROM STDIN") + copy_data(LINES) + COPY_DONE, q("SELECT 1"))
add_copy("copy in of a block", q("BEGIN"), q(COPY) + copy_data(LINES) + COPY_DONE, q(ALL), q("ROLLBACK"), q(ALL))
add_copy("copy in that fails a block", q("BEGIN"), Step(q(COPY), "G"), Step(copy_fail("no"), "Z"), q("SELECT 1"), q("COMMIT"), q(ALL))
add_copy("copy in as first of several", Step(q(f"{COPY}; {ALL}; SELECT 1"), "G"), Step(copy_data(LINES) + COPY_DONE, "Z"))
add_copy("copy in twice in one query", Step(q(f"{COPY}; {COPY}"), "G"), Step(copy_data(LINES) + COPY_DONE, "G"), Step(copy_data(b"hooli\tt3\t3\n") + COPY_DONE, "Z"), q(ALL))
add_copy("copy in with flush and sync between", Step(q(COPY), "G"), Step(copy_data(LINES) + FLUSH + SYNC + COPY_DONE, "Z"), q(ALL))
add_copy("copy in and a query in the middle", Step(q(COPY), "G"), Step(copy_data(LINES) + q("SELECT 1"), "EZZ"))
add("copy data outside of a copy", copy_data(b"x") + COPY_DONE + copy_fail("no") + q("SELECT 1"))
add_copy("copy in extended", Step(ext(COPY) + FLUSH, "G"), Step(copy_data(LINES) + COPY_DONE + SYNC, "Z"), q(ALL))
add_copy("copy in extended in one go", Step(ext(COPY) + copy_data(LINES) + COPY_DONE + SYNC, "Z"), q(ALL))
add_copy("copy in extended with sync first", Step(ext(COPY) + SYNC, "G"), Step(copy_data(LINES) + COPY_DONE + SYNC, "Z"), q(ALL))
add_copy("copy in extended given up", Step(ext(COPY) + FLUSH, "G"), Step(copy_fail("no") + SYNC, "Z"), q(ALL))
add_copy("copy in extended with an error", Step(ext(COPY) + FLUSH, "G"), Step(copy_data(b"bad\n") + COPY_DONE + SYNC, "Z"), q(ALL))
add("copy out extended", ext(f"COPY ({ALL}) TO STDOUT") + SYNC)
add("copy out extended among others", ext(ALL) + ext(f"COPY ({ALL}) TO STDOUT") + ext("SELECT 2") + SYNC)

# --- the proxy's own settings, which a server takes as placeholders ----------------------------------------

add("tenant of the session", q("SET shardproxy.tenant = 'hooli'"), q("SHOW shardproxy.tenant"), q("SELECT count(*) FROM coupons WHERE code LIKE 'WELCOME%'" " AND tenant_id = 'hooli'"), ext("SHOW shardproxy.tenant") + SYNC)
add("tenant of a transaction", q("BEGIN"), q("SET LOCAL shardproxy.tenant = 'hooli'"), q("SHOW shardproxy.tenant"), q(ALL), q("COMMIT"))

add("simple query inside a failed pipeline", Step(ext("SELECT 1/0") + FLUSH, "E"), Step(q("SELECT 1") + SYNC, "Z"))
add("begin behind set", q("SET work_mem = '7MB'; BEGIN; SET work_mem = '8MB'; ROLLBACK; SHOW work_mem"), q("SHOW work_mem"))
add("block with settings in one query", q("BEGIN; SET LOCAL work_mem = '8MB'; SHOW work_mem; COMMIT"), q("SHOW work_mem"))
add("block with settings in one query, undone", q("BEGIN; SET work_mem = '8MB'; ROLLBACK; SELECT 1"), q("SHOW work_mem"))
add("committed settings survive a later error", q("BEGIN; SET work_mem = '8MB'; COMMIT; SELECT 1/0"), q("SHOW work_mem"))
add("settings committed in a pipeline", ext("BEGIN") + ext("SET work_mem = '8MB'") + ext("COMMIT") + ext("SELECT 1/0") + SYNC, q("SHOW work_mem"))
add("settings undone in a pipeline", ext("BEGIN") + ext("SELECT 1") + ext("SET work_mem = '8MB'") + ext("ROLLBACK") + ext("SELECT 1") + SYNC, q("SHOW work_mem"))
add("search_path of an undone block", q("BEGIN; SET search_path = pg_catalog; ROLLBACK"), q(ALL))
add("failed block ended in one query", q("BEGIN"), q("SELEC"), q("ROLLBACK; SELECT 1"), q("BEGIN"), q("SELEC"), q("COMMIT; SHOW work_mem"))
add("transaction characteristics behind a savepoint", q("BEGIN"), q("SAVEPOINT a"), q("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"), q("ROLLBACK"))
add("role is not reset by reset all", q("SET ROLE app"), q("RESET ALL"), q("SHOW role"), q("RESET ROLE"), q("SHOW role"))
add("reset application_name", q("SET application_name = 'other'"), q("RESET application_name"), q("SHOW application_name"), ext("SET application_name = 'x'") + SYNC, ext("RESET ALL") + ext("SHOW application_name") + SYNC)
add("reset application_name in a block", q("BEGIN"), q("SET application_name = 'other'"), q("RESET application_name"), q("SHOW application_name"), q("SET LOCAL application_name TO DEFAULT"), q("ROLLBACK"), q("SHOW application_name"))
add("reset of drivers", q("SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;"), q("SHOW application_name"))
add("commit bound before work", ext("BEGIN") + parse(b"c", b"COMMIT") + SYNC, bind(b"c", b"c") + SYNC, q(insert("t1")), execute(b"c") + SYNC, q("ROLLBACK"), q(ALL))

# --- wrong messages -----------------------------------------------------------------------------------------

add("unknown message type", Step(message(b"y", b"what"), "Z"))
add("unknown message type in a block", q("BEGIN"), Step(message(b"\x01", b""), "Z"))
add("query without its NUL", Step(message(b"Q", b"SELECT 1"), "Z"), q("SELECT 1"))
add("parse that is too short", message(b"P", b"s\0SELECT 1\0") + SYNC)
add("bind that is too short", message(b"B", b"\0") + SYNC)
add("describe of nothing known", message(b"D", b"Xs\0") + SYNC)
add("close of nothing known", message(b"C", b"Xs\0") + SYNC)
add("sync with a body", Step(message(b"S", b"x"), "Z"), q("SELECT 1"))
add("length too small", Step(b"Q\0\0\0\3", "Z"))
add("length negative", Step(b"Q\xff\xff\xff\xff", "Z"))

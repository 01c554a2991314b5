"""Blocks whose first statements any shard can answer, and which belong to the tenant's shard only then."""

from shardproxy.wire.client_messages import SYNC, bind, close, describe, execute, parse
from tests.session.scripts.vocabulary import ALL, BY_KEY, add, ext, insert, q

BY = BY_KEY.decode()
TYPE = "SELECT typname::text FROM pg_catalog.pg_type WHERE oid = 25"

add("a block moves", q("BEGIN"), q("SELECT 1"), q(ALL), q("SELECT 2"), q(insert("t1")), q("COMMIT"), q(ALL))
add("a block moves and is undone", q("BEGIN"), q("SELECT 1"), q(insert("t1")), q("ROLLBACK"), q(ALL))
add("a block moves and fails", q("BEGIN"), q("SELECT 1"), q(insert("WELCOME1")), q(ALL), q("COMMIT"), q(ALL))
add(
    "a block moves to an error, whose place is told",
    q("BEGIN"),
    q("SAVEPOINT a"),
    q("SELECT 1"),
    q("SELECT nothing_here FROM coupons WHERE tenant_id = 'hooli'"),
    q("ROLLBACK TO a"),
    q("SET LOCAL work_mem = '5MB'"),
    q("SELECT nothing_here FROM coupons WHERE tenant_id = 'hooli'"),
    q("ROLLBACK"),
)
add(
    "a block moves once it has read what is the same everywhere",
    q("BEGIN"),
    q("SELECT currency FROM currencies WHERE currency = 'EUR'"),
    q(TYPE),
    q("SELECT table_name FROM information_schema.tables WHERE table_name = 'coupons'"),
    q("SHOW standard_conforming_strings"),
    q("SELECT current_user, current_setting('work_mem'), upper('a')"),
    q(";"),
    q(insert("t1")),
    q("COMMIT"),
    q(ALL),
)
add(
    "a block moves with its savepoints",
    q("BEGIN"),
    q("SAVEPOINT a"),
    q("SELECT 1"),
    q('SAVEPOINT "B""b"'),
    q("SAVEPOINT c"),
    q("RELEASE c"),
    q("SELECT 2"),
    q(insert("t1")),
    q('ROLLBACK TO "B""b"'),
    q(insert("t2")),
    q("ROLLBACK TO c"),
    q("ROLLBACK TO a"),
    q(insert("t3")),
    q("COMMIT"),
    q(ALL),
)
add(
    "a block moves with its settings",
    q("BEGIN"),
    q("SELECT 1"),
    q("SET LOCAL work_mem = '5MB'"),
    q("SET timezone = 'Asia/Tokyo'"),
    q("SELECT set_config('datestyle', 'German', true), set_config('extra_float_digits', '0', false)"),
    q("SAVEPOINT a"),
    q("SET LOCAL work_mem = '6MB'"),
    q("ROLLBACK TO a"),
    q("SET statement_timeout = '7s'"),
    q("RESET statement_timeout"),
    q(ALL),
    *[q(f"SHOW {name}") for name in ("work_mem", "timezone", "datestyle", "extra_float_digits")],
    q("COMMIT"),
    *[q(f"SHOW {name}") for name in ("work_mem", "timezone", "datestyle", "extra_float_digits")],
)
add(
    "a block moves and its settings are undone",
    q("SET work_mem = '3MB'"),
    q("BEGIN"),
    q("SELECT 1"),
    q("SET work_mem = '5MB'"),
    q("SET application_name = 'inside'"),
    q(ALL),
    q("ROLLBACK"),
    q("SHOW work_mem"),
    q("SHOW application_name"),
)
add(
    "a block moves and what the session began with comes back",
    q("BEGIN"),
    q("SELECT 1"),
    q("SET application_name = 'inside'"),
    q("RESET application_name"),
    q("SET LOCAL application_name = 'local'"),
    q("RESET ALL"),
    q(ALL),
    q("SHOW application_name"),
    q("COMMIT"),
    q("SHOW application_name"),
)
add(
    "a block that may only read moves", q("BEGIN READ ONLY"), q("SELECT 1"), q(ALL), q(insert("t1")), q("END")
)
add(
    "a block moves and goes on in a chain",
    q("BEGIN READ ONLY"),
    q("SELECT 1"),
    q(ALL),
    q("COMMIT AND CHAIN"),
    q("SHOW transaction_read_only"),
    q(ALL),
    q("COMMIT"),
)
add(
    "a block above read committed moves while it has no snapshot",
    q("BEGIN ISOLATION LEVEL REPEATABLE READ"),
    q("SHOW transaction_isolation"),
    q(ALL),
    q("SHOW transaction_isolation"),
    q("COMMIT"),
)
add("a block of one query moves", q("BEGIN; SELECT 1"), q(ALL), q(insert("t1")), q("COMMIT"), q(ALL))
add(
    "a block of one query moves with its settings",
    q("BEGIN READ ONLY; SET LOCAL work_mem = '5MB'; SAVEPOINT a; SELECT 1"),
    q(ALL),
    q("SHOW work_mem"),
    q("ROLLBACK TO a"),
    q("SHOW transaction_read_only"),
    q("COMMIT"),
    q("SHOW work_mem"),
)
add(
    "a block moves with several statements of a query",
    q("BEGIN"),
    q("SELECT 1; SELECT 2"),
    q(f"SELECT 3; {ALL}; SAVEPOINT a; {insert('t1')}"),
    q("ROLLBACK TO a"),
    q("COMMIT"),
    q(ALL),
)
add("a query before the block of its text", q("SELECT 1; BEGIN; SELECT 2"), q("SELECT 3"), q("COMMIT"))
add(
    "a block moves by the extended protocol",
    ext("BEGIN") + SYNC,
    ext("SELECT 1") + SYNC,
    ext("SAVEPOINT a") + SYNC,
    ext("SET LOCAL work_mem = '5MB'") + SYNC,
    ext(BY, b"hooli") + SYNC,
    ext("SHOW work_mem") + SYNC,
    ext("ROLLBACK TO a") + SYNC,
    ext(insert("t1")) + SYNC,
    ext("COMMIT") + SYNC,
    q(ALL),
)
add(
    "a block moves to the tenant that it names",
    q("BEGIN"),
    q("SELECT 1"),
    q("SET LOCAL shardproxy.tenant = 'hooli'"),
    q(ALL),
    ext("SELECT code FROM coupons WHERE tenant_id = 'hooli' AND percent > $1", b"5") + SYNC,
    q("COMMIT"),
    q("SELECT 1"),
)
add(
    "a block moves at a statement that was prepared in it",
    q("BEGIN"),
    parse(b"ping", b"SELECT $1::int") + describe(b"S", b"ping") + SYNC,
    bind(b"", b"ping", values=[b"1"]) + execute() + SYNC,
    parse(b"s", BY_KEY) + describe(b"S", b"s") + SYNC,
    bind(b"", b"s", values=[b"hooli"]) + describe(b"P", b"") + execute() + SYNC,
    bind(b"", b"ping", values=[b"2"]) + execute() + close(b"S", b"ping") + SYNC,
    q("COMMIT"),
)
add(
    "a block begins in the group of its first query and moves",
    ext("BEGIN") + ext("SELECT 1") + SYNC,
    ext(insert("t1")) + SYNC,
    ext("COMMIT") + SYNC,
    q(ALL),
)
add(
    "a block moves after rows that were not fetched",
    q("BEGIN"),
    parse(b"", b"SELECT i FROM generate_series(1, 3) AS i") + bind(b"", b"") + execute(b"", 1) + SYNC,
    ext(BY, b"hooli") + SYNC,
    execute() + SYNC,
    q("COMMIT"),
)
add(
    "a block moves after a portal was closed",
    q("BEGIN"),
    parse(b"", b"SELECT 7") + bind(b"p", b"") + execute(b"p") + close(b"P", b"p") + SYNC,
    ext(BY, b"hooli") + SYNC,
    q("COMMIT"),
)
add(
    "a statement that is wrong in a block that may move",
    q("BEGIN"),
    q("SELECT 1"),
    parse(b"s", b"SELECT nothing_here FROM coupons WHERE tenant_id = $1") + SYNC,
    q("SELECT 1"),
    q("ROLLBACK"),
    q(ALL),
)

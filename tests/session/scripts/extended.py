"""The extended protocol: one statement, its values, its errors."""

from shardproxy.wire.client_messages import FLUSH, SYNC, bind, close, describe, execute, parse
from tests.session.scripts.vocabulary import ADD, ALL, BY_KEY, SERIES, add, ext, insert, q

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
add(
    "null values",
    ext(ADD.decode(), b"hooli", b"t1", None) + SYNC,
    ext("SELECT $1::int, $2::text", None, b"") + SYNC,
)
add("empty statement", ext("") + SYNC, ext(" ; ") + SYNC, ext("-- x") + SYNC)
add("describe empty statement", parse(b"s", b"") + describe(b"S", b"s") + SYNC)
add("several statements are refused", ext("SELECT 1; SELECT 2") + SYNC)
add(
    "binary values",
    parse(b"", b"SELECT $1::int4 + $2::int8, $3", [0, 0, 17])
    + bind(b"", b"", [1], [b"\0\0\0\7", b"\0" * 7 + b"\5", b"\0\xff"], [1])
    + describe(b"P", b"")
    + execute()
    + SYNC,
)
add(
    "mixed value formats",
    parse(b"", b"SELECT $1::int4, $2::int4")
    + bind(b"", b"", [0, 1], [b"12", b"\0\0\0\7"])
    + execute()
    + SYNC,
)
add(
    "typed values",
    parse(b"s", b"SELECT $1, $2", [23, 1184])
    + describe(b"S", b"s")
    + bind(b"", b"s", values=[b"1", b"2024-01-01 00:00+00"])
    + execute()
    + SYNC,
)
add("eight megabytes as value", ext("SELECT length($1::text), $1", b"w" * (8 << 20)) + SYNC)
add(
    "a thousand values",
    ext("SELECT " + ",".join(f"${i + 1}::int" for i in range(1000)), *[b"1"] * 1000) + SYNC,
)
add("parse error", ext("SELEC 1") + SYNC, q("SELECT 1"))
add("parse error of a table", ext("SELECT * FROM nothing_here") + SYNC)
add("parse error of a named statement", parse(b"s", b"SELECT nothing_here") + SYNC, bind(b"", b"s") + SYNC)
add(
    "undetermined type",
    parse(b"s", b"SELECT $1") + describe(b"S", b"s") + SYNC,
    ext("SELECT coalesce($1, $2)", None, None) + SYNC,
)
add("bind error", ext(ADD.decode(), b"hooli", b"t1", b"many") + SYNC, q(ALL))
add("too few values", ext(BY_KEY.decode()) + SYNC)
add("too many values", ext(BY_KEY.decode(), b"hooli", b"x") + SYNC)
add(
    "binary value of the wrong size",
    parse(b"", b"SELECT $1::int4") + bind(b"", b"", [1], [b"\0\7"]) + execute() + SYNC,
)
add("execute error", ext("SELECT 1 / $1::int", b"0") + SYNC, ext("SELECT 1 / $1::int", b"1") + SYNC)
add("execute error after rows", ext("SELECT 10 / (4 - i) FROM generate_series(1, 7) AS i") + SYNC)
add(
    "everything up to sync is skipped",
    ext("SELECT 1/0") + ext(insert("t1")) + parse(b"s", b"SELECT 1") + SYNC,
    bind(b"", b"s") + SYNC,
    q(ALL),
)
add(
    "skipped messages may be wrong",
    ext("SELECT 1/0")
    + bind(b"", b"nothing")
    + describe(b"S", b"nothing")
    + execute(b"nothing")
    + FLUSH
    + SYNC,
    q("SELECT 1"),
)
add("unknown statement", bind(b"", b"nothing") + execute() + SYNC, describe(b"S", b"nothing") + SYNC)
add("unknown unnamed statement", bind(b"", b"") + SYNC, describe(b"S", b"") + SYNC)
add(
    "unknown portal",
    execute(b"nothing") + SYNC,
    describe(b"P", b"nothing") + SYNC,
    execute() + SYNC,
    describe(b"P", b"") + SYNC,
)
add("unknown portal in a block", q("BEGIN"), execute(b"nothing") + SYNC, q("SELECT 1"), q("ROLLBACK"))
add(
    "unknown portal in an open block",
    q("BEGIN"),
    q("SELECT 1"),
    execute(b"nothing") + SYNC,
    q("SELECT 1"),
    q("ROLLBACK"),
)
add(
    "statement twice",
    parse(b"s", b"SELECT 1") + SYNC,
    parse(b"s", b"SELECT 2") + SYNC,
    bind(b"", b"s") + execute() + SYNC,
)
add(
    "statement twice in one batch",
    parse(b"s", b"SELECT 1") + parse(b"s", b"SELECT 2") + SYNC,
    bind(b"", b"s") + execute() + SYNC,
)
add(
    "unnamed statement again and again",
    parse(b"", b"SELECT 1") + parse(b"", b"SELECT 2") + bind(b"", b"") + execute() + SYNC,
    bind(b"", b"") + execute() + SYNC,
)
add(
    "failed parse forgets the unnamed statement",
    parse(b"", b"SELECT 1") + SYNC,
    parse(b"", b"SELEC") + SYNC,
    bind(b"", b"") + execute() + SYNC,
)
add(
    "simple query forgets the unnamed statement",
    parse(b"", b"SELECT 1") + SYNC,
    q("SELECT 2"),
    bind(b"", b"") + execute() + SYNC,
)
add(
    "portal twice",
    q("BEGIN"),
    parse(b"s", SERIES) + bind(b"p", b"s") + bind(b"p", b"s") + SYNC,
    q("ROLLBACK"),
)
add(
    "unnamed portal again and again",
    parse(b"s", SERIES) + bind(b"", b"s") + bind(b"", b"s") + execute(b"", 2) + SYNC,
)
add(
    "error in an open block",
    q("BEGIN"),
    ext(insert("t1")) + SYNC,
    ext("SELECT 1/0") + SYNC,
    ext("SELECT 1") + SYNC,
    parse(b"s", b"SELECT 1") + SYNC,
    q("ROLLBACK"),
    q(ALL),
)
add(
    "parse error in an open block",
    q("BEGIN"),
    ext(insert("t1")) + SYNC,
    ext("SELEC") + SYNC,
    ext("SELECT 1") + SYNC,
    ext("ROLLBACK") + SYNC,
    q(ALL),
)
add(
    "parse error in an unopened block",
    q("BEGIN"),
    ext("SELEC") + SYNC,
    ext("SELECT 1") + SYNC,
    ext("COMMIT") + SYNC,
    q("SELECT 1"),
)
add(
    "unknown statement in an unopened block",
    ext("BEGIN") + SYNC,
    bind(b"", b"nothing") + SYNC,
    ext("SELECT 1") + SYNC,
    ext("ROLLBACK") + SYNC,
)
add(
    "only transaction ends in a failed block",
    parse(b"c", b"COMMIT") + parse(b"x", b"SELECT 1") + SYNC,
    q("BEGIN"),
    q("SELECT 1/0"),
    bind(b"", b"x") + SYNC,
    bind(b"", b"c") + execute() + SYNC,
    q("SELECT 1"),
)
add(
    "close in a failed block",
    parse(b"x", b"SELECT 1") + SYNC,
    q("BEGIN"),
    q("SELECT 1/0"),
    close(b"S", b"x") + SYNC,
    q("ROLLBACK"),
)

"""Several statements before a Sync, several Syncs, Flush."""

from shardproxy.wire.client_messages import FLUSH, SYNC, bind, close, describe, execute, parse
from tests.session.scripts.vocabulary import ADD, ALL, BY_KEY, add, ext, insert, q
from tests.support.wire_client import Step

add("pipeline", (ext(ALL) + SYNC) * 3)
add(
    "pipeline with an error",
    ext("SELECT 1") + SYNC + ext("SELECT 1/0") + ext("SELECT 2") + SYNC + ext("SELECT 3") + SYNC,
)
add("pipeline of changes", b"".join(ext(insert(f"t{i}")) + SYNC for i in range(5)) + ext(ALL) + SYNC)
add(
    "one transaction up to sync",
    ext(insert("t1")) + ext(insert("t2")) + ext("SELECT 1/0") + ext(insert("t3")) + SYNC,
    q(ALL),
)
add("simple and extended mixed", q("SELECT 1") + ext("SELECT 2") + SYNC + q("SELECT 3"))
add(
    "asyncpg",
    Step(parse(b"s", BY_KEY) + describe(b"S", b"s") + FLUSH, "1tT"),
    bind(b"", b"s", [1], [b"hooli"], [1]) + execute() + SYNC,
    close(b"S", b"s") + SYNC,
)
add(
    "asyncpg with a statement that is wrong",
    Step(parse(b"s", b"SELEC") + describe(b"S", b"s") + FLUSH, "1tT"),
    SYNC,
    q("SELECT 1"),
)
add(
    "asyncpg in a block",
    q("BEGIN"),
    Step(parse(b"s", ADD) + describe(b"S", b"s") + FLUSH, "1tn"),
    bind(b"", b"s", [0], [b"hooli", b"t1", b"1"]) + execute() + SYNC,
    Step(parse(b"r", BY_KEY) + describe(b"S", b"r") + FLUSH, "1tT"),
    bind(b"p", b"r", [0], [b"hooli"]) + execute(b"p", 1) + SYNC,
    execute(b"p", 5) + SYNC,
    q("ROLLBACK"),
)
add(
    "flush after each message",
    Step(parse(b"", BY_KEY) + FLUSH, "1"),
    Step(bind(b"", b"", values=[b"hooli"]) + FLUSH, "2"),
    Step(describe(b"P", b"") + FLUSH, "T"),
    Step(execute(b"", 1) + FLUSH, "Ds"),
    Step(execute() + FLUSH, "DC"),
    SYNC,
)
add("flush and an error", Step(ext("SELECT 1/0") + FLUSH, "E"), ext("SELECT 1") + SYNC, q("SELECT 2"))
add(
    "flush of what we answer ourselves",
    Step(ext("BEGIN") + FLUSH, "12nC"),
    SYNC,
    Step(ext("COMMIT") + FLUSH, "12nC"),
    SYNC,
)
add("two flushed statements", Step(ext("SELECT 1") + FLUSH, "C"), Step(ext("SELECT 2") + FLUSH, "C"), SYNC)
add("jdbc", ext("BEGIN") + ext(insert("t1")) + SYNC, ext(ALL) + SYNC, ext("COMMIT") + SYNC, q(ALL))
add("jdbc rolled back", ext("BEGIN") + ext(insert("t1")) + SYNC, ext("ROLLBACK") + SYNC, q(ALL))
add("block in one batch", ext("BEGIN") + ext(insert("t1")) + ext("COMMIT") + ext(ALL) + SYNC)
add("block in one batch rolled back", ext("BEGIN") + ext(insert("t1")) + ext("ROLLBACK") + ext(ALL) + SYNC)
add(
    "empty block in one batch", ext("BEGIN") + ext("COMMIT") + SYNC, ext("BEGIN") + SYNC, ext("COMMIT") + SYNC
)
add(
    "block in one batch that fails",
    ext("BEGIN") + ext(insert("t1")) + ext("SELECT 1/0") + ext("COMMIT") + SYNC,
    q("SELECT 1"),
    q("ROLLBACK"),
    q(ALL),
)
add(
    "begin after work in a batch",
    ext(insert("t1")) + ext("BEGIN") + ext(insert("t2")) + SYNC,
    q("ROLLBACK"),
    q(ALL),
)
add(
    "commit in the middle of a batch",
    ext(insert("t1")) + ext("COMMIT") + ext(insert("t2")) + ext("SELECT 1/0") + SYNC,
    q(ALL),
)
add(
    "savepoints extended",
    ext("BEGIN")
    + ext("SAVEPOINT a")
    + ext(insert("t1"))
    + ext("ROLLBACK TO a")
    + ext("RELEASE a")
    + ext("COMMIT")
    + SYNC,
    q(ALL),
)
add("savepoint outside extended", ext("SAVEPOINT a") + SYNC, ext("ROLLBACK TO a") + SYNC)
add(
    "transaction statements that warn, extended",
    ext("COMMIT") + SYNC,
    ext("BEGIN") + ext("BEGIN") + SYNC,
    ext("ROLLBACK") + ext("ROLLBACK") + SYNC,
)
add(
    "chain extended",
    ext("BEGIN") + SYNC,
    ext("COMMIT AND CHAIN") + SYNC,
    ext("ROLLBACK") + SYNC,
    ext("COMMIT AND CHAIN") + SYNC,
)
add(
    "named begin and commit",
    parse(b"b", b"BEGIN") + parse(b"c", b"COMMIT") + SYNC,
    (bind(b"", b"b") + execute() + SYNC + bind(b"", b"c") + execute() + SYNC) * 2,
)
add(
    "settings extended",
    ext("SET work_mem = '7MB'") + SYNC,
    ext("SHOW work_mem") + SYNC,
    ext("BEGIN") + ext("SET LOCAL work_mem = '8MB'") + ext("SHOW work_mem") + SYNC,
    ext("COMMIT") + ext("SHOW work_mem") + SYNC,
)
add(
    "settings extended in a block",
    ext("BEGIN") + SYNC,
    ext("SET work_mem = '8MB'") + SYNC,
    ext("SHOW work_mem") + SYNC,
    ext("ROLLBACK") + SYNC,
    ext("SHOW work_mem") + SYNC,
)
add(
    "wrong settings extended",
    ext("SET work_mem = 'lots'") + SYNC,
    ext("BEGIN") + SYNC,
    ext("SET work_mem = 'lots'") + SYNC,
    ext("SELECT 1") + SYNC,
    ext("ROLLBACK") + SYNC,
)
add(
    "setting in a batch that fails",
    ext("SET work_mem = '7MB'") + ext("SELECT 1/0") + SYNC,
    q("SHOW work_mem"),
)
add(
    "describe transaction statements",
    parse(b"b", b"BEGIN") + describe(b"S", b"b") + bind(b"", b"b") + describe(b"P", b"") + SYNC,
    parse(b"s", b"SHOW work_mem") + describe(b"S", b"s") + SYNC,
    parse(b"d", b"DISCARD ALL") + describe(b"S", b"d") + SYNC,
)
add(
    "isolation extended",
    ext("BEGIN ISOLATION LEVEL SERIALIZABLE") + ext("SHOW transaction_isolation") + SYNC,
    ext("COMMIT") + SYNC,
)
add(
    "discard all extended",
    ext("SET work_mem = '7MB'") + SYNC,
    ext("DISCARD ALL") + SYNC,
    ext("SHOW work_mem") + SYNC,
)
add("long batch", b"".join(ext(f"SELECT {i}, repeat('x', 1000)") for i in range(400)) + SYNC)
add(
    "long batch that fails early",
    ext("SELECT 1/0") + b"".join(ext(f"SELECT {i}, '{'x' * 1000}'") for i in range(400)) + SYNC,
)

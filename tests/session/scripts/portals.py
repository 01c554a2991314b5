"""Names of statements, portals and row limits."""

from shardproxy.wire.client_messages import SYNC, bind, close, describe, execute, parse
from tests.session.scripts.vocabulary import ALL, BY_KEY, SERIES, add, ext, insert, q

add(
    "named statement",
    parse(b"s", BY_KEY) + SYNC,
    bind(b"", b"s", values=[b"hooli"]) + execute() + SYNC,
    bind(b"", b"s", values=[b"none"]) + execute() + SYNC,
)
add(
    "close statement",
    parse(b"s", b"SELECT 1") + SYNC,
    close(b"S", b"s") + SYNC,
    bind(b"", b"s") + SYNC,
    parse(b"s", b"SELECT 2") + bind(b"", b"s") + execute() + SYNC,
)
add(
    "close unknown",
    close(b"S", b"nothing") + close(b"P", b"nothing") + close(b"S", b"") + close(b"P", b"") + SYNC,
)
add(
    "close and reuse in a batch",
    parse(b"s", b"SELECT 1")
    + close(b"S", b"s")
    + parse(b"s", b"SELECT 2")
    + bind(b"", b"s")
    + execute()
    + SYNC,
)
add("close unnamed portal", parse(b"", SERIES) + bind(b"", b"") + close(b"P", b"") + execute() + SYNC)
add(
    "statement outlives an error",
    parse(b"s", b"SELECT 1") + SYNC,
    q("SELECT 1/0"),
    bind(b"", b"s") + execute() + SYNC,
)
add(
    "statement of a batch that failed",
    parse(b"s", b"SELECT 1") + ext("SELECT 1/0") + SYNC,
    bind(b"", b"s") + execute() + SYNC,
)
add(
    "statement prepared in a block that is rolled back",
    q("BEGIN"),
    parse(b"s", b"SELECT 1") + SYNC,
    q("ROLLBACK"),
    bind(b"", b"s") + execute() + SYNC,
)
add(
    "deallocate of a protocol statement",
    parse(b"s", b"SELECT 1") + SYNC,
    q("DEALLOCATE s"),
    bind(b"", b"s") + SYNC,
)
add("deallocate all", parse(b"s", b"SELECT 1") + SYNC, ext("DEALLOCATE ALL") + SYNC, bind(b"", b"s") + SYNC)
add(
    "discard all forgets statements",
    parse(b"s", b"SELECT 1") + SYNC,
    q("DISCARD ALL"),
    bind(b"", b"s") + SYNC,
)
add(
    "several portals of a statement",
    parse(b"s", b"SELECT $1::int")
    + bind(b"a", b"s", values=[b"1"])
    + bind(b"b", b"s", values=[b"2"])
    + execute(b"b")
    + execute(b"a")
    + SYNC,
    execute(b"a") + SYNC,
)
add(
    "row limit",
    parse(b"", SERIES)
    + bind(b"", b"")
    + execute(b"", 3)
    + execute(b"", 3)
    + execute(b"", 3)
    + execute(b"", 3)
    + SYNC,
)
add(
    "row limit ends with sync",
    parse(b"", SERIES) + bind(b"", b"") + execute(b"", 3) + SYNC,
    execute(b"", 3) + SYNC,
)
add(
    "row limit in a block",
    q("BEGIN"),
    parse(b"", SERIES) + bind(b"p", b"") + execute(b"p", 3) + SYNC,
    execute(b"p", 3) + SYNC,
    execute(b"p", 0) + SYNC,
    execute(b"p", 0) + SYNC,
    close(b"P", b"p") + SYNC,
    execute(b"p") + SYNC,
    q("ROLLBACK"),
)
add(
    "row limit of exactly all", parse(b"", SERIES) + bind(b"", b"") + execute(b"", 7) + execute(b"", 7) + SYNC
)
add(
    "row limit of a table",
    q("BEGIN"),
    parse(b"", BY_KEY)
    + bind(b"p", b"", values=[b"hooli"], result_formats=[1])
    + describe(b"P", b"p")
    + execute(b"p", 1)
    + SYNC,
    execute(b"p", 1) + SYNC,
    execute(b"p", 1) + SYNC,
    q("COMMIT"),
    execute(b"p") + SYNC,
)
add(
    "row limit of changes",
    parse(b"", f"{insert('t1')}, ('hooli', 't2', 2), ('hooli', 't3', 3) RETURNING code".encode())
    + bind(b"", b"")
    + execute(b"", 1)
    + execute(b"", 9)
    + SYNC,
)
add(
    "changes twice from one portal",
    parse(b"", insert("t1").encode()) + bind(b"", b"") + execute() + execute() + SYNC,
    q(ALL),
)
add(
    "portal of a simple cursor",
    q("BEGIN"),
    q(f"DECLARE c CURSOR FOR {ALL}"),
    describe(b"P", b"c") + execute(b"c", 1) + execute(b"c") + SYNC,
    q("COMMIT"),
)
add(
    "portals end with the transaction",
    q("BEGIN"),
    parse(b"s", SERIES) + bind(b"p", b"s") + execute(b"p", 1) + SYNC,
    q("COMMIT"),
    bind(b"p", b"s") + execute(b"p", 1) + SYNC,
)
add(
    "fetch from a portal",
    q("BEGIN"),
    parse(b"s", SERIES) + bind(b"p", b"s") + SYNC,
    q("FETCH 2 FROM p"),
    execute(b"p", 2) + SYNC,
    q("CLOSE p"),
    execute(b"p") + SYNC,
    q("ROLLBACK"),
)
add(
    "portal rolled back to a savepoint",
    q("BEGIN"),
    q("SAVEPOINT a"),
    parse(b"s", SERIES) + bind(b"p", b"s") + execute(b"p", 1) + SYNC,
    q("ROLLBACK TO a"),
    execute(b"p", 1) + SYNC,
    q("ROLLBACK"),
)

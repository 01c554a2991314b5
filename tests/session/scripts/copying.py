"""COPY, with the data before, behind and between other messages."""

from shardproxy.wire.client_messages import COPY_DONE, FLUSH, SYNC, copy_data, copy_fail
from tests.session.scripts.vocabulary import ALL, add, add_copy, ext, q
from tests.support.wire_client import Step

COPY = "COPY coupons (tenant_id, code, percent) FROM STDIN"
LINES = b"hooli\tt1\t1\nhooli\tt2\t2\n"
add_copy("copy in", q(COPY) + copy_data(LINES) + COPY_DONE, q(ALL))
add_copy(
    "copy in, waiting for the server", Step(q(COPY), "G"), Step(copy_data(LINES) + COPY_DONE, "Z"), q(ALL)
)
add_copy(
    "copy in in pieces",
    Step(q(COPY), "G"),
    Step(b"".join(copy_data(LINES[i : i + 1]) for i in range(len(LINES))) + COPY_DONE, "Z"),
    q(ALL),
)
add_copy("copy in of nothing", q(COPY) + COPY_DONE, q(ALL))
add_copy(
    "copy in given up", Step(q(COPY), "G"), Step(copy_data(LINES) + copy_fail("changed my mind"), "Z"), q(ALL)
)
add_copy(
    "copy in with an error",
    Step(q(COPY), "G"),
    Step(copy_data(b"hooli\tt1\tmany\n") + COPY_DONE, "Z"),
    q(ALL),
)
add_copy(
    "copy in with an error and more data",
    Step(q(COPY), "G"),
    Step(copy_data(b"hooli\tWELCOME1\t1\n") * 3 + COPY_DONE, "Z"),
    q(ALL),
)
add_copy(
    "copy in whose error comes before the data",
    q("COPY coupons (nothing_here) FROM STDIN") + copy_data(LINES) + COPY_DONE,
    q("SELECT 1"),
)
add_copy(
    "copy in of a block", q("BEGIN"), q(COPY) + copy_data(LINES) + COPY_DONE, q(ALL), q("ROLLBACK"), q(ALL)
)
add_copy(
    "copy in that fails a block",
    q("BEGIN"),
    Step(q(COPY), "G"),
    Step(copy_fail("no"), "Z"),
    q("SELECT 1"),
    q("COMMIT"),
    q(ALL),
)
add_copy(
    "copy in as first of several",
    Step(q(f"{COPY}; {ALL}; SELECT 1"), "G"),
    Step(copy_data(LINES) + COPY_DONE, "Z"),
)
add_copy(
    "copy in twice in one query",
    Step(q(f"{COPY}; {COPY}"), "G"),
    Step(copy_data(LINES) + COPY_DONE, "G"),
    Step(copy_data(b"hooli\tt3\t3\n") + COPY_DONE, "Z"),
    q(ALL),
)
add_copy(
    "copy in with flush and sync between",
    Step(q(COPY), "G"),
    Step(copy_data(LINES) + FLUSH + SYNC + COPY_DONE, "Z"),
    q(ALL),
)
add_copy(
    "copy in and a query in the middle", Step(q(COPY), "G"), Step(copy_data(LINES) + q("SELECT 1"), "EZZ")
)
add("copy data outside of a copy", copy_data(b"x") + COPY_DONE + copy_fail("no") + q("SELECT 1"))
add_copy(
    "copy in extended", Step(ext(COPY) + FLUSH, "G"), Step(copy_data(LINES) + COPY_DONE + SYNC, "Z"), q(ALL)
)
add_copy("copy in extended in one go", Step(ext(COPY) + copy_data(LINES) + COPY_DONE + SYNC, "Z"), q(ALL))
add_copy(
    "copy in extended with sync first",
    Step(ext(COPY) + SYNC, "G"),
    Step(copy_data(LINES) + COPY_DONE + SYNC, "Z"),
    q(ALL),
)
add_copy("copy in extended given up", Step(ext(COPY) + FLUSH, "G"), Step(copy_fail("no") + SYNC, "Z"), q(ALL))
add_copy(
    "copy in extended with an error",
    Step(ext(COPY) + FLUSH, "G"),
    Step(copy_data(b"bad\n") + COPY_DONE + SYNC, "Z"),
    q(ALL),
)
add("copy out extended", ext(f"COPY ({ALL}) TO STDOUT") + SYNC)
add("copy out extended among others", ext(ALL) + ext(f"COPY ({ALL}) TO STDOUT") + ext("SELECT 2") + SYNC)

"""What is more than a line of text each: several messages at once, settings by both protocols."""

from shardproxy.wire.client_messages import FLUSH, SYNC, bind, execute, parse
from tests.session.scripts.vocabulary import ALL, add, ext, insert, q
from tests.support.wire_client import Step

add("semicolons only", q(" ; ;; "))
add("comments only", q("-- nothing\n /* to /* see */ */"))
add("eight megabytes in a query", q("SELECT length('" + "y" * (8 << 20) + "')"))
add("two queries at once", q("SELECT 1") + q("SELECT 2"))
add("a failing query among several at once", q("SELECT 1") + q("SELECT 1/0") + q("SELECT 3"))
add("hidden characters", q("SELECT '\x01\x7f\u200b', E'\\x41\\u00e9', U&'\\0041'"))
add(
    "tenant of the session",
    q("SET shardproxy.tenant = 'hooli'"),
    q("SHOW shardproxy.tenant"),
    q("SELECT count(*) FROM coupons WHERE code LIKE 'WELCOME%' AND tenant_id = 'hooli'"),
    ext("SHOW shardproxy.tenant") + SYNC,
)
add(
    "simple query inside a failed pipeline",
    Step(ext("SELECT 1/0") + FLUSH, "E"),
    Step(q("SELECT 1") + SYNC, "Z"),
)
add(
    "settings committed in a pipeline",
    ext("BEGIN") + ext("SET work_mem = '8MB'") + ext("COMMIT") + ext("SELECT 1/0") + SYNC,
    q("SHOW work_mem"),
)
add(
    "settings undone in a pipeline",
    ext("BEGIN") + ext("SELECT 1") + ext("SET work_mem = '8MB'") + ext("ROLLBACK") + ext("SELECT 1") + SYNC,
    q("SHOW work_mem"),
)
add(
    "reset application_name",
    q("SET application_name = 'other'"),
    q("RESET application_name"),
    q("SHOW application_name"),
    ext("SET application_name = 'x'") + SYNC,
    ext("RESET ALL") + ext("SHOW application_name") + SYNC,
)
add(
    "commit bound before work",
    ext("BEGIN") + parse(b"c", b"COMMIT") + SYNC,
    bind(b"c", b"c") + SYNC,
    q(insert("t1")),
    execute(b"c") + SYNC,
    q("ROLLBACK"),
    q(ALL),
)

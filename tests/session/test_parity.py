"""A client sees through the proxy what it would see on a private connection: the same messages in order.

Each script runs on a direct connection to the tenant's shard and through the proxy; the transcripts must be
equal, but for what :func:`essence` leaves out and :data:`DIFFERENT` lists.
"""

from collections.abc import Iterator, Mapping

import psycopg
import pytest

from shardproxy.wire.client_messages import FLUSH, message
from tests.session.scripts import SCRIPTS, TENANT, q
from tests.session.scripts.vocabulary import ext
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy
from tests.support.wire_client import CLOSED, Step, WireClient

SHARD = "shard-b"
RESTORE = """
DELETE FROM coupons WHERE tenant_id = 'hooli' AND code NOT LIKE 'WELCOME%';
UPDATE coupons SET percent = 5 * right(code, 1)::int WHERE tenant_id = 'hooli';
"""


def refused(construct: str, hint: str) -> str:
    """The refusal of a statement."""
    return f"ErrorResponse V='ERROR' C='0A000' M='shardproxy does not run this statement: {construct}' H='{hint}'"


def violation(message: str) -> str:
    """The end of a client that breaks the protocol."""
    return f"ErrorResponse V='FATAL' C='08P01' M='{message}'"


DO_IS_REFUSED = refused("DO, whose code may touch sharded tables", "Run it on the shard it is meant for.")
TWO_SHARDS = refused(
    "a transaction on several shards: it is open on shard-a, and the statement belongs to shard-b",
    "Begin it with a statement that names the tenant, or SET shardproxy.tenant before it: any shard "
    "would have done so far, but what ran on shard-a cannot be taken back unnoticed.",
)
BOUND_BEFORE = refused("COMMIT that was bound before the transaction reached a shard", "Bind it again.")
ABORTED = (
    "ErrorResponse V='ERROR' C='25P02' "
    "M='current transaction is aborted, commands ignored until end of transaction block'"
)
CODE = ["RowDescription code:25/-1/-1@2", "DataRow 'WELCOME1'", "CommandComplete SELECT 1"]
IDLE, BLOCK, FAILED = (f"ReadyForQuery {status}" for status in "ITE")
BEGUN = ["CommandComplete BEGIN", BLOCK]
ROLLED_BACK = ["CommandComplete ROLLBACK", IDLE]
THE_END = ["RowDescription ?column?:25/-1/-1", "DataRow 'the end'", "CommandComplete SELECT 1", IDLE]

DIFFERENT: Mapping[str, list[str]] = {
    # refused: no single PostgreSQL could do it for all shards
    "code is refused": [
        *[DO_IS_REFUSED, IDLE, *BEGUN, *CODE, BLOCK, DO_IS_REFUSED, FAILED, ABORTED, FAILED],
        *[*ROLLED_BACK, *THE_END],
    ],
    "vacuum is refused": [
        refused("VACUUM, which must run on every shard", "Run it on each shard."),
        IDLE,
        *THE_END,
    ],
    "a transaction on two shards is refused": [
        *[*BEGUN, "RowDescription never:16/1/-1", "DataRow 'f'", "CommandComplete SELECT 1", BLOCK],
        *[TWO_SHARDS, FAILED, ABORTED, FAILED, *ROLLED_BACK, *THE_END],
    ],
    "commit bound before work": [
        *["ParseComplete", "BindComplete", "NoData", "CommandComplete BEGIN", "ParseComplete", BLOCK],
        *["BindComplete", BLOCK, "CommandComplete INSERT 0 1", BLOCK, BOUND_BEFORE, FAILED, *ROLLED_BACK],
        *["RowDescription code:25/-1/-1@2, percent:21/2/-1@3"],
        *["DataRow 'WELCOME1' '5'", "DataRow 'WELCOME2' '10'", "CommandComplete SELECT 2", IDLE, *THE_END],
    ],
    # a client that breaks the protocol is not served any further
    "copy in and a query in the middle": [
        *["CommandComplete SET", IDLE, "CopyInResponse 000003000000000000"],
        *[violation("unexpected message type 0x51 during COPY from stdin"), CLOSED],
    ],
    "query without its NUL": [violation("invalid string in message"), CLOSED],
    "parse that is too short": [violation("insufficient data left in message"), CLOSED],
    "bind that is too short": [violation("invalid string in message"), CLOSED],
    "describe of nothing known": [violation("invalid DESCRIBE message subtype 88"), CLOSED],
    "close of nothing known": [violation("invalid CLOSE message subtype 88"), CLOSED],
    "sync with a body": [violation("invalid message format"), CLOSED],
    "length too small": [violation("invalid message length"), CLOSED],
    "length negative": [violation("invalid message length"), CLOSED],
}
"""What the proxy answers where it is not, and is not meant to be, what PostgreSQL answers."""


@pytest.fixture(scope="module")
def restore(cluster: Cluster) -> Iterator[psycopg.Connection]:
    """A superuser's connection to the tenant's shard, to put rows back."""
    with psycopg.connect(cluster.dsn(SHARD, superuser=True), autocommit=True) as connection:
        yield connection


def play(dsn: str, name: str, minor: int, restore: psycopg.Connection) -> list[str]:
    """The answers to a script, and to a last query that finds what was left over."""
    try:
        with WireClient(dsn, minor=minor, settings={"application_name": "parity"}) as client:
            known = dict(client.parameters)
            return essence(client.play(*SCRIPTS[name], q("SELECT 'the end'")), known)
    finally:
        restore.execute(RESTORE)


def essence(lines: list[str], known: dict[str, str]) -> list[str]:
    """The transcript without what a client cannot rely on: when within an answer a new value of a setting is
    reported, that it is reported though it was ``known``, and ParseComplete before the error of its own
    statement, which may come with Bind.
    """
    found: list[str] = []
    reported: dict[str, str] = {}
    for line in lines:
        if line.startswith("ParameterStatus "):
            name, _, value = line.removeprefix("ParameterStatus ").partition("=")
            reported[name] = value
            continue
        if line.startswith("ReadyForQuery "):
            found += [f"{name} is {value}" for name, value in reported.items() if known.get(name) != value]
            known |= reported
            reported = {}
        elif line.startswith("ErrorResponse ") and found and found[-1] == "ParseComplete":
            found.pop()
        found.append(line)
    return found


@pytest.mark.parametrize("minor", [0, 2])
@pytest.mark.parametrize("name", SCRIPTS)
def test_answers_are_those_of_a_private_connection(
    cluster: Cluster, proxy: Proxy, restore: psycopg.Connection, name: str, minor: int
) -> None:
    assert cluster.map.shards[cluster.owner(TENANT)] == SHARD
    direct = play(cluster.dsn(SHARD), name, minor, restore)
    assert "SILENCE" not in direct, direct
    expected = DIFFERENT.get(name, direct)
    assert name not in DIFFERENT or expected != direct
    assert play(proxy.dsn(), name, minor, restore) == expected


def test_function_calls_of_the_protocol_are_refused(proxy: Proxy) -> None:
    call = message(b"F", b"\0\0\0\x21" + b"\0\0" * 3)
    with WireClient(proxy.dsn()) as client:
        assert client.play(Step(call, "Z"), q("SELECT 'the end'")) == [
            refused("the function call message of the protocol", "Call the function in a SELECT."),
            IDLE,
            *THE_END,
        ]


CODES = "SELECT code FROM coupons WHERE tenant_id = 'hooli'"
PIPELINE = Step(ext(f"{CODES} ORDER BY 1") + FLUSH, "C")


@pytest.mark.parametrize("block", [(), (q("BEGIN"),)], ids=["alone", "in a block"])
@pytest.mark.parametrize(
    "query",
    [
        "SELECT 2",
        CODES,
        "SELECT nope",
        "COMMIT",
        "SET work_mem = '5MB'",
        "SHOW work_mem",
        "SELECT 1; SELECT 2",
    ],
)
def test_a_query_may_end_a_pipeline_whose_replies_have_come(
    cluster: Cluster, proxy: Proxy, block: tuple[bytes, ...], query: str
) -> None:
    seen = []
    for dsn in (proxy.dsn(), cluster.dsn(cluster.owner("hooli"))):
        with WireClient(dsn) as client:
            seen.append(client.play(*block, PIPELINE, q(query), q("ROLLBACK"), q("SELECT 'the end'")))
    assert seen[0] == seen[1]


def test_a_refused_query_fails_the_pipeline_that_it_ends(proxy: Proxy, restore: psycopg.Connection) -> None:
    insert = Step(ext("INSERT INTO coupons VALUES ('hooli', 'undone', 1)") + FLUSH, "C")
    count = "SELECT count(*) FROM coupons WHERE tenant_id = 'hooli' AND code = 'undone'"
    with WireClient(proxy.dsn()) as client:
        seen = client.play(insert, q("DELETE FROM orders"), q(count))
    assert seen[-6].startswith("ErrorResponse V='ERROR' C='0A000'")
    assert seen[-5:] == [
        IDLE,
        "RowDescription count:20/8/-1",
        "DataRow '0'",
        "CommandComplete SELECT 1",
        IDLE,
    ]


def test_a_query_before_the_replies_of_a_pipeline_ends_the_session(proxy: Proxy) -> None:
    with WireClient(proxy.dsn()) as client:
        seen = client.play(Step(ext("SELECT pg_sleep(0.1)") + FLUSH + q("SELECT 2"), "Z"))
        assert seen[-2:] == [violation("simple query inside a pipeline; Sync has to come first"), CLOSED]

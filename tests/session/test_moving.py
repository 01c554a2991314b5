"""What binds a block to the shard that any shard's answer came from, and what becomes of the one it leaves."""

from collections.abc import Iterator

import psycopg
import pytest

from shardproxy.wire.client_messages import FLUSH, SYNC, bind, close, execute, parse
from tests.session.scripts.vocabulary import ext, insert, q
from tests.session.test_parity import BLOCK, FAILED, IDLE, RESTORE, SHARD, TWO_SHARDS
from tests.support import rest
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy
from tests.support.relay import Relay
from tests.support.wire_client import Step, WireClient

MINE = "SELECT code FROM coupons WHERE tenant_id = 'hooli' ORDER BY code"
CODES = ["DataRow 'WELCOME1'", "DataRow 'WELCOME2'"]


@pytest.fixture(scope="module")
def narrow(cluster: Cluster) -> Iterator[Proxy]:
    """A proxy with one server connection to each shard."""
    with Proxy(cluster.config(pool={"size": 1})) as proxy:
        yield proxy


@pytest.mark.parametrize(
    "bound_by",
    [
        # the clock, by any name
        "SELECT now()",
        "SELECT current_date",
        "SELECT statement_timestamp()",
        "SELECT clock_timestamp()",
        "SELECT age(timestamp '2001-01-01')",
        "SELECT 'now'::timestamptz",
        "SELECT 'NOW'::text::timestamptz",
        "SELECT ('to' || 'day')::date",
        "SELECT date('to' || 'day')",
        "SELECT FROM pg_roles WHERE rolvaliduntil < ' Now '",
        "SELECT FROM pg_roles WHERE rolvaliduntil < '12:00tomorrow'",
        "SELECT FROM pg_roles WHERE rolvaliduntil < 'allballs yesterday'",
        "SELECT FROM pg_roles WHERE rolvaliduntil < E'n\\x6fw'",
        "SELECT FROM pg_roles WHERE rolvaliduntil < U&'n\\006fw'",
        "SELECT FROM pg_roles WHERE rolvaliduntil < 'no'\n\n 'w'",
        "SELECT * FROM json_to_record('{}') AS r(at timestamptz)",
        # this transaction and this server
        "SELECT pg_current_xact_id()",
        "SELECT txid_current_if_assigned()",
        "SELECT pg_current_snapshot()",
        "SELECT pg_backend_pid()",
        "SELECT random()",
        "SELECT xmin FROM currencies",
        "SELECT count(*) FROM pg_stat_activity",
        "SELECT count(*) FROM pg_locks",
        "SELECT count(*) FROM pg_cursors",
        "SELECT pg_stat_get_backend_pid(1)",
        # what is left behind
        "SELECT pg_advisory_xact_lock(7)",
        "DECLARE c CURSOR FOR SELECT 1",
        "EXPLAIN SELECT 1",
        "COPY (SELECT 1) TO STDOUT",
        "SET TRANSACTION READ ONLY",
        "BEGIN",
        "SET CONSTRAINTS ALL DEFERRED",
        "UPDATE coupons SET percent = 1 WHERE tenant_id = NULL",
        "SELECT set_config('work_mem', NULL, true)",
    ],
)
@pytest.mark.parametrize("by", [q, lambda sql: ext(sql) + SYNC], ids=["simple", "extended"])
def test_what_could_be_told_binds_a_block(proxy: Proxy, bound_by: str, by: object) -> None:
    with WireClient(proxy.dsn()) as client:
        seen = client.play(q("BEGIN"), q("SELECT 1"), by(bound_by), q(MINE), q("ROLLBACK"))  # type: ignore[operator]
    assert [line for line in seen if line.startswith("ErrorResponse")][-1:] == [TWO_SHARDS], seen
    assert seen[-3:] == [FAILED, "CommandComplete ROLLBACK", IDLE]


def test_a_value_that_is_read_off_the_clock_binds(proxy: Proxy) -> None:
    for value, last in ((b"now", TWO_SHARDS), (b"known", CODES[-1])):
        with WireClient(proxy.dsn()) as client:
            client.play(q("BEGIN"), ext("SELECT $1::text", value) + SYNC)
            assert last in client.play(q(MINE))


def test_an_error_binds_even_where_a_savepoint_heals_it(proxy: Proxy) -> None:
    with WireClient(proxy.dsn()) as client:
        client.play(q("BEGIN"), q("SAVEPOINT a"), q("SELECT 1/0"))
        assert client.play(q("ROLLBACK TO a"), q("SELECT 1"), q(MINE))[-2:] == [TWO_SHARDS, FAILED]


def test_more_savepoints_than_are_repeated_bind(proxy: Proxy) -> None:
    with WireClient(proxy.dsn()) as client:
        client.play(q("BEGIN"), q("SELECT 1"), *[q("SAVEPOINT a")] * 101)
        assert client.play(q(MINE))[-2:] == [TWO_SHARDS, FAILED]


def test_a_pipeline_stays_on_its_shard(proxy: Proxy) -> None:
    with WireClient(proxy.dsn()) as client:
        seen = client.play(q("BEGIN"), ext("SELECT 1") + ext(MINE) + SYNC)
    assert seen[-2:] == [TWO_SHARDS, FAILED]
    with WireClient(proxy.dsn()) as client:
        seen = client.play(q("BEGIN"), Step(ext("SELECT 1") + FLUSH, "C"), ext(MINE) + SYNC)
    assert seen[-2:] == [TWO_SHARDS, FAILED]


@pytest.mark.parametrize("name", [b"p", b""], ids=["a named one", "the unnamed one"])
def test_an_open_portal_binds_unless_the_next_takes_its_place(proxy: Proxy, name: bytes) -> None:
    rows = parse(b"", b"SELECT i FROM generate_series(1, 3) AS i") + bind(name, b"") + execute(name, 1) + SYNC
    other = parse(b"", MINE.encode()) + bind(b"q", b"") + execute(b"q") + SYNC
    with WireClient(proxy.dsn()) as client:
        seen = client.play(q("BEGIN"), rows, other)
        assert seen[-2:] == [TWO_SHARDS, FAILED]
    with WireClient(proxy.dsn()) as client:
        client.play(q("BEGIN"), rows, close(b"P", name) + SYNC)
        assert client.play(other)[-2:] == ["CommandComplete SELECT 2", BLOCK]


LEVELS = {
    "by BEGIN": (["BEGIN ISOLATION LEVEL REPEATABLE READ"], {}),
    "serializable": (["BEGIN ISOLATION LEVEL SERIALIZABLE"], {}),
    "by SET TRANSACTION": (["BEGIN", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"], {}),
    "by SET LOCAL": (["BEGIN", "SET LOCAL transaction_isolation = 'repeatable read'"], {}),
    "by the session": (["SET default_transaction_isolation = 'serializable'", "BEGIN"], {}),
    "by the start-up packet": (["BEGIN"], {"default_transaction_isolation": "repeatable read"}),
}


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("reads", ["SELECT 1", "SELECT * FROM currencies WHERE currency = 'EUR'"])
def test_a_snapshot_binds_above_read_committed(proxy: Proxy, name: str, reads: str) -> None:
    begin, settings = LEVELS[name]
    with WireClient(proxy.dsn(), settings=settings) as client:
        seen = client.play(*map(q, begin), q(reads), q(MINE), q("ROLLBACK"), q(MINE))
    assert TWO_SHARDS in seen
    assert seen[-4:-2] == CODES


def test_a_default_that_only_the_server_knows_binds_too(cluster: Cluster, proxy: Proxy) -> None:
    with psycopg.connect(cluster.dsn(0, superuser=True), autocommit=True) as owner:
        owner.execute("ALTER ROLE app SET default_transaction_isolation = 'repeatable read'")
        try:
            with Proxy(cluster.config()) as fresh, WireClient(fresh.dsn()) as client:
                assert client.play(q("BEGIN"), q("SELECT 1"), q(MINE))[-2:] == [TWO_SHARDS, FAILED]
        finally:
            owner.execute("ALTER ROLE app RESET default_transaction_isolation")


def test_the_shard_that_a_block_left_is_free_and_clean(cluster: Cluster, narrow: Proxy) -> None:
    with WireClient(narrow.dsn()) as client, WireClient(narrow.dsn()) as other:
        client.play(q("BEGIN"), q("SELECT 1"), q("SET work_mem = '5MB'"), q(insert("t1")))
        seen = other.play(q("SELECT 1"), q("SHOW work_mem"), q("SHOW transaction_isolation"))
        assert "DataRow '5MB'" not in seen
        assert [line for line in seen if line.startswith("Ready")] == [IDLE] * 3
        assert client.play(q("SHOW work_mem"), q("ROLLBACK"))[1] == "DataRow '5MB'"
    rest.at_rest(narrow, cluster)


def test_blocks_that_exchange_their_shards_do_not_wait_for_each_other(
    cluster: Cluster, narrow: Proxy
) -> None:
    """One has the only connection to each shard, and goes where the other was."""
    here = cluster.tenants_of(cluster.map.designated)[0]
    by_tenant = [
        q(f"SELECT '{tenant}' AS t FROM tenants WHERE tenant_id = '{tenant}'") for tenant in (here, "hooli")
    ]
    with WireClient(narrow.dsn()) as one, WireClient(narrow.dsn()) as other:
        one.play(q("BEGIN"), q("SELECT 1"))
        other.play(q("SET shardproxy.tenant = 'hooli'"), q("BEGIN"), q("SELECT 1"))
        other.play(q(f"SET shardproxy.tenant = '{here}'"))
        one.send(by_tenant[1])  # waits for the connection that the other has
        assert other.play(by_tenant[0])[1] == f"DataRow '{here}'"
        assert other.play(q("COMMIT"))[-1] == IDLE
        seen = one.play(Step(q("COMMIT"), "ZZ"))
        assert seen[-5:-2] == ["DataRow 'hooli'", "CommandComplete SELECT 1", BLOCK]
    rest.at_rest(narrow, cluster)


def test_a_client_that_leaves_leaves_nothing_open(cluster: Cluster, narrow: Proxy) -> None:
    with WireClient(narrow.dsn()) as client:
        client.play(q("BEGIN"), q("SELECT 1"))
        client.send(q(MINE))
        client.abort()
    rest.at_rest(narrow, cluster)


def test_a_loss_while_the_block_could_move_is_told(cluster: Cluster) -> None:
    """Where the server cannot say whether the block had a snapshot, the block is lost with it."""
    with Proxy(cluster.config()) as proxy, WireClient(proxy.dsn()) as client:
        client.play(q("BEGIN"), q("SELECT 1"))
        with psycopg.connect(cluster.dsn(0, superuser=True), autocommit=True) as owner:
            owner.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE usename = 'app' AND state = 'idle in transaction'"
            )
        seen = client.play(q(MINE), q("ROLLBACK"), q(MINE))
        assert seen[0].startswith("ErrorResponse V='ERROR' C='08006'")
        assert seen[-4:-2] == CODES


def test_a_loss_in_the_rollback_of_what_it_leaves_is_nobodys_business(cluster: Cluster) -> None:
    with Relay(cluster.shards[0].primary.port) as relay:
        config = cluster.config()
        config["shards"][0]["primary"] = f"127.0.0.1:{relay.port}"
        with Proxy(config) as proxy, WireClient(proxy.dsn()) as client:
            client.play(q("BEGIN"), q("SELECT 1"), q("SET LOCAL work_mem = '5MB'"))
            relay.cut_behind = b"C\0\0\0\x08SET\0"
            assert client.play(q(MINE))[1:3] == CODES
            assert relay.cuts == 1
            assert client.play(q("SHOW work_mem"))[1] == "DataRow '5MB'"
            assert client.play(q("COMMIT"), q("SELECT 1"))[-1] == IDLE


@pytest.fixture(autouse=True)
def restored(cluster: Cluster) -> Iterator[None]:
    """Every row is put back."""
    yield
    with psycopg.connect(cluster.dsn(SHARD, superuser=True), autocommit=True) as connection:
        connection.execute(RESTORE)

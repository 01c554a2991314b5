"""Cancel keys: a right one cancels its own session's query and nothing else, a wrong one nothing."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

import psycopg
import pytest

from shardproxy.wire.client_messages import SYNC, bind, cancel_request, describe, execute, parse, query
from shardproxy.wire.server_messages import parse_error
from tests.support import rest
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy
from tests.support.wire_client import WireClient

SLEEP = query(b"SELECT pg_sleep(60)")
RUNS = f"{rest.SERVING} AND state = 'active' AND wait_event = 'PgSleep'"


def sqlstates(client: WireClient) -> list[str]:
    """The errors up to the next ReadyForQuery."""
    return [parse_error(body)["C"] for kind, body in client.read("Z") if kind == ord("E")]


@pytest.mark.parametrize("minor", [0, 2])
def test_an_own_cancel_ends_the_query_soon(proxy: Proxy, cluster: Cluster, minor: int) -> None:
    took = []
    with (
        WireClient(proxy.dsn(), minor=minor) as client,
        rest.superuser(cluster.dsn(0, superuser=True)) as run,
    ):
        for _ in range(25):
            client.send(SLEEP)
            rest.wait_until(lambda: run(RUNS), "the query runs")
            started = time.monotonic()
            client.cancel()
            assert sqlstates(client) == ["57014"]
            took.append(time.monotonic() - started)
            assert client.query("SELECT 1")[-1].endswith("I"), "the next one is not hit"
    assert sorted(took)[-1] < 1.0
    rest.at_rest(proxy, cluster)


def test_a_wrong_key_cancels_nothing(proxy: Proxy, cluster: Cluster) -> None:
    ignored = rest.metric(proxy, "shardproxy_cancels_total", outcome="ignored")
    with WireClient(proxy.dsn()) as client, rest.superuser(cluster.dsn(0, superuser=True)) as run:
        client.send(SLEEP)
        rest.wait_until(lambda: run(RUNS), "the query runs")
        pid, secret = client.login.pid, client.login.secret
        wrong = bytes([secret[0] ^ 1]) + secret[1:]
        for key in (
            (pid, wrong),
            (pid + 1, secret),
            (pid, b"\0" * 4),
            (pid, secret + b"\0"),
            (0, b"\0" * 256),
        ):
            with socket.create_connection(client.address, timeout=10) as other:
                other.sendall(cancel_request(*key))
                assert other.recv(100) == b"", "a cancel request is never answered"
        assert run(RUNS)
        assert rest.metric(proxy, "shardproxy_cancels_total", outcome="ignored") == ignored + 5
        client.cancel()
        assert sqlstates(client) == ["57014"]


def test_a_cancel_of_somebody_who_does_not_wait_for_it_arrives(proxy: Proxy, cluster: Cluster) -> None:
    with WireClient(proxy.dsn()) as client, rest.superuser(cluster.dsn(0, superuser=True)) as run:
        for _ in range(10):
            client.send(SLEEP)
            rest.wait_until(lambda: run(RUNS), "the query runs")
            with socket.create_connection(client.address) as other:
                other.sendall(cancel_request(client.login.pid, client.login.secret))
            assert sqlstates(client) == ["57014"]
    rest.at_rest(proxy, cluster)


def test_a_key_is_worth_nothing_after_its_session(proxy: Proxy) -> None:
    with WireClient(proxy.dsn()) as gone:
        pass
    ignored = rest.metric(proxy, "shardproxy_cancels_total", outcome="ignored")
    gone.cancel()
    assert rest.metric(proxy, "shardproxy_cancels_total", outcome="ignored") == ignored + 1


def test_a_cancel_between_queries_hits_neither(proxy: Proxy, cluster: Cluster) -> None:
    with WireClient(proxy.dsn()) as client:
        for _ in range(50):
            client.cancel()
            assert client.query("SELECT 1")[-2] == "CommandComplete SELECT 1"
        client.query("BEGIN")
        client.query("SELECT 1 FROM tenants WHERE tenant_id = 'hooli'")
        client.cancel()
        assert client.query("COMMIT")[0] == "CommandComplete COMMIT"
    rest.at_rest(proxy, cluster)


def test_who_waits_for_a_server_connection_can_be_cancelled(cluster: Cluster) -> None:
    sql = b"SELECT 1 FROM tenants WHERE tenant_id = 'hooli'"
    with (
        Proxy(cluster.config(pool={"size": 1})) as narrow,
        WireClient(narrow.dsn()) as holder,
        WireClient(narrow.dsn()) as waiter,
    ):
        holder.query(f"BEGIN; {sql.decode()}")
        for _ in range(3):
            waiter.send(query(sql))
            rest.wait_until(lambda: rest.metric(narrow, "shardproxy_pool_waiting"), "it waits")
            waiter.cancel()
            assert sqlstates(waiter) == ["57014"]
        holder.query("COMMIT")
        assert waiter.query(sql.decode())[-2] == "CommandComplete SELECT 1"
        rest.at_rest(narrow, cluster)


def test_a_statement_that_is_being_described_can_be_cancelled(proxy: Proxy, cluster: Cluster) -> None:
    """A server describes it first; it waits there for a lock before the client's own messages are sent."""
    sql = b"SELECT count(*) AS described FROM orders WHERE tenant_id = $1"
    bound = bind(b"", b"s", values=(b"hooli",)) + execute()
    with rest.locked(cluster, 0), WireClient(proxy.dsn()) as client:
        client.send(parse(b"s", sql) + describe(b"S", b"s") + bound + SYNC)
        rest.wait_until_blocked(cluster, 0)
        client.cancel()
        assert sqlstates(client) == ["57014"]
        assert client.query("SELECT 1")[-2] == "CommandComplete SELECT 1", "and no other"
        rest.at_rest(proxy, cluster)


def test_one_server_connection_and_many_cancels_hit_only_their_own(cluster: Cluster) -> None:
    """Every second client cancels some of its queries; the others must never notice."""
    clients, rounds = 12, 25

    def uses(number: int, dsn: str) -> None:
        random = Random(number)
        cancels = number % 2 == 0
        with psycopg.connect(dsn, autocommit=True) as connection, ThreadPoolExecutor(1) as other:
            for turn in range(rounds):
                asked = other.submit(connection.cancel) if cancels and random.random() < 0.5 else None
                try:
                    row = connection.execute(f"SELECT {number}, {turn}, pg_sleep(0.001)").fetchone()
                    assert row is not None
                    assert row[:2] == (number, turn)
                except psycopg.errors.QueryCanceled:
                    assert asked is not None, "somebody else's cancel"
                if asked is not None:
                    asked.result()

    with Proxy(cluster.config(pool={"size": 1})) as narrow:
        with ThreadPoolExecutor(clients) as pool:
            for future in [pool.submit(uses, number, narrow.dsn()) for number in range(clients)]:
                future.result()
        assert rest.metric(narrow, "shardproxy_cancels_total", outcome="forwarded") > 0
        assert rest.metric(narrow, "shardproxy_pool_connects_total", shard="shard-a") < 30, "kept, not closed"
        rest.at_rest(narrow, cluster)

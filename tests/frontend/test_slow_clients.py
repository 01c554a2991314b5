"""A client that takes its time costs the proxy no memory, and keeps nobody else waiting."""

import socket
from collections.abc import Iterator

import pytest

from shardproxy.wire.client_messages import query
from tests.support import rest
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy
from tests.support.wire_client import WireClient

BIG = query(b"SELECT repeat('x', 100000) FROM tenants, generate_series(1, 1000) WHERE tenant_id = 'hooli'")
WRITING = f"{rest.SERVING} AND wait_event = 'ClientWrite'"


@pytest.fixture
def slow(proxy: Proxy) -> Iterator[WireClient]:
    """A client with a small receive buffer."""
    with WireClient(proxy.dsn()) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        yield client


def test_a_large_answer_waits_in_the_server(proxy: Proxy, cluster: Cluster, slow: WireClient) -> None:
    before = rest.resident_bytes(proxy)
    with rest.superuser(cluster.dsn("shard-b", superuser=True)) as run:
        slow.send(BIG)
        rest.wait_until(lambda: run(WRITING), "the server waits for the client")
    assert rest.resident_bytes(proxy) - before < 8 << 20, "of 100 MB"
    with WireClient(proxy.dsn()) as other:
        assert (
            other.query("SELECT 1 FROM tenants WHERE tenant_id = 'hooli'")[-2] == "CommandComplete SELECT 1"
        )
    assert sum(kind == ord("D") for kind, _ in slow.read("Z")) == 1000
    rest.at_rest(proxy, cluster)


def test_questions_without_end_wait_in_the_client(proxy: Proxy, cluster: Cluster, slow: WireClient) -> None:
    """A client that sends and sends, and reads nothing, is no longer read from."""
    before = rest.resident_bytes(proxy)
    slow.socket.settimeout(1)
    one = query(b"SELECT '" + b"x" * 10_000 + b"' FROM tenants WHERE tenant_id = 'hooli'")
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 200 << 20:
            slow.send(one)
            sent += len(one)
    assert sent < 50 << 20
    assert rest.resident_bytes(proxy) - before < 16 << 20
    slow.abort()
    rest.at_rest(proxy, cluster)


def test_who_takes_nothing_and_leaves_is_forgotten(proxy: Proxy, cluster: Cluster) -> None:
    client = WireClient(proxy.dsn())
    with rest.superuser(cluster.dsn("shard-b", superuser=True)) as run:
        client.send(BIG)
        rest.wait_until(lambda: run(WRITING), "the server waits for the client")
        client.abort()
        rest.wait_until(lambda: not run(WRITING), "the server was told")
    rest.at_rest(proxy, cluster)


def test_rows_behind_a_slow_one_come_in_order(proxy: Proxy, slow: WireClient) -> None:
    """Several large answers in one write: the second is not begun before the first is taken."""
    before = rest.resident_bytes(proxy)
    slow.send(BIG + BIG + query(b"SELECT 'end'"))
    kinds = [kind for kind, _ in slow.read("ZZZ")]
    assert kinds.count(ord("D")) == 2001
    assert rest.resident_bytes(proxy) - before < 8 << 20

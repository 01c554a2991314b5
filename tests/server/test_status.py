"""What the pages say of a running proxy is so."""

import json
import signal
import urllib.error
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import psycopg
import pytest

from shardproxy.wire.client_messages import query
from tests.support import rest
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy
from tests.support.wire_client import WireClient


@pytest.fixture
def fresh(cluster: Cluster) -> Iterator[Proxy]:
    with Proxy(cluster.config()) as proxy:
        yield proxy


def get(proxy: Proxy, path: str) -> tuple[int, Any]:
    try:
        with urlopen(f"http://127.0.0.1:{proxy.http_port}{path}", timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_it_is_alive_and_ready(fresh: Proxy) -> None:
    assert get(fresh, "/healthz")[0] == 200
    status, body = get(fresh, "/readyz")
    assert status == 200
    shards = json.loads(body)["shards"]
    assert [shard["writable"] for shard in shards.values()] == [True] * 3


def test_statements_are_counted_by_where_they_went(fresh: Proxy, cluster: Cluster) -> None:
    def went() -> dict[str, float]:
        samples = rest.samples(fresh, "shardproxy_statements_total")
        return {labels["route"]: value for labels, value in samples}

    def shard_b(name: str, **labels: str) -> float:
        return rest.metric(fresh, f"shardproxy_{name}", shard="shard-b", role="primary", **labels)

    with psycopg.connect(fresh.dsn(), autocommit=True) as connection:
        before = went()
        for _ in range(4):
            connection.execute("SELECT 1 FROM orders WHERE tenant_id = 'hooli'")
        connection.execute("SELECT * FROM tenants")
        connection.execute("SELECT 1")
        connection.execute("SET shardproxy.read = 'primary'")
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            connection.execute("SELECT count(*) FROM orders")
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1/0 FROM orders WHERE tenant_id = 'hooli'")
        after = went()
        assert {route: after[route] - before[route] for route in after} == {
            "one_shard": 5,
            "fan_out": 1,
            "anywhere": 1,
            "local": 1,
            "refused": 1,
        }
        assert shard_b("errors_total", sqlstate_class="22") == 1
        assert rest.metric(fresh, "shardproxy_refused_total") == 1
        assert rest.metric(fresh, "shardproxy_clients") == 1
    assert shard_b("queries_total") == shard_b("transactions_total")
    assert shard_b("query_duration_seconds_count") == shard_b("queries_total")
    assert shard_b("server_sent_bytes_total") > 0
    assert shard_b("server_received_bytes_total") > 0


def test_the_plan_cache_is_counted_across_new_plans(fresh: Proxy) -> None:
    with psycopg.connect(fresh.dsn(), autocommit=True) as connection:
        for number in range(10):
            connection.execute(f"SELECT {number} FROM orders WHERE tenant_id = 'hooli'")  # type: ignore[arg-type]
        hits = rest.metric(fresh, "shardproxy_plan_cache_hits_total")
        assert hits >= 9
        offset = len(fresh.log)
        fresh.config = fresh.config | {"tenant_isolation": "off"}
        fresh.write_config()
        fresh.signal(signal.SIGHUP)
        fresh.wait_for_log("reloaded", after=offset)
        assert rest.metric(fresh, "shardproxy_plan_cache_hits_total") == hits


def test_a_block_is_one_transaction(fresh: Proxy) -> None:
    with WireClient(fresh.dsn()) as client:
        mark = "SELECT 'mine' FROM tenants WHERE tenant_id = 'hooli'"
        client.query(mark)
        counted = rest.metric(fresh, "shardproxy_transactions_total", shard="shard-b")
        for _ in range(20):
            client.query(mark)
        client.query("BEGIN")
        for _ in range(5):
            client.query(mark)
        client.query("COMMIT")
        assert rest.metric(fresh, "shardproxy_transactions_total", shard="shard-b") == counted + 21


def test_pools_and_waits_are_shown_while_they_last(cluster: Cluster) -> None:
    with (
        Proxy(cluster.config(pool={"size": 1})) as narrow,
        WireClient(narrow.dsn()) as holder,
        WireClient(narrow.dsn()) as waiter,
    ):
        holder.query("BEGIN; SELECT 1 FROM tenants WHERE tenant_id = 'hooli'")
        assert rest.metric(narrow, "shardproxy_pool_connections", shard="shard-b", state="active") == 1
        waiter.send(query(b"SELECT 1 FROM tenants WHERE tenant_id = 'hooli'"))
        rest.wait_until(
            lambda: rest.metric(narrow, "shardproxy_pool_waiting", shard="shard-b") == 1, "a waiter"
        )
        holder.query("COMMIT")
        assert waiter.read("Z")[-1] == (ord("Z"), b"I")
        assert rest.metric(narrow, "shardproxy_pool_waiting") == 0
        assert rest.metric(narrow, "shardproxy_pool_wait_seconds_count", shard="shard-b") >= 1

"""SIGTERM drains, a second one stops, SIGHUP reads the configuration again."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from shardproxy.demo.cluster import DATABASE
from shardproxy.demo.postgres import Server
from shardproxy.wire.client_messages import query
from tests.support import rest
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy
from tests.support.wire_client import WireClient

BEGIN_WITH_A_ROW = "BEGIN; SELECT plan FROM tenants WHERE tenant_id = 'hooli' FOR UPDATE"


@pytest.fixture
def mine(cluster: Cluster) -> Iterator[Proxy]:
    """A proxy that the test may end."""
    with Proxy(cluster.config()) as proxy:
        yield proxy


def ended(proxy: Proxy) -> int:
    """The exit status, once there is one."""
    assert proxy.process is not None
    return proxy.process.wait(20)


# --- ending -------------------------------------------------------------------------------------------------


def test_a_drain_lets_transactions_end_and_nobody_else_stay(mine: Proxy) -> None:
    with (
        WireClient(mine.dsn()) as idle,
        WireClient(mine.dsn()) as busy,
        WireClient(mine.dsn()) as begun,
        WireClient(mine.dsn()) as running,
    ):
        busy.query(BEGIN_WITH_A_ROW)
        begun.query("BEGIN")
        running.send(query(b"SELECT pg_sleep(0.5)"))
        mine.signal(signal.SIGTERM)
        kind, body = idle.next()
        assert kind == ord("E")
        assert b"C57P01\0" in body
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(mine.dsn())
        assert [chr(kind) for kind, _ in running.read("Z")] == list("TDCZ"), "its statement ends"
        assert b"C57P01\0" in running.next()[1], "and then its session"
        assert busy.query("UPDATE tenants SET plan = plan WHERE tenant_id = 'hooli'")[0].endswith("UPDATE 1")
        assert busy.query("COMMIT")[0] == "CommandComplete COMMIT"
        assert b"C57P01\0" in busy.next()[1]
        assert begun.query("ROLLBACK")[0] == "CommandComplete ROLLBACK"
        assert ended(mine) == 0
    assert "cut off" not in mine.log


def test_a_drain_that_takes_too_long_is_cut_short(cluster: Cluster) -> None:
    with Proxy(cluster.config(timeouts={"drain": "200ms"})) as proxy, WireClient(proxy.dsn()) as busy:
        busy.query(BEGIN_WITH_A_ROW)
        proxy.signal(signal.SIGTERM)
        assert b"C57P01\0" in busy.next()[1], "it is told"
        assert ended(proxy) == 0
        assert "1 clients were cut off" in proxy.log
    with psycopg.connect(cluster.dsn("shard-b")) as connection:  # the row is free again
        connection.execute("SET lock_timeout = '5s'")
        connection.execute("SELECT plan FROM tenants WHERE tenant_id = 'hooli' FOR UPDATE")


def test_a_second_sigterm_stops_at_once(mine: Proxy) -> None:
    with WireClient(mine.dsn()) as busy:
        busy.query(BEGIN_WITH_A_ROW)
        mine.signal(signal.SIGTERM)
        mine.wait_for_log("draining")
        started = time.monotonic()
        mine.signal(signal.SIGTERM)
        assert ended(mine) == 0
        assert time.monotonic() - started < 5
        assert b"C57P01\0" in busy.next()[1]


def test_it_can_be_stopped_while_it_waits_for_a_shard(
    cluster: Cluster, new_server: Callable[..., Server]
) -> None:
    hangs = new_server(auth="trust")
    config = cluster.config()
    config["shards"][0]["primary"] = f"127.0.0.1:{hangs.port}"
    proxy = Proxy(config)
    hangs.pause()
    try:
        proxy.launch()
        assert "listening on" not in proxy.log
        assert rest.metric(proxy, "shardproxy_ready") == 0
        proxy.signal(signal.SIGTERM)
        assert ended(proxy) == 0
        assert "Traceback" not in proxy.log
    finally:
        hangs.resume()
        proxy.kill()
        proxy.directory.cleanup()


def test_sigint_ends_it_as_well(mine: Proxy) -> None:
    mine.signal(signal.SIGINT)
    assert ended(mine) == 0


# --- reloading ----------------------------------------------------------------------------------------------


@contextmanager
def reloaded(proxy: Proxy, expect: str = r"\breloaded", **sections: Any) -> Iterator[str]:
    """The log since a SIGHUP with these sections in the file, which is put back afterwards."""
    before = dict(proxy.config)
    try:
        yield _reload(proxy, expect, before | sections)
    finally:
        _reload(proxy, r"\breloaded", before)


def _reload(proxy: Proxy, expect: str, config: dict[str, Any]) -> str:
    proxy.config = config
    proxy.write_config()
    offset = len(proxy.log)
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log(expect, after=offset)
    return proxy.log[offset:]


@pytest.fixture(scope="module")
def reloading(cluster: Cluster) -> Iterator[Proxy]:
    with Proxy(cluster.config()) as proxy:
        yield proxy


def test_a_new_user_can_log_in_after_a_reload_and_sessions_go_on(reloading: Proxy) -> None:
    users = [*reloading.config["auth"]["users"], {"name": "late", "password": "secret"}]
    dsn = reloading.dsn(user="late", password="secret")
    with WireClient(reloading.dsn()) as client:
        client.query("SET timezone = 'Asia/Tokyo'")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(dsn)
        with reloaded(reloading, auth={"method": "scram", "users": users}):
            psycopg.connect(dsn).close()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(dsn)
        assert "Asia/Tokyo" in str(client.query("SHOW timezone"))


def test_a_file_with_mistakes_changes_nothing_and_names_them(reloading: Proxy) -> None:
    with reloaded(
        reloading, r"nothing was changed[\s\S]*sise", pool={"sise": 3}, auth={"method": "trust"}
    ) as log:
        assert "shardproxy.yaml:" in log
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(reloading.dsn(password="wrong"))


@pytest.mark.parametrize(
    ("sections", "name"),
    [
        ({"designated": "shard-b"}, "designated"),
        ({"placements": {"hooli": "shard-c", "stark": "shard-c"}}, "placements"),
        ({"ring": {"virtual_nodes": 7}}, "ring"),
        ({"reads": {"max_lag": "3s"}}, "reads.max_lag"),
        ({"log": {"level": "debug"}}, "log"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_needs_a_restart_is_named_and_not_taken(
    reloading: Proxy, cluster: Cluster, sections: dict[str, Any], name: str
) -> None:
    with reloaded(reloading, **sections) as log:
        assert f"a change of {name} needs a restart" in log
        with psycopg.connect(reloading.dsn(), autocommit=True) as connection:
            found = connection.execute("SELECT count(*) FROM orders WHERE tenant_id = 'hooli'").fetchone()
            assert found is not None
            assert found[0] > 0, "hooli is where it was"


def test_changed_shards_are_refused_with_a_line_in_the_log(reloading: Proxy) -> None:
    shards = reloading.config["shards"]
    with reloaded(reloading, shards=[{**shards[0], "weight": 5}, *shards[1:]]) as log:
        assert "a change of shards needs a restart and was not taken" in log


def test_pool_sizes_limits_and_time_outs_count_from_the_reload_on(reloading: Proxy, cluster: Cluster) -> None:
    with reloaded(reloading, pool={"size": 1, "wait_timeout": "100ms"}, limits={"clients": 2}) as log:
        assert "needs a restart" not in log
        with WireClient(reloading.dsn()) as holder, WireClient(reloading.dsn()) as waiter:
            holder.query(BEGIN_WITH_A_ROW)
            told = waiter.query("SELECT 1 FROM tenants WHERE tenant_id = 'hooli'")
            assert "53300" in told[0]
            with pytest.raises(psycopg.OperationalError, match="too many clients"):
                psycopg.connect(reloading.dsn())
    rest.at_rest(reloading, cluster)


@pytest.fixture
def vouched(cluster: Cluster) -> Iterator[Proxy]:
    """A proxy that knows a function vouched(), which runs text."""
    body = "BEGIN EXECUTE ''SELECT 1''; RETURN 1; END"
    for server in cluster.servers:
        server.query(f"CREATE FUNCTION vouched() RETURNS int LANGUAGE plpgsql AS '{body}'", dbname=DATABASE)
    with Proxy(cluster.config()) as proxy:
        yield proxy
    for server in cluster.servers:
        server.query("DROP FUNCTION vouched()", dbname=DATABASE)


def test_a_function_is_trusted_from_the_reload_on(vouched: Proxy) -> None:
    sql = "SELECT vouched() FROM tenants WHERE tenant_id = 'hooli'"
    with psycopg.connect(vouched.dsn(), autocommit=True) as connection:
        with reloaded(vouched, trusted_functions=["vouched"]) as log:
            assert "needs a restart" not in log
            assert connection.execute(sql).fetchone() == (1,)
        with pytest.raises(psycopg.Error, match="the function vouched, which may read sharded tables"):
            connection.execute(sql)


def test_a_table_that_is_new_in_the_file_is_sharded_from_the_reload_on(reloading: Proxy) -> None:
    tables = {name: spread for name, spread in reloading.config["tables"].items() if name != "coupons"}
    sql = "SELECT count(*) FROM coupons WHERE tenant_id = 'hooli'"
    with psycopg.connect(reloading.dsn(), autocommit=True) as connection:
        assert connection.execute(sql).fetchone() == (2,)
        with reloaded(reloading, tables=tables), pytest.raises(psycopg.Error):
            connection.execute(sql)
        assert connection.execute(sql).fetchone() == (2,)

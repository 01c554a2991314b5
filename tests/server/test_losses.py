"""A server or the sidecar itself dies or hangs: it hurts only who needs it, in bounded time, and heals."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psycopg
import pytest

from shardproxy.demo.postgres import Install, Run
from shardproxy.wire.client_messages import query
from shardproxy.wire.server_messages import parse_error
from tests.server.load import Load, loads
from tests.support import aio, rest
from tests.support import cluster as clusters
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy
from tests.support.wire_client import WireClient

CLEAR = {"08006", "08007", "57P01", "57P02", "57P03"}
"""The connection is lost; 08007: and whether the COMMIT under way counted is not known."""
WAIT = 2.0
DETECTION = 3.0
"""Seconds until the monitor calls a hanging server unreachable, with room for a busy machine."""


@pytest.fixture(scope="module")
def fragile(install: Install) -> Iterator[Cluster]:
    """Servers that tests may kill and stop, if they start them again."""
    with Run(install) as run:
        yield clusters.start(run)


@pytest.fixture(scope="module")
def sidecar(fragile: Cluster) -> Iterator[Proxy]:
    """The proxy in front of them, the same process for all tests of this module."""
    with Proxy(fragile.config(pool={"size": 4, "wait_timeout": WAIT})) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def the_same_process_goes_on(sidecar: Proxy, fragile: Cluster) -> Iterator[None]:
    """After each test all servers are back and the proxy that saw it all serves, with nothing left over."""
    yield
    for shard in fragile.shards:
        if shard.primary.is_running:
            shard.primary.resume()
        shard.primary.start()
    rest.at_rest(sidecar, fragile)
    assert "internal error" not in sidecar.log
    assert "Traceback" not in sidecar.log


def healthy(others: list[Load], since: float) -> None:
    """These clients saw no error, and went on."""
    for load in others:
        assert load.errors == []
        assert load.succeeded_since(since) > 10


@pytest.mark.parametrize("victim", [0, 1], ids=["the designated shard", "another shard"])
def test_a_killed_shard_hurts_only_its_own_clients(sidecar: Proxy, fragile: Cluster, victim: int) -> None:
    async def main() -> None:
        server = fragile.shards[victim].primary
        tenants = [fragile.tenants_of(shard)[0] for shard in range(3)]
        async with loads(sidecar.dsn(), tenants) as each:
            hurt, others = each[victim], [load for load in each if load is not each[victim]]
            killed = time.monotonic()
            await asyncio.to_thread(server.kill)
            await hurt.until(lambda: len(hurt.errors) >= 20)
            for load in others:
                await load.until(lambda load=load: load.succeeded_since(killed) > 20)  # type: ignore[misc]
            assert {error.sqlstate for error in hurt.errors} <= CLEAR, hurt.errors
            assert max(event.took for event in hurt.events) < 2.5
            restarted = time.monotonic()
            await asyncio.to_thread(server.start)
            await hurt.until(lambda: hurt.succeeded_since(restarted) > 10)
            healthy(others, killed)

    aio.run(main(), timeout=60)


def test_new_clients_come_in_while_the_designated_shard_is_down(sidecar: Proxy, fragile: Cluster) -> None:
    async def main() -> None:
        tenant = fragile.tenants_of(2)[0]
        await asyncio.to_thread(fragile.shards[0].primary.kill)
        for settings in ({}, {"application_name": "new"}, {"timezone": "Asia/Tokyo", "work_mem": "7MB"}):
            connection = await asyncpg.connect(sidecar.dsn(), server_settings=settings)
            sql = f"SELECT count(*) AS n{len(settings)} FROM orders WHERE tenant_id = $1"  # not seen before
            assert await connection.fetchval(sql, tenant) > 0
            await connection.close()

    aio.run(main())


MEETINGS = (
    "SELECT pg_try_advisory_lock(7)",
    "SELECT pg_advisory_xact_lock(7)",
    "SELECT pg_notify('c', 'x')",
    "NOTIFY c",
    "LISTEN c",
)


def test_sessions_do_not_meet_elsewhere_while_the_designated_shard_is_down(
    sidecar: Proxy, fragile: Cluster
) -> None:
    """A lock that two sessions take on two shards would exclude nobody, and a notification reach nobody."""
    fragile.shards[0].primary.kill()
    for sql in MEETINGS:
        with psycopg.connect(sidecar.dsn(), autocommit=True) as connection:
            with pytest.raises(psycopg.OperationalError) as error:
                connection.execute(sql.encode())
            assert error.value.sqlstate in CLEAR, sql
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_transaction_that_lost_its_shard_fails_and_commits_nothing(
    sidecar: Proxy, fragile: Cluster
) -> None:
    tenant = fragile.tenants_of(1)[0]
    server = fragile.shards[1].primary
    insert = f"INSERT INTO coupons VALUES ('{tenant}', 'LOST', 1)"
    with psycopg.connect(sidecar.dsn()) as connection:
        connection.execute(insert)
        server.kill()
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(f"SELECT 1 FROM coupons WHERE tenant_id = '{tenant}'")
        assert caught.value.sqlstate in CLEAR
        connection.rollback()
        server.start()
        rest.wait_until(lambda: reads(connection, tenant), "the same session reads again")
        found = connection.execute(f"SELECT 1 FROM coupons WHERE tenant_id = '{tenant}' AND code = 'LOST'")
        assert found.fetchall() == []


@pytest.mark.parametrize("block", [False, True], ids=["a statement", "a transaction"])
def test_a_terminated_server_connection_is_one_error_and_the_session_goes_on(
    sidecar: Proxy, fragile: Cluster, block: bool
) -> None:
    tenant = fragile.tenants_of(1)[0]
    sleeps = f"{rest.SERVING} AND wait_event = 'PgSleep'"
    with WireClient(sidecar.dsn()) as client, rest.superuser(fragile.dsn(1, superuser=True)) as run:
        if block:
            client.query("BEGIN")
        client.send(query(f"SELECT pg_sleep(60) FROM tenants WHERE tenant_id = '{tenant}'".encode()))
        rest.wait_until(lambda: run(sleeps), "it runs")
        run(f"SELECT pg_terminate_backend(pid) FROM ({sleeps}) AS it")
        messages = client.read("Z")
        assert "".join(chr(kind) for kind, _ in messages).lstrip("T") == "EZ"
        error = parse_error(messages[-2][1])
        assert error["S"] == "ERROR"
        assert error["C"] in CLEAR
        assert error["M"].endswith("terminating connection due to administrator command")
        assert messages[-1][1] == (b"E" if block else b"I")
        if block:
            assert "25P02" in client.query("SELECT 1")[0]
            client.query("ROLLBACK")
        assert client.query(f"SELECT 1 FROM tenants WHERE tenant_id = '{tenant}'")[-2].endswith("SELECT 1")


def reads(connection: psycopg.Connection[tuple[object, ...]], tenant: str) -> bool:
    try:
        connection.execute(f"SELECT 1 FROM orders WHERE tenant_id = '{tenant}'")
    except psycopg.Error as error:
        if error.sqlstate not in CLEAR:
            raise
        connection.rollback()
        return False
    return True


def test_a_hanging_shard_hurts_only_its_own_clients_and_nobody_waits_for_ever(
    sidecar: Proxy, fragile: Cluster
) -> None:
    async def main() -> None:
        server = fragile.shards[1].primary
        tenants = [fragile.tenants_of(shard)[0] for shard in range(3)]
        async with loads(sidecar.dsn(), tenants, clients=6) as each:
            hurt, others = each[1], [each[0], each[2]]
            stopped = time.monotonic()
            await asyncio.to_thread(server.pause)
            try:
                await hurt.until(lambda: sum(error.sqlstate in CLEAR for error in hurt.errors) >= 4)
                given_up = time.monotonic()
                for load in others:
                    await load.until(lambda load=load: load.succeeded_since(stopped) > 50)  # type: ignore[misc]
            finally:
                await asyncio.to_thread(server.resume)
            resumed = time.monotonic()
            await hurt.until(lambda: hurt.succeeded_since(resumed) > 10)
            assert {error.sqlstate for error in hurt.errors} <= CLEAR | {"53300"}, hurt.errors
            assert given_up - stopped < WAIT + DETECTION + 2, "also who waited in the hanging server"
            assert max(event.took for event in hurt.events) < WAIT + DETECTION + 2
            healthy(others, stopped)
            assert max(event.took for load in others for event in load.events) < 2

    aio.run(main(), timeout=60)


def test_a_killed_sidecar_leaves_nothing_and_its_successor_serves_at_once(
    sidecar: Proxy, fragile: Cluster, tmp_path: Path
) -> None:
    first = Proxy(fragile.config(listen=["127.0.0.1:0", f"{tmp_path}:7777"])).start()
    listen = [f"127.0.0.1:{first.port}", f"{tmp_path}:7777"]
    with psycopg.connect(first.dsn(), autocommit=True) as idle, psycopg.connect(first.dsn()) as busy:
        tenant = fragile.tenants_of(1)[0]
        for shard in range(3):
            idle.execute(f"SELECT 1 FROM tenants WHERE tenant_id = '{fragile.tenants_of(shard)[0]}'")
        busy.execute(f"UPDATE tenants SET plan = plan WHERE tenant_id = '{tenant}'")
        mine = rest.ports(first)
        first.kill()
        with pytest.raises(psycopg.OperationalError):
            busy.execute("SELECT 1")
    with Proxy(fragile.config(listen=listen)) as second:
        for dsn in (second.dsn(), f"postgresql://app:app@/shop?host={tmp_path}&port=7777"):
            with psycopg.connect(dsn) as connection:  # nobody holds the lock on the row any more
                connection.execute("SET statement_timeout = '5s'")
                connection.execute(f"UPDATE tenants SET plan = plan WHERE tenant_id = '{tenant}'")
    for shard in range(3):
        with rest.superuser(fragile.dsn(shard, superuser=True)) as run:
            rest.wait_until(
                lambda run=run: not [row for row in run(rest.SERVING) if row[2] in mine],  # type: ignore[misc]
                "the dead sidecar's connections are gone",
            )
    first.directory.cleanup()


def test_servers_notice_when_the_sidecars_machine_vanishes(sidecar: Proxy, fragile: Cluster) -> None:
    """Keepalives are the kernels' affair; that the server's has been told is ours."""
    told = "SELECT name, setting FROM pg_settings WHERE name ~ '^tcp_keepalives'"
    with psycopg.connect(sidecar.dsn()) as session:
        settings = dict(session.execute(told).fetchall())
    assert settings == {
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "3",
        "tcp_keepalives_count": "3",
    }

"""Reading several shards at once: the rows of one PostgreSQL that has them all, one error, no leaks."""

import asyncio
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import asyncpg
import psycopg
import pytest

from shardproxy.wire.client_messages import SYNC, bind, describe, execute, message, parse, query
from shardproxy.wire.server_messages import parse_error
from tests.support import rest, sample
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy
from tests.support.wire_client import WireClient

ALL = (0, 1, 2)
BIG_ROWS = "SELECT order_id, repeat(md5(order_id::text), 31250) FROM orders WHERE order_id % 8 = 0"
"""Rows of a million bytes, more on each shard than the buffers on their way can hold."""

SELECTS = {
    "a table": "SELECT * FROM orders",
    "no rows": "SELECT * FROM orders WHERE total < 0",
    "rows on one shard only": "SELECT * FROM customers WHERE email LIKE '%hooli%'",
    "expressions": "SELECT tenant_id || '/' || order_id, total * 2, status = 'paid' FROM orders",
    "a join by key": "SELECT o.tenant_id, o.order_id, i.line FROM orders o JOIN order_items i"
    " ON i.tenant_id = o.tenant_id AND i.order_id = o.order_id",
    "grouped by key": "SELECT tenant_id, count(*), sum(total) FROM orders GROUP BY tenant_id",
    "integer keys": "SELECT device_id, at, value FROM readings",
    "uuid keys": "SELECT doc_id, title, body FROM docs",
    "several keys": "SELECT * FROM tenants WHERE tenant_id IN ('hooli', 'stark', 'acme', 'nobody')",
    "no columns": "SELECT FROM tenants",
    "large rows": "SELECT doc_id, repeat(md5(doc_id::text), 31250) AS million FROM docs",
}


@pytest.fixture(autouse=True)
def nothing_is_left(proxy: Proxy, cluster: Cluster) -> Iterator[None]:
    """After each test every server connection is back in its pool."""
    yield
    rest.at_rest(proxy, cluster)


# --- the rows -----------------------------------------------------------------------------------------------


def rows_by_psycopg(dsn: str, sql: str, **options: Any) -> Counter[Any]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.cursor(**options).execute(sql)
        assert cursor.statusmessage == f"SELECT {cursor.rowcount}"
        rows = cursor.fetchall()
        assert len(rows) == cursor.rowcount
        names = tuple(column.name for column in cursor.description or ())
        return Counter([names, *map(repr, rows)])


def rows_by_asyncpg(dsn: str, sql: str) -> Counter[Any]:
    async def main() -> Counter[Any]:
        connection = await asyncpg.connect(dsn)
        try:
            return Counter(map(repr, await connection.fetch(sql)))
        finally:
            await connection.close()

    return asyncio.run(main())


@pytest.mark.parametrize("sql", SELECTS.values(), ids=SELECTS.keys())
def test_rows_are_those_of_one_server_that_has_them_all(proxy: Proxy, cluster: Cluster, sql: str) -> None:
    for read in (
        rows_by_psycopg,
        lambda dsn, sql: rows_by_psycopg(dsn, sql, binary=True),
        rows_by_asyncpg,
    ):
        assert read(proxy.dsn(), sql) == read(cluster.oracle_dsn(), sql)


def test_a_parameter_counts_on_every_shard(proxy: Proxy, cluster: Cluster) -> None:
    async def main(dsn: str) -> list[Counter[str]]:
        connection = await asyncpg.connect(dsn)
        try:
            statement = await connection.prepare("SELECT * FROM orders WHERE status = $1 AND total > $2")
            return [Counter(map(repr, await statement.fetch(s, 50))) for s in ("paid", "new", "none")]
        finally:
            await connection.close()

    assert asyncio.run(main(proxy.dsn())) == asyncio.run(main(cluster.oracle_dsn()))


def test_columns_are_described_as_one_server_does(proxy: Proxy, cluster: Cluster) -> None:
    script = (
        parse(b"s", b"SELECT tenant_id, total, placed_at, version FROM orders WHERE total > $1")
        + describe(b"S", b"s")
        + bind(b"", b"s", values=(b"1e9",), result_formats=(1,))
        + describe(b"P", b"")
        + execute()
        + SYNC
    )
    with WireClient(proxy.dsn()) as ours, WireClient(cluster.oracle_dsn()) as theirs:
        assert ours.play(script) == theirs.play(script)
        no_rows = query(b"SELECT tenant_id, total FROM orders WHERE total < 0")
        assert ours.play(no_rows) == theirs.play(no_rows)


def test_a_row_limit_is_kept_over_shards(proxy: Proxy) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(proxy.dsn())
        try:
            row = await connection.fetchrow("SELECT tenant_id, order_id FROM orders")
            assert row is not None
            assert row["tenant_id"] in sample.tenants()
            assert await connection.fetchrow("SELECT 1 FROM orders WHERE total < 0") is None
            assert await connection.fetchval("SELECT name FROM tenants WHERE name LIKE 'Hooli%'")
        finally:
            await connection.close()

    asyncio.run(main())


@pytest.mark.parametrize("limit", [1, 3, 10, 19, 20, 21, 1000])
def test_a_portal_stops_at_its_limit_and_says_so(proxy: Proxy, limit: int) -> None:
    script = parse(b"", b"SELECT tenant_id FROM tenants") + bind(b"", b"") + execute(b"", limit) + SYNC
    tenants = len(sample.tenants())
    with WireClient(proxy.dsn()) as client:
        lines = client.play(script)
    rows = [line for line in lines if line.startswith("DataRow")]
    assert len(rows) == min(limit, tenants)
    assert len(set(rows)) == len(rows)
    end = "PortalSuspended" if limit <= tenants else f"CommandComplete SELECT {tenants}"
    assert lines[-2] == end


def test_a_portal_may_have_a_name(proxy: Proxy) -> None:
    script = parse(b"s", b"SELECT tenant_id FROM tenants") + bind(b"C_1", b"s") + describe(b"P", b"C_1")
    with WireClient(proxy.dsn()) as client:
        lines = client.play(script + execute(b"C_1", 1000) + SYNC)
    assert lines[-2] == f"CommandComplete SELECT {len(sample.tenants())}"


def test_every_shard_reads_under_the_sessions_settings(proxy: Proxy, cluster: Cluster) -> None:
    sql = "SELECT tenant_id, order_id, placed_at::text, total::text FROM orders"
    results = []
    for dsn in (proxy.dsn(), cluster.oracle_dsn()):
        with psycopg.connect(dsn, autocommit=True, options="-c timezone=Asia/Kathmandu") as connection:
            connection.execute("SET datestyle = 'German'")
            results.append(Counter(connection.execute(sql).fetchall()))
    assert results[0] == results[1]


def test_fan_outs_of_many_clients_do_not_wait_for_each_other_for_ever(cluster: Cluster) -> None:
    async def reads(dsn: str) -> int:
        connection = await asyncpg.connect(dsn)
        try:
            return sum([len(await connection.fetch("SELECT * FROM tenants")) for _ in range(5)])
        finally:
            await connection.close()

    async def main(dsn: str) -> list[int]:
        async with asyncio.timeout(20):
            return await asyncio.gather(*(reads(dsn) for _ in range(12)))

    with Proxy(cluster.config(pool={"size": 1})) as narrow:
        assert asyncio.run(main(narrow.dsn())) == [5 * len(sample.tenants())] * 12
        rest.at_rest(narrow, cluster)


# --- errors -------------------------------------------------------------------------------------------------

FAILS_ON_ONE_SHARD = "SELECT 1 / length(replace(tenant_id, 'hooli', '')) FROM orders"


@pytest.mark.parametrize("extended", [False, True])
def test_one_shards_error_is_the_statements_and_cancels_the_others(
    proxy: Proxy, cluster: Cluster, extended: bool
) -> None:
    others = [shard for shard in ALL if shard != cluster.owner("hooli")]
    sql = FAILS_ON_ONE_SHARD.encode()
    statement = parse(b"", sql) + bind(b"", b"") + execute() + SYNC if extended else query(sql)
    with rest.locked(cluster, *others), WireClient(proxy.dsn()) as client:
        client.send(statement)
        messages = client.read("Z")
        errors = [parse_error(body) for kind, body in messages if kind == ord("E")]
        assert [(error["C"], error["M"]) for error in errors] == [("22012", "division by zero")]
        assert messages[-1] == (ord("Z"), b"I")
        rest.at_rest(proxy, cluster)  # the others, which still wait for their lock, were cancelled
        assert client.query("SELECT count(*) FROM orders WHERE tenant_id = 'nobody'")[-1].endswith("I")


def test_a_statement_no_shard_can_plan_gives_one_error(proxy: Proxy, cluster: Cluster) -> None:
    for sql in ("SELECT nothing FROM orders", "SELECT * FROM orders WHERE total = 'x'"):
        outcomes = []
        for dsn in (proxy.dsn(), cluster.oracle_dsn()):
            with psycopg.connect(dsn, autocommit=True) as connection, pytest.raises(psycopg.Error) as caught:
                connection.execute(sql)
            diagnosis = caught.value.diag
            outcomes.append((diagnosis.sqlstate, diagnosis.message_primary, diagnosis.statement_position))
        assert outcomes[0] == outcomes[1]


def test_a_lost_connection_is_a_clear_error_and_the_session_goes_on(proxy: Proxy, cluster: Cluster) -> None:
    with rest.locked(cluster, *ALL), psycopg.connect(proxy.dsn(), autocommit=True) as connection:
        failure: list[psycopg.Error] = []

        def read() -> None:
            try:
                connection.execute("SELECT * FROM orders")
            except psycopg.Error as error:
                failure.append(error)

        reader = Thread(target=read)
        reader.start()
        rest.wait_until_blocked(cluster, *ALL)
        with rest.superuser(cluster.dsn(1, superuser=True)) as run:
            run(f"SELECT pg_terminate_backend(pid) FROM ({rest.SERVING} AND state = 'active') AS it")
        reader.join(10)
        assert failure[0].sqlstate in ("08006", "57P01")
        assert "administrator command" in str(failure[0])
        assert connection.execute("SELECT count(*) FROM tenants WHERE tenant_id = 'stark'").fetchone() == (1,)


def test_a_fan_out_can_be_cancelled_on_every_shard(proxy: Proxy, cluster: Cluster) -> None:
    with rest.locked(cluster, *ALL), psycopg.connect(proxy.dsn(), autocommit=True) as connection:
        for _ in range(3):
            states: list[str | None] = []

            def read(states: list[str | None] = states) -> None:
                try:
                    connection.execute("SELECT * FROM orders")
                except psycopg.Error as error:
                    states.append(error.sqlstate)

            reader = Thread(target=read)
            reader.start()
            rest.wait_until_blocked(cluster, *ALL)
            connection.cancel()
            reader.join(10)
            assert states == ["57014"]
            rest.at_rest(proxy, cluster)


def test_a_client_that_hangs_up_leaves_nothing_running(proxy: Proxy, cluster: Cluster) -> None:
    with rest.locked(cluster, *ALL):
        client = WireClient(proxy.dsn())
        client.send(query(b"SELECT * FROM orders"))
        rest.wait_until_blocked(cluster, *ALL)
        client.abort()
        rest.at_rest(proxy, cluster)


def test_a_fan_out_that_waits_for_a_connection_can_be_cancelled(cluster: Cluster) -> None:
    with Proxy(cluster.config(pool={"size": 1})) as narrow:
        with rest.locked(cluster, 2), WireClient(narrow.dsn()) as holder, WireClient(narrow.dsn()) as waiter:
            holder.send(query(b"SELECT * FROM orders"))
            rest.wait_until_blocked(cluster, 2)
            waiter.send(query(b"SELECT * FROM tenants"))
            rest.wait_until(lambda: rest.metric(narrow, "shardproxy_pool_waiting"), "a waiting fan-out")
            waiter.cancel()
            messages = waiter.read("Z")
            assert [parse_error(body)["C"] for kind, body in messages if kind == ord("E")] == ["57014"]
        rest.at_rest(narrow, cluster)


# --- slow readers -------------------------------------------------------------------------------------------


@pytest.fixture
def slow(proxy: Proxy) -> Iterator[WireClient]:
    """A client with a small receive buffer."""
    with WireClient(proxy.dsn()) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        yield client


def stalled(cluster: Cluster) -> Callable[[], bool]:
    """Whether every shard waits for somebody to take its rows."""

    def holds() -> bool:
        for shard in ALL:
            with rest.superuser(cluster.dsn(shard, superuser=True)) as run:
                if not run(f"{rest.SERVING} AND wait_event = 'ClientWrite'"):
                    return False
        return True

    return holds


def test_a_slow_reader_costs_no_memory_and_gets_every_row(
    proxy: Proxy, cluster: Cluster, slow: WireClient
) -> None:
    before = rest.resident_bytes(proxy)
    slow.send(query(b"SELECT tenant_id, order_id, repeat(md5(order_id::text), 6250) FROM orders"))
    rest.wait_until(stalled(cluster), "the shards wait for the client")
    assert rest.resident_bytes(proxy) - before < 16 << 20, "of 100 MB of rows"
    messages = slow.read("Z")
    rows = [body for kind, body in messages if kind == ord("D")]
    assert len(rows) == sample.AMOUNT.orders
    for row in rows:
        tail = row[-200_000:]
        assert tail == tail[:32] * 6250
    assert messages[-2][1] == f"SELECT {len(rows)}\0".encode()


def check_big_rows(messages: list[tuple[int, bytes]]) -> int:
    """How many whole rows of :data:`BIG_ROWS` there are; every byte is looked at."""
    rows = [body for kind, body in messages if kind == ord("D")]
    for row in rows:
        text = row[-1_000_000:]
        assert text == text[:32] * 31250
        assert row[6:-1_000_004].isdigit()
    return len(rows)


def test_large_rows_of_several_shards_do_not_mix(proxy: Proxy, cluster: Cluster, slow: WireClient) -> None:
    with psycopg.connect(cluster.oracle_dsn()) as oracle:
        wanted = oracle.execute("SELECT count(*) FROM orders WHERE order_id % 8 = 0").fetchone()
    slow.send(query(BIG_ROWS.encode()))
    rest.wait_until(stalled(cluster), "the shards wait for the client")
    assert (check_big_rows(slow.read("Z")),) == wanted


def test_a_shard_lost_while_its_row_is_on_the_way_ends_the_session(
    proxy: Proxy, cluster: Cluster, slow: WireClient
) -> None:
    slow.send(query(BIG_ROWS.encode()))
    rest.wait_until(stalled(cluster), "the shards wait for the client")
    for shard in ALL:  # one of them has part of a row with the client
        with rest.superuser(cluster.dsn(shard, superuser=True)) as run:
            run(f"SELECT pg_terminate_backend(pid) FROM ({rest.SERVING} AND state = 'active') AS it")
    messages: list[tuple[int, bytes]] = []
    with pytest.raises(ConnectionError):
        slow.read("Z", messages)
    assert {chr(kind) for kind, _ in messages} == {"T", "D"}, "whole rows, and then the end"
    check_big_rows(messages)


def test_an_error_while_a_row_is_on_the_way_comes_behind_the_row(
    proxy: Proxy, cluster: Cluster, slow: WireClient
) -> None:
    failing = cluster.owner("hooli")
    others = [shard for shard in ALL if shard != failing]
    neighbours = ", ".join(f"'{tenant}'" for tenant in cluster.tenants_of(failing) if tenant != "hooli")
    sql = (
        "SELECT repeat('x', 8000000), 1 / length(replace(tenant_id, 'hooli', '')) FROM orders"
        f" WHERE order_id % 7 = 0 AND tenant_id NOT IN ({neighbours})"
    )
    with rest.locked(cluster, failing):
        slow.send(query(sql.encode()))
        rest.wait_until_blocked(cluster, failing)
        for shard in others:
            with rest.superuser(cluster.dsn(shard, superuser=True)) as run:
                rest.wait_until(
                    lambda run=run: run(f"{rest.SERVING} AND wait_event = 'ClientWrite'"),  # type: ignore[misc]
                    "a row on the way",
                )
    # The lock is gone: that shard fails now, with part of another shard's row at the client.
    messages = slow.read("Z")
    kinds = "".join(chr(kind) for kind, _ in messages)
    assert re.fullmatch("TD+EZ", kinds)
    assert all(row[6:8_000_006] == b"x" * 8_000_000 for kind, row in messages if kind == ord("D"))


def test_unexpected_messages_after_a_fan_out_find_the_session_well(proxy: Proxy) -> None:
    with WireClient(proxy.dsn()) as client:
        client.send(query(b"SELECT tenant_id FROM tenants") + message(b"H", b"") + SYNC)
        assert client.read("ZZ")[-1] == (ord("Z"), b"I")

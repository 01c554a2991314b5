"""SHOW, seen with real clients, on a sidecar in front of an installation."""

import re

import asyncpg
import psycopg
import pytest

from shardproxy.version import VERSION
from tests.console.psql import ADMIN, READER, Psql
from tests.support.aio import run
from tests.support.installed import Installed
from tests.support.proxy import Proxy


def reader_dsn(sidecar: Proxy) -> str:
    return sidecar.dsn(user=READER, password=READER, database="shardproxy")


@pytest.mark.parametrize("user", [ADMIN, READER])
def test_who_may_look_sees_everything(console: Psql, user: str) -> None:
    for view in ("VERSION", "SHARDS", "POOLS", "CLIENTS", "SIDECARS", "TENANTS", "MAP", "CONFIG"):
        assert console.rows(f"SHOW {view}", user), view
    commands = {row["command"] for row in console.rows("SHOW HELP", user)}
    assert "SHOW POOLS" in commands
    assert ("RELOAD" in commands) is (user == ADMIN)


def test_shards_say_what_they_are_and_whether_they_are_used(console: Psql, installed: Installed) -> None:
    rows = console.rows("SHOW SHARDS")
    found = {row["shard"]: row for row in rows}
    for shard in installed.cluster.shards:
        row = found[shard.name]
        assert row["address"] == f"127.0.0.1:{shard.primary.port}"
        assert (row["role"], row["state"], row["in_rotation"], row["failure"]) == ("primary", "up", "yes", "")
        assert int(row["epoch"]) >= 1
    assert {row["shard"] for row in console.rows("SHOW POOLS")} == set(found)


def test_clients_are_listed_with_what_they_do(console: Psql) -> None:
    dsn = console.sidecar.dsn() + "?application_name=shop"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET shardproxy.tenant = 'acme'")
        connection.execute("BEGIN")
        connection.execute("SELECT order_id FROM orders LIMIT 1")
        rows = console.rows("SHOW CLIENTS")
        (row,) = [row for row in rows if row["application_name"] == "shop"]
        assert (row["user"], row["state"], row["tenant"]) == ("app", "idle in transaction", "acme")
        assert re.fullmatch(r"127\.0\.0\.1:\d+", row["address"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+00", row["connected"])
        assert [row["user"] for row in rows if row["state"] == "console"] == [ADMIN]


def test_the_catalog_is_shown(console: Psql, installed: Installed) -> None:
    pids = {int(row["pid"]): row["version"] for row in console.rows("SHOW SIDECARS")}
    assert pids[console.sidecar.pid] == VERSION
    assert console.rows("SHOW MAP")[-1]["why"] == "shardproxy init"
    (largest,) = console.rows("SHOW TENANTS LIMIT 1")
    every = {row["tenant"]: row for row in console.rows("SHOW TENANTS LIMIT 10000")}
    assert int(largest["rows"]) == max(int(row["rows"]) for row in every.values())
    assert set(every) == {each for shard in range(3) for each in installed.cluster.tenants_of(shard)}


def test_values_have_types(sidecar: Proxy) -> None:
    with psycopg.connect(reader_dsn(sidecar), autocommit=True) as connection:
        cursor = connection.execute("SHOW SIDECARS")
        assert cursor.description is not None
        types = {column.name: column.type_code for column in cursor.description}
        assert (types["host"], types["pid"], types["seen"]) == (25, 20, 1184)
        row = dict(zip(types, cursor.fetchone() or (), strict=True))
        assert isinstance(row["pid"], int)
        assert row["started"] <= row["seen"]
        assert cursor.statusmessage == "SHOW"


def test_psql_gets_an_error_for_what_it_asks_by_itself(console: Psql) -> None:
    for each in ("\\l", "\\d orders", "SELECT 1"):
        assert "42601: this is no command of the console" in console.error(each)
    done = console.run("", "SHOW VERSION")
    assert done.stdout.splitlines()[:2] == ["version", f"shardproxy {VERSION}"]


def test_the_simple_protocol_is_all_it_speaks(sidecar: Proxy) -> None:
    async def main() -> None:
        connection = await asyncpg.connect(reader_dsn(sidecar))
        try:
            assert await connection.execute("SHOW POOLS") == "SHOW"
            for _ in range(2):
                with pytest.raises(asyncpg.FeatureNotSupportedError, match="extended query protocol"):
                    await connection.fetch("SHOW POOLS")
            assert await connection.execute("SHOW CONFIG") == "SHOW"
            with pytest.raises(asyncpg.PostgresSyntaxError):
                await connection.execute("SHOW POOLS; SHOW POOLS")
            assert await connection.execute("SHOW POOLS") == "SHOW"
        finally:
            connection.terminate()

    run(main(), 30)


def test_a_statement_can_be_cancelled(sidecar: Proxy, installed: Installed) -> None:
    """TENANTS waits for a table that somebody has locked."""

    async def main() -> None:
        async with installed.operator() as operator, operator.transaction():
            connection = await asyncpg.connect(reader_dsn(sidecar))
            try:
                await operator.execute("LOCK TABLE public.orders")
                with pytest.raises(TimeoutError):  # asyncpg sends a cancel request then
                    await connection.execute("SHOW TENANTS", timeout=0.5)
                assert await connection.execute("SHOW VERSION", timeout=5) == "SHOW"
            finally:
                connection.terminate()

    run(main(), 30)

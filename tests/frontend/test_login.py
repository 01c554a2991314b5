"""Letting applications in, by every driver, and keeping others out."""

import asyncio
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psycopg
import pytest

from shardproxy.errors import ShardproxyError
from shardproxy.wire.client_messages import query
from tests.support import rest
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy
from tests.support.wire_client import WireClient

# --- the way in ---------------------------------------------------------------------------------------------


def by_asyncpg(dsn: str) -> str:
    async def main() -> str:
        connection = await asyncpg.connect(dsn, ssl=False)
        try:
            return str(await connection.fetchval("SELECT 'in'"))
        finally:
            await connection.close()

    return asyncio.run(main())


def by_psycopg(dsn: str) -> str:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT 'in'").fetchone()
        assert row is not None
        return str(row[0])


def by_psql(psql: Path, dsn: str) -> subprocess.CompletedProcess[str]:
    command = [str(psql), "-X", "-A", "-t", "-c", "SELECT 'in'", dsn]
    environment = {"PATH": os.environ["PATH"], "PGPASSFILE": "/dev/null"}
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=20, env=environment)


@pytest.mark.parametrize("user", ["app", "somebody-else"])
def test_trust_asks_nobody(trusting: Proxy, psql: Path, user: str) -> None:
    dsn = f"postgresql://{user}@127.0.0.1:{trusting.port}/shop"
    assert by_asyncpg(dsn) == by_psycopg(dsn) == "in"
    assert by_psql(psql, dsn).stdout == "in\n"


def test_scram_lets_in_who_has_the_password(proxy: Proxy, psql: Path) -> None:
    assert by_asyncpg(proxy.dsn()) == by_psycopg(proxy.dsn()) == "in"
    assert by_psql(psql, proxy.dsn()).stdout == "in\n"


@pytest.mark.parametrize("sslmode", ["disable", "allow", "prefer"])
def test_clients_that_would_like_encryption_come_in_without(proxy: Proxy, sslmode: str) -> None:
    assert by_psycopg(f"{proxy.dsn()}?sslmode={sslmode}") == "in"


def test_clients_that_insist_on_encryption_hear_that_there_is_none(proxy: Proxy) -> None:
    with pytest.raises(psycopg.OperationalError, match="server does not support SSL, but SSL was required"):
        by_psycopg(f"{proxy.dsn()}?sslmode=require")


@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_both_protocol_versions_are_spoken(proxy: Proxy, psql: Path, version: str) -> None:
    dsn = f"{proxy.dsn()}?min_protocol_version={version}&max_protocol_version={version}"
    done = by_psql(psql, dsn)
    if 'invalid URI query parameter: "min_protocol_version"' in done.stderr:
        pytest.skip("this libpq speaks only 3.0")
    assert (done.stdout, done.stderr) == ("in\n", "")


@pytest.mark.parametrize(("minor", "secret"), [(0, 4), (2, 32)])
def test_cancel_keys_are_as_long_as_the_version_allows(proxy: Proxy, minor: int, secret: int) -> None:
    with WireClient(proxy.dsn(), minor=minor) as client:
        assert client.login.minor == minor
        assert len(client.login.secret) == secret


def test_what_a_server_reports_is_reported(proxy: Proxy, cluster: Cluster) -> None:
    with WireClient(proxy.dsn()) as ours, WireClient(cluster.dsn(0)) as theirs:
        assert ours.login.parameters == {**theirs.login.parameters, "application_name": "shardproxy"}


# --- who stays out ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("user", "password"), [("app", "wrong"), ("nobody", "app"), ("app", "")])
def test_a_wrong_password_and_an_unknown_user_look_the_same(
    proxy: Proxy, psql: Path, user: str, password: str
) -> None:
    failed = rest.metric(proxy, "shardproxy_logins_failed_total")
    dsn = f"postgresql://{user}:{password or 'x'}@127.0.0.1:{proxy.port}/shop"
    wording = f'password authentication failed for user "{user}"'
    with pytest.raises(asyncpg.InvalidPasswordError, match=wording):
        by_asyncpg(dsn)
    with pytest.raises(psycopg.OperationalError, match=f"FATAL:  {wording}"):
        by_psycopg(dsn)
    assert f"FATAL:  {wording}" in by_psql(psql, dsn).stderr
    assert rest.metric(proxy, "shardproxy_logins_failed_total") == failed + 3


def test_another_database_does_not_exist_for_who_logged_in(proxy: Proxy) -> None:
    with pytest.raises(asyncpg.InvalidCatalogNameError, match='database "postgres" does not exist'):
        by_asyncpg(proxy.dsn(database="postgres"))
    with pytest.raises(psycopg.OperationalError, match='database "postgres" does not exist'):
        by_psycopg(proxy.dsn(database="postgres"))


def test_who_has_not_logged_in_does_not_learn_which_databases_there_are(proxy: Proxy) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        by_asyncpg(proxy.dsn(database="postgres", password="wrong"))


def test_one_client_too_many_is_told_so_and_comes_in_later(trusting: Proxy) -> None:
    dsn = f"postgresql://app@127.0.0.1:{trusting.port}/shop"
    with ExitStack() as stack:
        clients = [stack.enter_context(WireClient(dsn)) for _ in range(5)]
        with pytest.raises(ShardproxyError, match="sorry, too many clients already") as caught:
            WireClient(dsn)
        assert caught.value.sqlstate == "53300"
        clients[0].close()
        rest.wait_until(lambda: rest.metric(trusting, "shardproxy_clients") == 4, "one has left")
        assert stack.enter_context(WireClient(dsn)).query("SELECT 1")[-1].endswith("I")
    rest.wait_until(lambda: rest.metric(trusting, "shardproxy_clients") == 0, "all have left")


# --- settings of the start-up packet ------------------------------------------------------------------------

SETTINGS = {
    "application_name": "the shop",
    "TimeZone": "Asia/Kathmandu",
    "DateStyle": "SQL, DMY",
    "search_path": 'pg_catalog, "$user", public',
    "statement_timeout": "12345",
    "extra_float_digits": "-3",
    "client_encoding": "utf8",
}


def shown(client: WireClient) -> dict[str, list[str]]:
    return {name: client.query(f"SHOW {name}") for name in SETTINGS}


def test_settings_of_the_startup_packet_hold_for_the_session(proxy: Proxy, cluster: Cluster) -> None:
    with (
        WireClient(proxy.dsn(), settings=SETTINGS) as ours,
        WireClient(cluster.oracle_dsn(), settings=SETTINGS) as theirs,
    ):
        assert ours.login.parameters == theirs.login.parameters
        assert shown(ours) == shown(theirs)
        for client in (ours, theirs):
            client.query("SET timezone = 'UTC'")
            client.query("RESET timezone")
        assert shown(ours) == shown(theirs), "RESET brings back what the start-up packet said"
    with WireClient(proxy.dsn()) as other:
        assert other.query("SHOW timezone") != theirs.query("SHOW timezone")
        assert other.login.parameters["application_name"] == "shardproxy"


@pytest.mark.parametrize(
    "settings",
    [
        {"TimeZone": "Nowhere/Else"},
        {"options": "-c work_mem=plenty"},
        {"options": "-c statement_timeout=-5"},
        {"options": "--DateStyle=never"},
        {"options": "-c"},
        {"nonsense": "1"},
        {"work_mem": "1kB"},
    ],
    ids=str,
)
def test_a_bad_setting_is_fatal_in_postgresqls_words(
    proxy: Proxy, cluster: Cluster, settings: dict[str, str]
) -> None:
    async def refusal(dsn: str) -> tuple[str | None, str]:
        with pytest.raises(asyncpg.PostgresError) as caught:
            await asyncpg.connect(dsn, server_settings=settings)
        return caught.value.sqlstate, str(caught.value.args[0]).partition("\n")[0]

    assert asyncio.run(refusal(proxy.dsn())) == asyncio.run(refusal(cluster.oracle_dsn()))


def test_a_tenant_and_a_read_policy_can_be_named_at_startup(proxy: Proxy, cluster: Cluster) -> None:
    options = quote("-c shardproxy.tenant=hooli -c shardproxy.read=replica")
    with psycopg.connect(f"{proxy.dsn()}?options={options}", autocommit=True) as connection:
        rows = connection.execute("SELECT DISTINCT tenant_id FROM orders").fetchall()
        assert rows == [("hooli",)]
        assert connection.execute("SHOW shardproxy.read").fetchone() == ("replica",)
        connection.execute("SET shardproxy.tenant = 'stark'")
        connection.execute("RESET shardproxy.tenant")
        assert connection.execute("SHOW shardproxy.tenant").fetchone() == ("hooli",)


@pytest.mark.parametrize("encoding", ["UTF8", "'utf-8'", "unicode", "SQL_ASCII"])
def test_clients_that_take_utf8_are_welcome(proxy: Proxy, encoding: str) -> None:
    with WireClient(proxy.dsn(), settings={"client_encoding": encoding}) as client:
        assert client.login.parameters["client_encoding"] == "UTF8"
        client.send(query("SELECT 'Zoë'".encode()))
        assert "Zoë".encode() in client.read("D")[-1][1]


@pytest.mark.parametrize(
    ("settings", "sqlstate", "wording"),
    [
        ({"shardproxy.read": "wild"}, "22023", 'invalid value for parameter "shardproxy.read": "wild"'),
        ({"shardproxy.nothing": "1"}, "42704", "unrecognized configuration parameter"),
        ({"session_authorization": "postgres"}, "42704", "unrecognized configuration parameter"),
        ({"client_encoding": "SJIS"}, "22023", 'invalid value for parameter "client_encoding": "SJIS"'),
        ({"client_encoding": "LATIN1"}, "0A000", "client_encoding LATIN1"),
        ({"replication": "database"}, "0A000", "replication connections are not accepted"),
    ],
    ids=str,
)
def test_a_setting_of_ours_that_is_wrong_is_fatal(
    proxy: Proxy, settings: dict[str, str], sqlstate: str, wording: str
) -> None:
    async def main() -> None:
        with pytest.raises(asyncpg.PostgresError, match=wording) as caught:
            await asyncpg.connect(proxy.dsn(), server_settings=settings)
        assert caught.value.sqlstate == sqlstate

    asyncio.run(main())

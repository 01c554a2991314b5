"""psql in a terminal: prompts, Ctrl-C, passwords, tab completion."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import psycopg
import pytest

from tests.psql.conftest import DEBIAN
from tests.psql.typing_person import Person, Psql
from tests.support import rest
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

Opens = Callable[..., AbstractContextManager[Person]]


def wait_until_it_runs(cluster: Cluster, sql: str) -> None:
    """Return when some shard runs a statement that contains ``sql``."""
    deadline = time.monotonic() + 10
    query = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'active' AND strpos(query, %s) > 0"
    connections = [psycopg.connect(cluster.dsn(i), autocommit=True) for i in range(len(cluster.shards))]
    try:
        while time.monotonic() < deadline:
            if any(connection.execute(query, [sql]).fetchone() != (0,) for connection in connections):
                return
    finally:
        for connection in connections:
            connection.close()
    raise AssertionError(f"no shard runs {sql}")


def test_the_prompt_follows_the_transaction(person: Opens) -> None:
    with person() as psql:
        states = [psql.state]
        for line in (
            "BEGIN;",
            "SELECT 1;",
            "SELECT nope;",
            "SELECT 1;",
            "ROLLBACK;",
            "BEGIN;",
            "SELECT * FRO x;",
            "COMMIT;",
            "BEGIN;",
            "DELETE FROM orders;",
            "ROLLBACK;",
            "SELECT",
            "1;",
        ):
            psql.enter(line)
            states.append(psql.state)
        assert states == ["=", "=*", "=*", "=!", "=!", "=", "=*", "=!", "=", "=*", "=!", "=", "-", "="]


@pytest.mark.parametrize("block", [False, True])
def test_ctrl_c_cancels_and_the_session_goes_on(cluster: Cluster, person: Opens, block: bool) -> None:
    with person() as psql:
        if block:
            psql.enter("BEGIN;")
        psql.send("SELECT pg_sleep(41);\n")
        wait_until_it_runs(cluster, "pg_sleep(41)")
        psql.send("\x03")
        told = psql.answer()
        assert told == "Cancel request sent\nERROR:  canceling statement due to user request\n"
        assert psql.state == ("=!" if block else "=")
        psql.enter("ROLLBACK;")
        assert "on\n" in psql.enter("SELECT 'on';")


def test_ctrl_c_cancels_on_every_shard(cluster: Cluster, person: Opens) -> None:
    everywhere = range(len(cluster.shards))
    with rest.locked(cluster, *everywhere), person() as psql:
        psql.send("SELECT * FROM orders;\n")
        rest.wait_until_blocked(cluster, *everywhere)
        psql.send("\x03")
        assert "ERROR:  canceling statement due to user request" in psql.answer()
        assert "on\n" in psql.enter("SELECT 'on';")


def test_ctrl_c_stops_watch(person: Opens) -> None:
    with person() as psql:
        psql.send("SELECT count(*) > 0 FROM orders WHERE tenant_id = 'hooli' \\watch 0.05\n")
        for _ in range(2):
            psql.expect(r"\(1 row\)")
        psql.send("\x03")
        psql.answer()
        assert "on\n" in psql.enter("SELECT 'on';")


def test_timing_is_told(person: Opens) -> None:
    with person() as psql:
        psql.enter("\\timing on")
        assert "Time: " in psql.enter("SELECT count(*) FROM orders WHERE tenant_id = 'hooli';")


def test_a_password_is_asked_for(proxy: Proxy, person: Opens) -> None:
    with person(proxy.dsn().replace(":app@", "@"), greeted=False) as psql:
        psql.expect("Password for user app: ")
        psql.send("app\n")
        psql.answer()
        assert "app" in psql.enter("SELECT current_user;")


@pytest.mark.parametrize(("user", "password"), [("app", "wrong"), ("nobody", "app")])
def test_a_wrong_password_is_told_as_the_server_tells_it(
    proxy: Proxy, newest: Psql, user: str, password: str
) -> None:
    done = newest.start(proxy.dsn(user=user, password=password))
    assert done.returncode == 2
    assert f'FATAL:  password authentication failed for user "{user}"' in done.stdout


def test_another_database_is_refused_with_the_name_of_the_one_there_is(proxy: Proxy, newest: Psql) -> None:
    done = newest.start(proxy.dsn(database="postgres"))
    assert done.returncode == 2
    assert 'FATAL:  database "postgres" does not exist' in done.stdout
    assert '"shop"' in done.stdout


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("SELECT * FROM currenc\t", "SELECT * FROM currencies "),
        ("\\d currenc\t", "ies"),
        ("UPDATE currencies SET minor\t", "minor_units "),
        ("SET shardproxy.te\t", "SET shardproxy.te"),
        ("SHOW work_m\t", "work_mem "),
    ],
)
def test_tab_completes_names(person: Opens, typed: str, shown: str) -> None:
    if not DEBIAN.exists():
        pytest.skip("needs a psql with readline: Debian's")
    with person(program=DEBIAN, readline=True) as psql:
        psql.send(typed)
        psql.expect(shown.replace("\\", r"\\").replace("*", r"\*"))
        psql.send("\x03")
        psql.answer()
        assert "on\n" in psql.enter("SELECT 'on';")

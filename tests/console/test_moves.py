"""Moves from the console: driven by processes beside the sidecar, as its admins say."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from shardproxy.console.children import Children
from shardproxy.demo.cluster import DATABASE
from shardproxy.errors import Unavailable
from tests.console.psql import ADMIN, Psql, sections
from tests.support import sample
from tests.support.aio import run
from tests.support.installed import Installed
from tests.support.proxy import Proxy
from tests.support.rest import wait_until


def where(sidecar: Proxy, tenant: str) -> str:
    """The shard that answers for a tenant, and has it."""
    with psycopg.connect(sidecar.dsn(), autocommit=True) as connection:
        row = connection.execute(
            "SELECT current_setting('cluster_name') FROM tenants WHERE tenant_id = %s", (tenant,)
        ).fetchone()
    assert row is not None
    return str(row[0])


def other(shard: str) -> str:
    return sample.SHARDS[(sample.SHARDS.index(shard) + 1) % len(sample.SHARDS)]


def move(console: Psql, number: str) -> dict[str, str]:
    (found,) = [row for row in console.rows("SHOW MOVES") if row["move"] == number]
    return found


def wait_for_move(console: Psql, number: str, state: str) -> None:
    wait_until(lambda: move(console, number)["state"] == state, f"move {number} is {state}")


@contextmanager
def held_up(installed: Installed, shard: str) -> Iterator[None]:
    """No copy of a shard's rows can begin: a transaction is open there that has an xid."""
    primary = installed.cluster.shards[sample.SHARDS.index(shard)].primary
    with psycopg.connect(primary.dsn(dbname=DATABASE), autocommit=True) as old:
        old.execute("SELECT shardproxy.enter(0, NULL)")
        old.execute("BEGIN; SELECT pg_current_xact_id()")
        yield


def test_a_tenant_moves_and_the_statement_does_not_wait_for_it(console: Psql) -> None:
    source = where(console.sidecar, "acme")
    target = other(source)
    (row,) = console.rows(f"MOVE TENANT 'acme' TO '{target}'")
    assert row["state"] == "running"
    wait_for_move(console, row["move"], "done")
    found = move(console, row["move"])
    assert (found["source"], found["target"], found["what"]) == (source, target, "acme")
    assert int(found["rows"]) > 0
    assert where(console.sidecar, "acme") == target
    console.sidecar.wait_for_log(rf"= move {row['move']}: copying")
    console.sidecar.wait_for_log(r"= MOVE TENANT acme: done")
    again = console.run(f"MOVE TENANT 'acme' TO '{target}'")
    assert (again.returncode, again.stdout) == (0, "move|state\n(0 rows)\n")
    assert "NOTICE:  00000: the tenants are there already" in again.stderr


def test_what_the_command_says_against_it_is_the_statements_error(
    console: Psql, installed: Installed
) -> None:
    before = console.rows("SHOW MOVES")
    assert "nowhere" in console.error("MOVE TENANT 'acme' TO 'nowhere'")
    assert "P0002: there is no move 4711" in console.error("ABORT MOVE 4711")
    source = where(console.sidecar, "acme")
    target = other(source)
    primary = installed.cluster.shards[sample.SHARDS.index(target)].primary
    primary.query("ALTER TABLE orders ADD extra int", dbname=DATABASE)
    try:
        said = console.error(f"MOVE TENANT 'acme' TO '{target}'")
    finally:
        primary.query("ALTER TABLE orders DROP extra", dbname=DATABASE)
    assert "55000: the move cannot begin: 1 obstacle" in said
    assert "DETAIL:  - the schemas differ: orders.extra" in said
    assert console.rows("SHOW MOVES") == before


def test_names_are_names_whatever_they_look_like(console: Psql) -> None:
    said = console.error("MOVE TENANT '--dry-run', '-c', '$(reboot)' TO 'shard-b'")
    assert "55000: the move cannot begin: 3 obstacles" in said
    for name in ("--dry-run", "-c", "$(reboot)"):
        assert f"- {name} has no rows on any table" in said
    assert 'the shard "--help" is unknown' in console.error("MOVE TENANT 'acme' TO '--help'")


def test_an_abort_stops_who_drives_the_move(console: Psql, installed: Installed) -> None:
    source = where(console.sidecar, "globex")
    with held_up(installed, source):
        (row,) = console.rows(f"MOVE TENANT 'globex' TO '{other(source)}'")
        number = row["move"]
        wait_until(lambda: move(console, number)["step"] == "copy", "it copies")
        assert f"55006: this sidecar drives move {number} already" in console.error(f"RESUME MOVE {number}")
        (aborting,) = console.rows(f"ABORT MOVE {number}")
        assert aborting == {"move": number, "state": "aborting"}
        wait_for_move(console, number, "aborted")
    assert where(console.sidecar, "globex") == source
    console.sidecar.wait_for_log(f"= ABORT MOVE {number}: aborted")
    assert console.rows(f"RESUME MOVE {number}") == [{"move": number, "state": "aborted"}]


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_a_sidecar_that_ends_leaves_a_move_that_another_resumes(
    installed: Installed, psql: Path, killed: bool
) -> None:
    catalog = installed.cluster.shards[0].primary
    with Proxy(installed.config(**sections())) as first:
        console = Psql(psql, first)
        source = where(first, "globex")
        target = other(source)
        with held_up(installed, source):
            (row,) = console.rows(f"MOVE TENANT 'globex' TO '{target}'")
            number = row["move"]
            wait_until(lambda: move(console, number)["step"] == "copy", "it copies")
            drivers = (
                f"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shardproxy mover {number}'"
            )
            assert catalog.query(drivers) == "1"
            if killed:
                first.kill()
            else:
                assert first.stop() == 0
            wait_until(lambda: catalog.query(drivers) == "0", "nobody drives it")
    with Proxy(installed.config(**sections())) as second:
        console = Psql(psql, second)
        left = move(console, number)
        assert (left["state"], left["step"], bool(left["failure"])) == ("running", "copy", True)
        assert where(second, "globex") == source
        assert console.rows(f"RESUME MOVE {number}") == [{"move": number, "state": "running"}]
        wait_for_move(console, number, "done")
        assert where(second, "globex") == target


def test_without_an_operator_nothing_is_moved(installed: Installed, psql: Path) -> None:
    with Proxy(installed.config(**sections(operator={}))) as proxy:
        console = Psql(psql, proxy)
        for command in ("MOVE TENANT 'acme' TO 'shard-c'", "RESUME MOVE 1", "ABORT MOVE 1"):
            said = console.error(command)
            assert "0A000: shardproxy does not run this statement" in said
            assert "without an operator's login" in said
            assert "HINT:  Add the section operator" in said
        proxy.config["operator"] = {"user": "operator", "password_env": "NOT_SET_ANYWHERE"}
        proxy.write_config()
        assert console.run("RELOAD").returncode == 0
        assert "NOT_SET_ANYWHERE has no password" in console.error("MOVE TENANT 'acme' TO 'shard-c'")


def test_a_statement_that_is_cancelled_early_moves_nothing(console: Psql, installed: Installed) -> None:
    """The obstacles are looked for on a server that hangs."""
    source = where(console.sidecar, "acme")
    before = console.rows("SHOW MOVES")
    hung = installed.cluster.shards[sample.SHARDS.index(other(source))].primary
    hung.pause()
    try:
        with psycopg.connect(
            console.sidecar.dsn(user=ADMIN, password=ADMIN, database="shardproxy"), autocommit=True
        ) as connection:
            timer = threading.Timer(1.5, connection.cancel_safe)
            timer.start()
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute(f"MOVE TENANT 'acme' TO '{other(source)}'")
            timer.join()
            assert connection.execute("SHOW VERSION").rowcount == 1
        console.sidecar.wait_for_log(r"! MOVE TENANT acme: ")
    finally:
        hung.resume()
    assert console.rows("SHOW MOVES") == before


def test_so_many_at_a_time_and_no_more(tmp_path: Path) -> None:
    async def main() -> None:
        children = Children(tmp_path / "shardproxy.yaml", most=0)
        with pytest.raises(Unavailable, match="drives 0 moves already"):
            await children.start("MOVE TENANT", ("tenant", "move"), (), "running")

    run(main())

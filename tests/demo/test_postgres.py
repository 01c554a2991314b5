"""The life of a real server: what other tests rely on when they kill, pause and promote."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from shardproxy.demo.errors import DemoError
from shardproxy.demo.postgres import Install, Run, Server
from shardproxy.demo.watchdog import descendants, is_alive
from tests.support import aio

NewServer = Callable[..., Server]


def test_a_server_answers_over_tcp_with_a_password_and_over_the_socket_without(new_server: NewServer) -> None:
    server = new_server()

    async def ask(dsn: str) -> Any:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval("SELECT current_setting('cluster_name')")
        finally:
            await connection.close()

    assert aio.run(ask(server.dsn())) == "server"
    assert aio.run(ask(server.dsn(socket=True, password="none"))) == "server"
    with pytest.raises(asyncpg.InvalidPasswordError):
        aio.run(ask(server.dsn(password="wrong")))
    assert server.query("SELECT 1, NULL, 'b'; SELECT 2") == "1||b\n2"
    with pytest.raises(DemoError, match="division by zero"):
        server.query("SELECT 1/0")


def test_kill_leaves_no_process_at_once_and_the_server_recovers_on_its_port(new_server: NewServer) -> None:
    server = new_server()
    server.query("CREATE TABLE kept AS SELECT 1 AS n")
    port, tree = server.port, descendants(server.pid)
    assert len(tree) > 3
    server.kill()
    assert not server.is_running
    assert not server.is_ready()
    assert [pid for pid in tree if is_alive(pid)] == []
    server.start()
    assert (server.port, server.query("SELECT n FROM kept")) == (port, "1")


def test_a_paused_server_keeps_its_connections_and_answers_none_of_them(new_server: NewServer) -> None:
    server = new_server()

    async def go() -> Any:
        connection = await asyncpg.connect(server.dsn())
        try:
            server.pause()
            query = asyncio.ensure_future(connection.fetchval("SELECT 7"))
            done, _ = await asyncio.wait({query}, timeout=0.2)
            assert not done
            assert not await asyncio.to_thread(server.is_ready)
            server.resume()
            return await query
        finally:
            server.resume()
            await connection.close()

    assert aio.run(go()) == 7
    assert server.is_ready()


def test_a_paused_server_can_be_stopped_and_killed(new_server: NewServer) -> None:
    for name, end in (("stopped", Server.stop), ("killed", Server.kill)):
        server = new_server(name)
        server.pause()
        end(server)
        assert not server.is_running


def test_a_replica_follows_and_becomes_a_primary_when_promoted(new_server: NewServer) -> None:
    primary = new_server("primary")
    replica = primary.basebackup("replica").start()
    primary.query("CREATE TABLE t AS SELECT generate_series(1, 100) AS n")
    replica.wait_for_replay(primary)
    assert replica.query("SELECT count(*), pg_is_in_recovery() FROM t") == "100|t"
    assert primary.query("SELECT application_name FROM pg_stat_replication") == "replica"
    assert replica.query("SHOW cluster_name") == "replica"
    identifier = "SELECT system_identifier FROM pg_control_system()"
    assert primary.query(identifier) == replica.query(identifier)
    primary.kill()
    replica.promote()
    replica.query("INSERT INTO t VALUES (101)")
    assert replica.query("SELECT count(*), pg_is_in_recovery() FROM t") == "101|f"


def test_an_old_primary_can_be_made_to_follow_a_new_one(new_server: NewServer) -> None:
    primary = new_server("primary")
    replica = primary.basebackup("replica").start()
    replica.wait_for_replay(primary)  # it streams, so that a clean shutdown sends it everything
    primary.stop()
    replica.promote()
    primary.follow(replica)
    primary.start()
    replica.query("CREATE TABLE after AS SELECT 1")
    primary.wait_for_replay(replica)
    assert primary.query("SELECT count(*), pg_is_in_recovery() FROM after") == "1|t"


def test_a_replica_that_does_not_replay_is_reported(new_server: NewServer) -> None:
    primary = new_server("primary")
    replica = primary.basebackup("replica").start()
    replica.query("SELECT pg_wal_replay_pause()")
    primary.query("CREATE TABLE t ()")
    with pytest.raises(DemoError, match="has not replayed"):
        replica.wait_for_replay(primary, timeout=0.2)


def test_settings_are_changed_not_repeated_and_survive_restarts(new_server: NewServer) -> None:
    server = new_server(settings={"work_mem": "5MB", "search_path": '"it\'s", public'})
    assert server.query("SHOW work_mem; SHOW search_path") == '5MB\n"it\'s", public'
    server.configure({"work_mem": "6MB"})
    server.restart()
    assert server.query("SHOW work_mem") == "6MB"
    assert (server.data_dir / "shardproxy.conf").read_text().count("work_mem") == 1


@pytest.mark.parametrize("auth", ["trust", "scram-sha-256"])
def test_tcp_logins_use_the_method_asked_for(new_server: NewServer, auth: str) -> None:
    server = new_server(auth=auth)
    rules = server.query("SELECT DISTINCT auth_method FROM pg_hba_file_rules WHERE type = 'host'")
    assert rules == auth


def test_a_server_that_cannot_start_says_why(new_server: NewServer) -> None:
    server = new_server()
    server.stop()
    server.configure({"shared_buffers": "nonsense"})
    with pytest.raises(DemoError, match="invalid value for parameter"):
        server.start()


def test_a_port_taken_before_the_first_start_is_exchanged(run: Run, template: Server) -> None:
    server = Server.create(run, "server", template=template)
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", server.port))
        thief.listen()
        taken = server.port
        server.start()
        assert server.port != taken
        assert server.query("SHOW port") == str(server.port)


def test_a_port_taken_later_is_an_error_and_not_exchanged(new_server: NewServer) -> None:
    server = new_server()
    server.stop()
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", server.port))
        thief.listen()
        with pytest.raises(DemoError, match=f"did not get its port {server.port}"):
            server.start()


def test_a_running_server_is_no_template(run: Run, new_server: NewServer) -> None:
    with pytest.raises(DemoError, match="server is running, so it cannot be copied"):
        Server.create(run, "copy", template=new_server())


def test_a_run_ends_its_servers_and_removes_its_directory(install: Install) -> None:
    with pytest.raises(ZeroDivisionError), Run(install) as run:
        server = Server.create(run, "server").start()
        tree = descendants(server.pid)
        raise ZeroDivisionError
    assert [pid for pid in tree if is_alive(pid)] == []
    assert not run.directory.exists()


def test_a_named_directory_is_kept_and_opened_again(install: Install) -> None:
    with Run(install) as outer:
        directory = (
            outer.directory / "kept with a rather long name that no socket's path has room for" / ("x" * 40)
        )
        with Run(install, directory) as run:
            Server.create(run, "server").start().query("CREATE TABLE t AS SELECT 1 AS n")
            sockets = run.servers[0].socket_dir  # type: ignore[attr-defined]
        assert not sockets.exists()
        with Run(install, directory) as run:
            server = Server.open(run, "server").start()
            assert server.query("SELECT n FROM t; SHOW fsync") == "1\non"
            with pytest.raises(DemoError, match="no PostgreSQL server in"):
                Server.open(run, "other")
            (run.directory / "old").mkdir()
            (run.directory / "old" / "PG_VERSION").write_text("9.6\n")
            with pytest.raises(DemoError, match=r"old is of PostgreSQL 9\.6, and .* has PostgreSQL \d+"):
                Server.open(run, "old")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_a_directory_the_other_user_cannot_enter_is_refused(install: Install, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(DemoError, match="cannot enter"):
        Run(install, tmp_path / "data")

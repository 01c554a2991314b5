"""Who may do what: everybody else tries."""

import signal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.console.psql import ADMIN, READER, Psql, sections
from tests.support.installed import OPERATOR_PASSWORD, Installed
from tests.support.proxy import Proxy

CHANGES = ("MOVE TENANT 'acme' TO 'shard-c'", "RESUME MOVE 1", "ABORT MOVE 1", "RELOAD")


@pytest.mark.parametrize("command", CHANGES)
def test_a_reader_changes_nothing(console: Psql, command: str) -> None:
    before = console.rows("SHOW MOVES")
    said = console.error(command, READER)
    assert "42501: permission denied" in said
    assert f'User "{READER}" is not in console.admins.' in said
    assert console.rows("SHOW MOVES") == before


def test_an_application_cannot_open_it(console: Psql) -> None:
    said = console.error("SHOW VERSION", "app")
    assert 'permission denied for database "shardproxy"' in said
    assert "neither in console.admins nor in console.readers" in said


def test_a_wrong_password_is_no_way_in_and_tells_nothing(console: Psql) -> None:
    for user in (ADMIN, "app", "nobody"):
        done = console.run("SHOW VERSION", user=user, password="guess")
        assert (done.returncode, done.stdout) == (2, "")
        assert f'password authentication failed for user "{user}"' in done.stderr


def test_the_applications_database_is_no_console(sidecar: Proxy) -> None:
    with psycopg.connect(sidecar.dsn(user=ADMIN, password=ADMIN), autocommit=True) as connection:
        for command in ("SHOW POOLS", *CHANGES):
            with pytest.raises(psycopg.Error):
                connection.execute(command)


def test_without_the_section_it_is_open_to_nobody(installed: Installed, psql: Path) -> None:
    with Proxy(installed.config(**sections(console={}))) as proxy:
        assert "neither in console.admins" in Psql(psql, proxy).error("SHOW VERSION")


def test_no_secret_is_shown(installed: Installed, psql: Path) -> None:
    verifier = "SCRAM-SHA-256$4096:c2FsdA==$" + "A" * 43 + "=:" + "B" * 43 + "="
    users: list[dict[str, Any]] = [
        {"name": ADMIN, "password": "hunter2-of-the-admin"},
        {"name": "app", "password": verifier},
    ]
    config = installed.config(**sections(auth={"users": users}, console={"admins": [ADMIN]}))
    config["operator"] = {"user": "boss", "password": f"{OPERATOR_PASSWORD} hunter2"}
    first, *others = config["shards"]
    config["shards"] = [{**first, "user": "app", "password": config["server"]["password"]}, *others]
    with Proxy(config) as proxy:
        done = Psql(psql, proxy).run("SHOW CONFIG", password="hunter2-of-the-admin")
        shown = dict(line.split("|", 1) for line in done.stdout.splitlines() if "|" in line)
        secrets = [path for path in shown if path.endswith(".password") and shown[path]]
        assert len(secrets) == 5
        assert {shown[path] for path in secrets} == {"********"}
        assert shown["operator.user"] == "boss"
        for secret in ("hunter2", "SCRAM-SHA-256$", "AAAA"):
            assert secret not in done.stdout
            assert secret not in proxy.log


def test_who_was_taken_off_the_list_loses_his_rights_at_once(installed: Installed) -> None:
    with (
        Proxy(installed.config(**sections())) as proxy,
        psycopg.connect(
            proxy.dsn(user=ADMIN, password=ADMIN, database="shardproxy"), autocommit=True
        ) as connection,
    ):
        proxy.config["console"] = {"readers": [READER, ADMIN]}
        proxy.write_config()
        assert connection.execute("RELOAD").statusmessage == "RELOAD"
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"console\.admins"):
            connection.execute("RELOAD")
        assert connection.execute("SHOW VERSION").rowcount == 1
        proxy.config["console"] = {}
        proxy.write_config()
        proxy.signal(signal.SIGHUP)
        proxy.wait_for_log(r"\breloaded")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SHOW VERSION")


def test_a_file_with_mistakes_changes_nothing_and_each_is_told(installed: Installed, psql: Path) -> None:
    with Proxy(installed.config(**sections())) as proxy:
        console = Psql(psql, proxy)
        proxy.config["pool"] = {"sise": 3}
        proxy.write_config()
        said = console.error("RELOAD")
        assert "F0000" in said
        assert "pool.sise" in said
        proxy.config["pool"] = {"size": 3}
        proxy.config["database"] = "other"
        proxy.write_config()
        done = console.run("RELOAD")
        assert done.stdout == "RELOAD\n"
        assert "NOTICE:  00000: a change of database needs a restart and was not taken" in done.stderr

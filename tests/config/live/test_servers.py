"""What ``check --live`` finds about servers, on real ones; and what no server here can show, on values."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from shardproxy.backend.server import Address, Login
from shardproxy.config.document import read_document
from shardproxy.config.live.look import Look, Target
from shardproxy.config.live.servers import judge_servers
from shardproxy.config.report import Report
from shardproxy.demo.postgres import Server
from shardproxy.routing.route import Role
from tests.config.live.conftest import Check
from tests.support.cluster import Cluster


@pytest.fixture
def replicated(replicated_cluster: Cluster) -> dict[str, Any]:
    """The right configuration of the cluster with replicas."""
    return deepcopy(replicated_cluster.config())


def test_a_right_configuration_with_replicas(check: Check, replicated: dict[str, Any]) -> None:
    assert check(replicated)[0] == []


def test_a_server_that_is_not_there(check: Check, config: dict[str, Any], free_port: int) -> None:
    config["shards"][1]["primary"] = f"127.0.0.1:{free_port}"
    assert check(config)[0] == [
        f"shards[1].primary: primary 127.0.0.1:{free_port} cannot be used: Connection refused; "
        "start it, or correct its address or login"
    ]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"password": "wrong"}, 'password authentication failed for user "app"'),
        ({"user": "nobody", "password": "x"}, 'password authentication failed for user "nobody"'),
        ({"database": "nowhere"}, 'database "nowhere" does not exist'),
        ({"user": "app"}, "password authentication failed"),
    ],
)
def test_a_login_that_fails(
    check: Check, config: dict[str, Any], changed: dict[str, str], reason: str
) -> None:
    config["shards"][2] |= changed
    (mistake,) = check(config)[0]
    assert mistake.startswith("shards[2].primary: primary 127.0.0.1:")
    assert reason in mistake or ("password" in reason and "password" in mistake)


def test_the_environment_gives_no_password(
    check: Check, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", config["server"].pop("password"))
    assert len(check(config)[0]) == 3


def test_one_cluster_under_two_names(check: Check, config: dict[str, Any]) -> None:
    primary = config["shards"][0]["primary"]
    config["shards"][1]["primary"] = primary.replace("127.0.0.1", "localhost")
    mistakes, _ = check(config)
    assert mistakes[0].startswith(
        f"shards[1].primary: {primary.replace('127.0.0.1', 'localhost')} is the same cluster as {primary} of "
        "shard 'shard-a' (system identifier "
    )


def test_primary_and_replica_exchanged(check: Check, replicated: dict[str, Any]) -> None:
    shard = replicated["shards"][0]
    shard["primary"], shard["replicas"] = shard["replicas"][0], [shard["primary"]]
    mistakes, _ = check(replicated)
    assert mistakes == [
        f"shards[0].primary: {shard['primary']} is a standby (pg_is_in_recovery); "
        "name the server that takes writes",
        f"shards[0].replicas[0]: {shard['replicas'][0]} is not a standby: it takes writes of its own; "
        "remove it or make it one",
    ]


def test_a_replica_of_another_shard(check: Check, replicated: dict[str, Any]) -> None:
    first, second, _ = replicated["shards"]
    first["replicas"], second["replicas"] = second["replicas"], first["replicas"]
    mistakes, _ = check(replicated)
    assert mistakes == [
        f"shards[0].replicas[0]: {first['replicas'][0]} is a copy of another primary (of shard 'shard-b'); "
        f"list a standby of {first['primary']}",
        f"shards[1].replicas[0]: {second['replicas'][0]} is a copy of another primary (of shard 'shard-a'); "
        f"list a standby of {second['primary']}",
    ]


def test_another_encoding(check: Check, config: dict[str, Any], cluster: Cluster) -> None:
    server: Server = cluster.shards[1].primary
    server.query("CREATE DATABASE latin OWNER app ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        config["shards"][1]["database"] = "latin"
        mistakes, _ = check(config)
    finally:
        server.query("DROP DATABASE latin WITH (FORCE)")
    assert mistakes[0] == (
        "shards[1].primary: the database's encoding is LATIN1; create it anew with ENCODING 'UTF8'"
    )


def seen(shard: int, role: Role = Role.PRIMARY, **facts: Any) -> Look:
    place = ("primary",) if role is Role.PRIMARY else ("replicas", 0)
    address = Address("h", 5432 + shard if role is Role.PRIMARY else 6432 + shard)
    target = Target(shard, f"s{shard}", role, ("shards", shard, *place), address, Login("u", "d"), 1.0)
    good = {"version": 150_000, "version_text": "15.0", "encoding": "UTF8", "system_identifier": shard}
    return Look(target, **(good | {"in_recovery": role is Role.REPLICA} | facts))


@pytest.fixture
def report() -> Report:
    root, _ = read_document(
        "f", "shards:\n  - {primary: a, replicas: [b]}\n  - {primary: c, replicas: [d]}\n"
    )
    assert root is not None
    return Report("f", root)


@pytest.fixture
def judged(report: Report) -> Callable[..., tuple[list[str], list[str]]]:
    def judge(*looks: Look) -> tuple[list[str], list[str]]:
        judge_servers(looks, report)
        return list(map(str, report.mistakes)), list(map(str, report.warnings))

    return judge


def test_good_servers(judged: Callable[..., tuple[list[str], list[str]]]) -> None:
    looks = (seen(0), seen(0, Role.REPLICA), seen(1), seen(1, Role.REPLICA))
    assert judged(*looks) == ([], [])


def test_an_old_version(judged: Callable[..., tuple[list[str], list[str]]]) -> None:
    mistakes, _ = judged(seen(1, version=140_011, version_text="14.11"))
    assert mistakes == ["f:3:15: shards[1].primary: h:5433 is PostgreSQL 14.11; shardproxy needs 15 or newer"]


def test_a_copy_of_no_shard_here(judged: Callable[..., tuple[list[str], list[str]]]) -> None:
    (mistake,), _ = judged(seen(0), seen(0, Role.REPLICA, system_identifier=77))
    assert "h:6432 is a copy of another primary (of no shard here); list a standby of h:5432" in mistake


def test_a_role_that_may_not_see_the_cluster(judged: Callable[..., tuple[list[str], list[str]]]) -> None:
    mistakes, (warning,) = judged(seen(0, system_identifier=None), seen(0, Role.REPLICA))
    assert mistakes == []
    assert "GRANT EXECUTE ON FUNCTION pg_control_system() to the proxy's role" in warning

"""``shardproxy route``: where and why, with the schema of a live shard or the configuration alone."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from shardproxy.topology.keys import KeyFamily, bucket
from tests.cli.conftest import Run
from tests.support.cluster import Cluster

OFFLINE = ("-c", "good.yaml", "--offline")


def explained(shardproxy: Run, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(shardproxy("route", *arguments, "--json").stdout)["statements"]
    return found


def test_a_placed_key(shardproxy: Run) -> None:
    result = shardproxy("route", "SELECT * FROM orders WHERE tenant_id = 'acme'", *OFFLINE)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "SELECT: one shard: b (primary)",
        "  why: the shard that owns its key",
        "  key tenant=acme: placed, shard b",
    ]


def test_a_parameter(shardproxy: Run) -> None:
    (found,) = explained(shardproxy, "SELECT * FROM readings WHERE device_id = $1", "--param", "-7", *OFFLINE)
    (key,) = found["keys"]
    assert (key["text"], key["bucket"]) == ("-7", bucket(KeyFamily.INTEGER, -7))
    assert found["shards"] == [key["shard"]]


def test_a_parameter_that_is_null(shardproxy: Run) -> None:
    (found,) = explained(shardproxy, "SELECT * FROM orders WHERE tenant_id = $1", "-p", r"\N", *OFFLINE)
    assert found["reason"] == "no row can match: every key is NULL"


@pytest.mark.parametrize(
    "arguments",
    [
        ("SELECT * FROM orders", "--tenant", "acme"),
        ("/* shardproxy.tenant='acme' */ SELECT * FROM orders",),
    ],
)
def test_the_tenant_of_the_session(shardproxy: Run, arguments: tuple[str, ...]) -> None:
    (found,) = explained(shardproxy, *arguments, *OFFLINE)
    assert (found["decision"], found["shards"]) == ("one shard", ["b"])
    assert found["reason"] == "the shard of the session's tenant"


def test_another_tenant_than_the_sessions(shardproxy: Run) -> None:
    result = shardproxy("route", "SELECT * FROM orders WHERE tenant_id = 'x'", "--tenant", "acme", *OFFLINE)
    assert result.exit_code == 1
    assert result.stdout.startswith("SELECT: refused\n")
    assert "SQLSTATE: 42501" in result.stdout


@pytest.mark.parametrize("read", ["replica", "primary"])
def test_reads_of_replicas(shardproxy: Run, read: str) -> None:
    sql = "SELECT * FROM orders WHERE tenant_id = 'acme'"
    (found,) = explained(shardproxy, sql, "--read", read, *OFFLINE)
    assert found["role"] == read
    (found,) = explained(shardproxy, f"/* shardproxy.read='{read}' */ {sql}", *OFFLINE)
    assert found["role"] == read


def test_several_shards(shardproxy: Run) -> None:
    (found,) = explained(shardproxy, "SELECT * FROM orders", *OFFLINE)
    assert (found["decision"], found["shards"]) == ("several shards", ["a", "b"])


def test_a_refused_statement_ends_with_1_and_its_reason(shardproxy: Run) -> None:
    result = shardproxy("route", "DELETE FROM orders", *OFFLINE)
    assert result.exit_code == 1
    assert result.stdout.startswith("DELETE: refused\n")
    assert "SQLSTATE: 0A000" in result.stdout
    assert "hint: " in result.stdout


def test_several_statements_in_a_transaction(shardproxy: Run) -> None:
    begin, inside, commit, after = explained(
        shardproxy, "BEGIN; SELECT * FROM orders; COMMIT; SELECT * FROM orders", *OFFLINE
    )
    assert (begin["decision"], inside["decision"]) == ("the session", "refused")
    assert "inside a transaction block" in inside["reason"]
    assert (commit["decision"], after["decision"]) == ("the session", "several shards")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("SELECT * FROM", *OFFLINE), "error: syntax error at end of input"),
        (
            ("SELECT 1", "--tenant", "x", "-c", "ints.yaml", "--offline"),
            "error: invalid input syntax for type",
        ),
        (
            ("/* shardproxy.read='soon' */ SELECT 1", *OFFLINE),
            'error: invalid value for parameter "shardproxy.read"',
        ),
        (("SELECT '\udcff'", *OFFLINE), "error: "),
        (
            ("SELECT 1", "-c", "good.yaml"),
            "error: cannot read the schema from shard 'a' (127.0.0.1:1): Connection",
        ),
    ],
)
def test_what_cannot_be_explained(shardproxy: Run, arguments: tuple[str, ...], message: str) -> None:
    text = Path("good.yaml").read_text().replace("tenant: text", "tenant: int8").replace("{acme: b}", "{}")
    Path("ints.yaml").write_text(text)
    result = shardproxy("route", *arguments)
    assert result.exit_code == 1
    assert message in result.stderr


def test_an_error_is_pointed_at(shardproxy: Run) -> None:
    result = shardproxy("route", "SELECT 1,\n  FROM orders", *OFFLINE)
    assert result.stderr.splitlines() == [
        'error: syntax error at or near "FROM"',
        "LINE 2:   FROM orders",
        "          ^",
    ]


def test_a_value_that_is_missing_is_asked_for(shardproxy: Run) -> None:
    result = shardproxy("route", "SELECT * FROM orders WHERE tenant_id = $1", *OFFLINE)
    assert result.exit_code == 1
    assert "there is no parameter $1" in result.stdout
    assert "--param" in result.stdout


def test_the_schema_of_a_live_shard(shardproxy: Run, cluster: Cluster) -> None:
    """What only the server knows: a view's definition, and which functions change something."""
    Path("live.yaml").write_text(yaml.safe_dump(cluster.config()))
    live = ("-c", "live.yaml")
    tenant = cluster.tenants_of(2)[0]
    (found,) = explained(shardproxy, f"SELECT count(*) FROM orders WHERE tenant_id = '{tenant}'", *live)
    assert (found["shards"], found["read_only"]) == (["shard-c"], True)
    (found,) = explained(shardproxy, f"SELECT random() FROM orders WHERE tenant_id = '{tenant}'", *live)
    assert (found["shards"], found["read_only"]) == (["shard-c"], False)


def test_the_schema_of_another_shard_when_the_designated_one_is_down(
    shardproxy: Run, cluster: Cluster
) -> None:
    config = cluster.config()
    config["shards"][0] |= {"primary": "127.0.0.1:1", "replicas": []}
    Path("live.yaml").write_text(yaml.safe_dump(config))
    (found,) = explained(shardproxy, "SELECT * FROM open_orders", "--tenant", "acme", "-c", "live.yaml")
    assert found["decision"] == "one shard"


B, EVERYWHERE = ["b"], ["a", "b"]


@pytest.mark.parametrize(
    ("sql", "shards"),
    [
        ("SET shardproxy.tenant = 'acme'; SELECT * FROM orders", B),
        ("SET shardproxy.tenant = 'acme'; RESET shardproxy.tenant; SELECT * FROM orders", EVERYWHERE),
        ("SET shardproxy.tenant = 'acme'; SET shardproxy.tenant = ''; SELECT * FROM orders", EVERYWHERE),
        ("SET shardproxy.tenant = 'acme'; RESET ALL; SELECT * FROM orders", EVERYWHERE),
        ("BEGIN; SET LOCAL shardproxy.tenant = 'acme'; SELECT * FROM orders", B),
        ("BEGIN; SET LOCAL shardproxy.tenant = 'acme'; COMMIT; SELECT * FROM orders", EVERYWHERE),
        ("BEGIN; SET shardproxy.tenant = 'acme'; COMMIT; SELECT * FROM orders", B),
        ("BEGIN; SET shardproxy.tenant = 'acme'; ROLLBACK; SELECT * FROM orders", EVERYWHERE),
        ("SET shardproxy.tenant = 'acme'; BEGIN; ROLLBACK; SELECT * FROM orders", B),
    ],
)
def test_a_tenant_that_is_set_on_the_way(shardproxy: Run, sql: str, shards: list[str]) -> None:
    assert explained(shardproxy, sql, *OFFLINE)[-1]["shards"] == shards


def test_a_read_policy_that_is_set_on_the_way(shardproxy: Run) -> None:
    sql = "SELECT * FROM currencies; SET shardproxy.read = 'Replica'; TABLE currencies; RESET ALL; TABLE currencies"
    found = explained(shardproxy, sql, *OFFLINE)
    assert [each["role"] for each in found if each["role"] != "session"] == ["primary", "replica", "primary"]


def test_an_error_is_json_too(shardproxy: Run) -> None:
    result = shardproxy("route", "SELECT 1,\n  FROM orders", "--json", *OFFLINE)
    assert (result.exit_code, result.stderr) == (1, "")
    assert json.loads(result.stdout) == {
        "statements": [],
        "error": {
            "sqlstate": "42601",
            "message": 'syntax error at or near "FROM"',
            "hint": None,
            "position": 13,
        },
    }


def test_several_statements_have_no_parameters(shardproxy: Run) -> None:
    result = shardproxy("route", "SELECT 1; SELECT $1", "-p", "1", *OFFLINE)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "cannot insert multiple commands into a prepared statement" in result.stderr

"""``shardproxy check``: what it prints, for people and as JSON, and its exit code."""

import json
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import CONFIG, Run
from tests.support.cluster import Cluster


def test_a_good_file_is_summed_up(shardproxy: Run) -> None:
    result = shardproxy("check", "-c", "good.yaml")
    assert result.exit_code == 0
    assert result.stderr == ""
    shard_a, shard_b = result.stdout.splitlines()[1:3]
    assert shard_a.split()[:3] == ["a", "(designated)", "127.0.0.1:1"]
    assert shard_b.split()[-1] == "1"  # acme
    assert "tables: 2 sharded, 1 reference, 1 local" in result.stdout
    assert result.stdout.endswith("good.yaml: no mistakes\n")


def test_addresses_are_whole_in_a_narrow_terminal(shardproxy: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = shardproxy("check", "-c", "good.yaml").stdout
    monkeypatch.setenv("COLUMNS", "30")
    assert shardproxy("check", "-c", "good.yaml").stdout.replace(" ", "") == wide.replace(" ", "")


def test_the_summary_as_json(shardproxy: Run) -> None:
    found = json.loads(shardproxy("check", "-c", "good.yaml", "--json").stdout)
    assert (found["ok"], found["mistakes"], found["warnings"], found["servers"]) == (True, [], [], [])
    buckets = [shard["buckets"] for shard in found["summary"]["shards"]]
    assert sum(buckets) == 16_384
    assert buckets[1] == pytest.approx(3 * buckets[0], rel=0.2)


def test_mistakes_are_lines_on_standard_output(shardproxy: Run) -> None:
    Path("bad.yaml").write_text(CONFIG + "pool: {size: 0}\nlog: {level: loud}\n")
    result = shardproxy("check", "-c", "bad.yaml")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "bad.yaml:14:14: pool.size: must be at least 1",
        "bad.yaml:15:14: log.level: must be 'debug', 'info', 'warning' or 'error'",
    ]
    assert result.stderr == "2 mistake(s) in bad.yaml\n"


def test_mistakes_as_json(shardproxy: Run) -> None:
    Path("bad.yaml").write_text(CONFIG + "pool: {size: 0}\n")
    result = shardproxy("check", "-c", "bad.yaml", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["ok"] is False
    assert found["summary"] is None
    assert found["mistakes"] == [
        {"file": "bad.yaml", "line": 14, "column": 14, "key": "pool.size", "message": "must be at least 1"}
    ]


def test_warnings_do_not_fail(shardproxy: Run) -> None:
    Path("open.yaml").write_text(CONFIG + "listen: [0.0.0.0]\n")
    result = shardproxy("check", "-c", "open.yaml")
    assert result.exit_code == 0
    assert result.stdout.startswith("open.yaml:14:10: listen[0]: warning: other machines can connect here")


def test_live_reports_servers_that_are_away(shardproxy: Run) -> None:
    result = shardproxy("check", "--live", "-c", "good.yaml")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"good.yaml:{5 + i}:24: shards[{i}].primary: primary {address} cannot be used: Connection refused; "
        "start it, or correct its address or login"
        for i, address in enumerate(["127.0.0.1:1", "127.0.0.2:1"])
    ]


def test_live_does_not_look_at_servers_of_a_file_with_mistakes(shardproxy: Run) -> None:
    Path("bad.yaml").write_text(CONFIG + "pool: {size: 0}\n")
    result = shardproxy("check", "--live", "-c", "bad.yaml")
    assert result.exit_code == 1
    assert result.stderr == "1 mistake(s) in bad.yaml; the servers were not looked at\n"


def test_live_on_servers_that_agree(shardproxy: Run, cluster: Cluster) -> None:
    Path("live.yaml").write_text(yaml.safe_dump(cluster.config()))
    Path("live.yaml").chmod(0o600)
    result = shardproxy("check", "--live", "-c", "live.yaml")
    assert result.exit_code == 0, result.stdout
    assert result.stdout.endswith("live.yaml: no mistakes, and the servers agree\n")
    found = json.loads(shardproxy("check", "--live", "-c", "live.yaml", "--json").stdout)
    assert [(server["shard"], server["failure"]) for server in found["servers"]] == [
        ("shard-a", None),
        ("shard-b", None),
        ("shard-c", None),
    ]


def test_rows_are_counted_by_table_and_shard_unless_told_otherwise(shardproxy: Run, cluster: Cluster) -> None:
    """Without their placements, placed tenants' rows are in the wrong place."""
    Path("live.yaml").write_text(yaml.safe_dump(cluster.config(placements={})))
    Path("live.yaml").chmod(0o600)
    found = json.loads(shardproxy("check", "--live", "-c", "live.yaml", "--json").stdout)
    assert [server["misplaced"].get("tenants", 0) for server in found["servers"]] == [0, 1, 1]
    unread = json.loads(shardproxy("check", "--live", "--no-rows", "-c", "live.yaml", "--json").stdout)
    assert unread["ok"] is True
    assert all(server["misplaced"] == {} for server in unread["servers"])

import json
from pathlib import Path

import pytest

from loadtests import bench
from loadtests.targets import find_pgbouncer
from shardproxy.demo.install import Install


def measured(install: Install, output: Path, *targets: str) -> dict[str, dict[str, float]]:
    """A bench of a few seconds through the targets; the summaries by target."""
    arguments = ["--quick", "--clients", "2", "--script", "tpcb-like", "--mode", "extended", "--tenants", "3"]
    arguments += ["--output", str(output), "--pg-bin", str(install.bin_dir), "--target", *targets]
    assert bench.main(arguments) == 0
    (path,) = output.iterdir()
    return {summary["target"]: summary for summary in json.loads(path.read_text())["summary"]}


def test_a_bench_runs_from_the_servers_start_to_the_json(install: Install, tmp_path: Path) -> None:
    targets = ["direct", "pgbouncer"] if find_pgbouncer() else ["direct"]
    summaries = measured(install, tmp_path, *targets)
    assert list(summaries) == targets
    assert all(summary["tps"] > 0 for summary in summaries.values())
    if "pgbouncer" in summaries:
        assert summaries["pgbouncer"]["cpu_us"] > 0
        assert summaries["pgbouncer"]["ratio"] > 0


def test_the_sidecar_is_measured(install: Install, tmp_path: Path) -> None:
    summaries = measured(install, tmp_path, "direct", "shardproxy")
    assert summaries["shardproxy"]["tps"] > 0
    assert summaries["shardproxy"]["cpu_us"] > 0


def test_a_missing_pgbouncer_is_skipped_with_the_reason(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "find_pgbouncer", lambda: None)
    assert list(measured(install, tmp_path, "direct", "pgbouncer")) == ["direct"]
    assert "skip pgbouncer: not installed" in capsys.readouterr().out


def test_programs_that_are_not_there_end_it_with_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["--quick", "--pg-bin", str(tmp_path)]) == 1
    assert "no PostgreSQL server" in capsys.readouterr().err

import io
import json
from pathlib import Path

from rich.console import Console

from loadtests import bench, report
from loadtests.machine import describe
from loadtests.results import Measurement, summarise
from loadtests.targets import Skipped
from shardproxy.demo.install import Install

RUNS = (
    Measurement(1, "direct", "select-only", "simple", 16, 1000, 2000.0, 0.5, None),
    Measurement(1, "shardproxy", "select-only", "simple", 16, 900, 1800.0, 0.55, 12.34),
)


def test_a_line_has_the_ratio_and_the_processor_time() -> None:
    printed = io.StringIO()
    Console(file=printed, width=110).print(report.table(summarise(RUNS)))
    line = next(line for line in printed.getvalue().splitlines() if "shardproxy" in line)
    assert [cell.strip() for cell in line.strip("│ ").split("│")] == [
        "select-only", "simple", "16", "shardproxy", "1,800", "0%", "0.90", "0.55", "12.3",
    ]  # fmt: skip


def test_markdown_has_the_same_lines() -> None:
    assert report.markdown(summarise(RUNS)).splitlines()[-1] == (
        "| select-only | simple | 16 | shardproxy | 1,800 | 0% | 0.90 | 0.55 | 12.3 |"
    )


def test_the_json_has_every_run_and_the_machine(tmp_path: Path, install: Install) -> None:
    plan = bench.plan_of(bench.parser().parse_args([]))
    machine = describe(install, "1.18")
    skipped = (Skipped("pgbouncer, prepared", "too old"),)
    path = report.Document(machine, plan, skipped, tuple(summarise(RUNS)), RUNS).write(tmp_path / "new")
    content = json.loads(path.read_text())
    assert [run["tps"] for run in content["runs"]] == [2000.0, 1800.0]
    assert content["summary"][1]["ratio"] == 0.9
    assert content["machine"]["postgresql"] == ".".join(map(str, install.version))
    assert content["machine"]["processors"] >= 1
    assert content["skipped"] == [{"name": "pgbouncer, prepared", "reason": "too old"}]

"""The program as a whole: version, help, usage errors, and how expected errors end it."""

import subprocess
import sys
from pathlib import Path

import pytest

from shardproxy import compiled
from shardproxy.cli import main
from shardproxy.version import VERSION
from tests.cli.conftest import CONFIG, Run

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("pure", "said"),
    [
        ((), f"shardproxy {VERSION} (compiled)"),
        (compiled.COMPILED_MODULES, f"shardproxy {VERSION} (pure Python: slower; "),
        (compiled.COMPILED_MODULES[:1], f"shardproxy {VERSION} (partly pure Python: shardproxy.wire.frames "),
    ],
)
def test_the_version_says_whether_it_is_compiled(
    shardproxy: Run, monkeypatch: pytest.MonkeyPatch, pure: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr(main, "pure_leaves", lambda: pure)
    result = shardproxy("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith(said)


def test_help_lists_the_commands(shardproxy: Run) -> None:
    result = shardproxy("--help")
    assert result.exit_code == 0
    for command in ("serve", "check", "route", "demo"):
        assert f" {command} " in result.stdout
    assert "config-schema" not in result.stdout


def test_help_of_the_demo_tells_its_defaults(shardproxy: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    said = shardproxy("demo", "--help").stdout
    for default in ("3", "1", "200", "100000", "6432, or any if that is taken"):
        assert f"[default: {default}]" in said


@pytest.mark.parametrize("arguments", [(), ("nope",), ("check", "--nope"), ("route",), ("--nope",)])
def test_wrong_usage_ends_with_2(shardproxy: Run, arguments: tuple[str, ...]) -> None:
    assert shardproxy(*arguments).exit_code == 2


@pytest.mark.parametrize("command", [("serve",), ("route", "SELECT 1")])
def test_a_configuration_with_mistakes_ends_with_1_and_all_of_them(
    shardproxy: Run, command: tuple[str, ...]
) -> None:
    Path("bad.yaml").write_text("pool: {size: 0}\nlog: {level: loud}\n")
    result = shardproxy(*command, "-c", "bad.yaml")
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert "bad.yaml:1:14: pool.size: must be at least 1" in lines
    assert any(line.startswith("bad.yaml:2:14: log.level: must be ") for line in lines)
    assert lines[-1] == f"error: {len(lines) - 1} mistake(s) in the configuration"


def test_the_configuration_can_be_named_in_the_environment(
    shardproxy: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "shardproxy.yaml:1:1: cannot be read" in shardproxy("check").stdout
    monkeypatch.setenv("SHARDPROXY_CONFIG", "good.yaml")
    assert shardproxy("check").exit_code == 0


def test_config_schema_writes_the_committed_schema(shardproxy: Run) -> None:
    committed = ROOT / "config" / "shardproxy.schema.json"
    assert shardproxy("config-schema").stdout == committed.read_text()


def test_a_process_of_its_own(tmp_path: Path) -> None:
    """No traceback, the streams and the exit code, by ``python -m``."""
    good_file, bad_file = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good_file.write_text(CONFIG)
    bad_file.write_text("pool: {size: 0}\n")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "shardproxy", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    good = run("check", "-c", str(good_file))
    assert (good.returncode, good.stderr) == (0, "")
    bad = run("serve", "-c", str(bad_file))
    assert (bad.returncode, bad.stdout) == (1, "")
    assert "Traceback" not in bad.stderr
    assert f"{bad_file}:1:14: pool.size: must be at least 1" in bad.stderr

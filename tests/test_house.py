"""The house rules hold, and each of them would notice if it did not. Layers are import-linter's (``make
lint``).
"""

import os
from pathlib import Path

import pytest

from shardproxy.compiled import COMPILED_MODULES
from tests.support import house

ROOT = Path(__file__).resolve().parents[1]


def listed(broken: list[str]) -> str:
    return "\n".join(broken)


def test_no_file_hides_several_nouns() -> None:
    assert not (broken := house.oversized_files(ROOT)), listed(broken)


def test_only_admin_speaks_a_metrics_library() -> None:
    assert not (broken := house.metrics_outside_admin(ROOT)), listed(broken)


def test_every_module_of_the_thinking_packages_has_its_test() -> None:
    assert not (broken := house.untested_modules(ROOT)), listed(broken)


def test_the_client_needs_nothing_but_asyncpg() -> None:
    assert not (broken := house.foreign_imports_of_the_client(ROOT)), listed(broken)


def test_no_stale_build_shadows_a_leaf() -> None:
    assert not (broken := house.stale_builds(ROOT, COMPILED_MODULES)), listed(broken)


def test_every_leaf_is_a_source_with_a_pxd() -> None:
    for leaf in COMPILED_MODULES:
        source = ROOT / (leaf.replace(".", "/") + ".py")
        assert source.exists(), f"{source} is listed as a compiled leaf and does not exist"
        assert source.with_suffix(".pxd").exists(), f"{source} is compiled without types: it needs a .pxd"


@pytest.fixture
def disorder(tmp_path: Path) -> Path:
    """A house in which each rule is broken once."""
    files = {
        "shardproxy/session/long.py": "x = 1\n" * (house.MAX_LINES + 1),
        "shardproxy/session/metrics.py": "def f():\n    from prometheus_client import Counter\n",
        "shardproxy/admin/metrics.py": "import prometheus_client\n",
        "shardproxy/wire/lonely.py": "def f() -> None: ...\n",
        "shardproxy/wire/values.py": "class Message: ...\n",
        "shardproxy/sql/analysis/__init__.py": "",
        "shardproxy/sql/analysis/keys.py": "def f() -> None: ...\n",
        "tests/sql/test_analysis_keys.py": "",
        "shardproxy/wire/frames.py": "def f() -> None: ...\n",
        "tests/wire/test_frames.py": "",
        "shardproxy/client/pool.py": "import json\nimport asyncpg.pool\nfrom shardproxy.errors import X\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_each_rule_notices_a_house_that_breaks_it(disorder: Path) -> None:
    found = {
        "oversized_files": "shardproxy/session/long.py",
        "metrics_outside_admin": "shardproxy/session/metrics.py:2",
        "untested_modules": "shardproxy/wire/lonely.py",
        "foreign_imports_of_the_client": "shardproxy/client/pool.py:3",
    }
    for rule, where in found.items():
        broken = getattr(house, rule)(disorder)
        assert [sentence.split(" ")[0] for sentence in broken] == [where]


def test_a_package_inside_a_package_is_tested_as_one(disorder: Path) -> None:
    (disorder / "tests/sql/test_analysis_keys.py").unlink()
    assert "shardproxy/sql/analysis" in listed(house.untested_modules(disorder))
    folder = disorder / "tests/sql/analysis"
    folder.mkdir()
    (folder / "test_keys.py").touch()
    assert "shardproxy/sql/analysis" not in listed(house.untested_modules(disorder))


def test_a_build_older_than_its_source_is_noticed(disorder: Path) -> None:
    build = disorder / "shardproxy/wire/frames.cpython-311-x86_64-linux-gnu.so"
    build.touch()
    assert house.stale_builds(disorder, ("shardproxy.wire.frames",)) == []
    os.utime(build, (0, 0))
    assert len(house.stale_builds(disorder, ("shardproxy.wire.frames",))) == 1

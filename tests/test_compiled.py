"""The list of leaves says truly which of them run compiled here."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from shardproxy import compiled

ROOT = Path(__file__).resolve().parents[1]


def test_a_leaf_is_pure_where_no_extension_lies_beside_it() -> None:
    for name in compiled.COMPILED_MODULES:
        source = (ROOT / name.replace(".", "/")).with_suffix(".py")
        has_extension = any(source.parent.glob(f"{source.stem}.*.so"))
        assert (name in compiled.pure_leaves()) is not has_extension


def test_it_is_the_imported_file_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, file in (("fast", "/x/fast.cpython-311-x86_64-linux-gnu.so"), ("slow", "/x/slow.py")):
        module = ModuleType(name)
        module.__file__ = file
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(compiled, "COMPILED_MODULES", ("fast", "slow"))
    assert compiled.pure_leaves() == ("slow",)

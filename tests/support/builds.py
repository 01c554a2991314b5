"""Both builds of a compiled leaf, so that its tests run on the pure-Python one and on the compiled one.

In a test module::

    pghash = builds.fixture("shardproxy.topology.pghash")

    def test_something(pghash: ModuleType) -> None: ...   # runs twice: [pure] and [compiled]

Both are made from the source as it is now, whatever build is installed: a stale extension beside the source
cannot make a test pass. Compiled leaves are kept under ``build/test-leaves`` by a hash of their sources.
"""

import hashlib
import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "test-leaves"
SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))


def _source(name: str) -> Path:
    return (ROOT / name.replace(".", "/")).with_suffix(".py")


def _load(
    alias: str, loader: importlib.machinery.SourceFileLoader | importlib.machinery.ExtensionFileLoader
) -> ModuleType:
    spec = importlib.util.spec_from_loader(alias, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[alias] = module  # dataclasses look their module up by name
    loader.exec_module(module)
    return module


@cache
def pure(name: str) -> ModuleType:
    """The leaf ``name`` as plain Python, imported from its ``.py`` file as ``pure_leaf.<last part>``."""
    alias = "pure_leaf." + name.rpartition(".")[2]
    return _load(alias, importlib.machinery.SourceFileLoader(alias, str(_source(name))))


@cache
def compiled(name: str) -> ModuleType | None:
    """The leaf ``name`` compiled, as ``compiled_leaf.<last part>``; None without Cython or a C compiler."""
    path = _compile(name)
    if path is None:
        return None
    alias = "compiled_leaf." + name.rpartition(".")[2]
    return _load(alias, importlib.machinery.ExtensionFileLoader(alias, str(path)))


def fixture(name: str) -> Callable[..., ModuleType]:
    """A module-scoped fixture: the pure build, then the compiled one (skipped where it cannot be made)."""

    @pytest.fixture(scope="module", params=["pure", "compiled"])
    def leaf(request: pytest.FixtureRequest) -> ModuleType:
        if request.param == "pure":
            return pure(name)
        module = compiled(name)
        if module is None:
            pytest.skip("no C compiler or no Cython here")
        return module

    return leaf


def _compile(name: str) -> Path | None:
    """Compile the leaf outside the source tree; a compile error fails the test that asked for it."""
    if importlib.util.find_spec("Cython") is None or shutil.which("cc") is None:
        return None
    source = _source(name)
    inputs = [path for path in (source, source.with_suffix(".pxd")) if path.exists()]
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in inputs)).hexdigest()[:16]
    target = CACHE / digest / (source.stem + SUFFIX)
    if target.exists():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        _build(name, inputs, Path(scratch))
        target.parent.mkdir(exist_ok=True)
        os.replace(Path(scratch) / target.name, target)
    return target


def _build(name: str, inputs: list[Path], scratch: Path) -> None:
    """Make ``scratch/<leaf>.so`` from the leaf alone in a package tree, so that its pxd is found by name."""
    package = scratch.joinpath(*name.split(".")[:-1])
    package.mkdir(parents=True)
    for path in inputs:
        shutil.copy(path, package)
    for folder in [package, *package.parents]:
        if folder == scratch:
            break
        (folder / "__init__.py").touch()
    stem = name.rpartition(".")[2]
    c_file = scratch / f"{stem}.c"
    _run(sys.executable, "-m", "cython", "-3", str(package / f"{stem}.py"), "-o", str(c_file))
    include = sysconfig.get_path("include")
    output = scratch / (stem + SUFFIX)
    _run("cc", "-shared", "-fPIC", "-O2", f"-I{include}", str(c_file), "-o", str(output))


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

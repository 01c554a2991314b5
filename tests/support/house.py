"""The house rules that no tool knows. Each function takes the repository's root and returns what breaks a
rule, one sentence each with the reason, so that the tests can also try it on a house that is out of order.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_LINES = 600
THINKING = ("wire", "topology", "sql", "routing")
METRICS_LIBRARIES = frozenset({"prometheus_client", "opentelemetry", "statsd"})
CLIENT_MAY_IMPORT = "asyncpg"


def oversized_files(root: Path) -> list[str]:
    """A file is one noun or one phase; one this long hides several."""
    return [
        f"{path.relative_to(root)} has {lines} lines, more than {MAX_LINES}: ask which second noun it hides"
        for folder in ("shardproxy", "tests", "loadtests")
        for path in sorted((root / folder).rglob("*.py"))
        if (lines := len(path.read_text().splitlines())) > MAX_LINES
    ]


def metrics_outside_admin(root: Path) -> list[str]:
    """Counting is in plain arrays on the hot path; only admin/ speaks a metrics library."""
    return [
        f"{path.relative_to(root)}:{line} imports {name}: an increment there costs 0.6 µs; "
        "count in shardproxy.counters and export it from admin/"
        for path in _modules(root)
        if path.relative_to(root).parts[:2] != ("shardproxy", "admin")
        for name, line in imported(path)
        if name.partition(".")[0] in METRICS_LIBRARIES
    ]


def untested_modules(root: Path) -> list[str]:
    """The thinking packages are tested module by module, so that a test is found by its module's name.

    A package inside one of them is one noun: ``test_<package>*.py``, or a folder of tests of that name.
    """
    missing = []
    for package in THINKING:
        tests = root / "tests" / package
        for path in sorted((root / "shardproxy" / package).glob("*.py")):
            if path.name != "__init__.py" and _has_code(path) and not (tests / f"test_{path.name}").exists():
                test = f"tests/{package}/test_{path.name}"
                missing.append(f"{path.relative_to(root)} has no {test}: tests mirror modules")
        for inner in sorted((root / "shardproxy" / package).glob("*/__init__.py")):
            name = inner.parent.name
            if not any(tests.glob(f"test_{name}*.py")) and not any((tests / name).glob("test_*.py")):
                missing.append(f"shardproxy/{package}/{name} has no tests/{package}/test_{name}*.py")
    return missing


def foreign_imports_of_the_client(root: Path) -> list[str]:
    """The client is installed in applications: it needs asyncpg and the standard library, no server code."""
    return [
        f"{path.relative_to(root)}:{line} imports {name}: the client imports only {CLIENT_MAY_IMPORT}"
        for path in _modules(root)
        if path.relative_to(root).parts[:2] == ("shardproxy", "client")
        for name, line in imported(path)
        if name.partition(".")[0] not in sys.stdlib_module_names | {CLIENT_MAY_IMPORT}
        and not name.startswith("shardproxy.client")
    ]


def stale_builds(root: Path, leaves: tuple[str, ...]) -> list[str]:
    """A compiled leaf beside its source is what is imported, so an older one would hide every later
    change.
    """
    stale = []
    for leaf in leaves:
        source = root / (leaf.replace(".", "/") + ".py")
        inputs = [path for path in (source, source.with_suffix(".pxd")) if path.exists()]
        for build in source.parent.glob(f"{source.stem}.*.so"):
            if build.stat().st_mtime < max(path.stat().st_mtime for path in inputs):
                stale.append(
                    f"{build.relative_to(root)} is older than its source and shadows it: make install"
                )
    return stale


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """(module, line) of every import statement in a file, also those inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno


def _modules(root: Path) -> list[Path]:
    return sorted((root / "shardproxy").rglob("*.py"))


def _has_code(path: Path) -> bool:
    """Whether a module does anything: functions or methods, rather than only values and types."""
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(ast.parse(path.read_text()))
    )

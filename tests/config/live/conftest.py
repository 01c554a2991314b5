"""Checking configurations of the shared cluster, which start right and are made wrong in one thing."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from shardproxy.config.live import check_live
from shardproxy.config.load import read
from shardproxy.demo.cluster import DATABASE
from shardproxy.demo.ports import PortLease
from tests.support.aio import run
from tests.support.cluster import Cluster

Check = Callable[[dict[str, Any]], tuple[list[str], list[str]]]
Sql = Callable[..., None]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """The mistakes and warnings of ``check --live``, as ``key: message`` lines."""

    def checked(values: dict[str, Any]) -> tuple[list[str], list[str]]:
        file = tmp_path / "shardproxy.yaml"
        file.write_text(yaml.safe_dump(values, sort_keys=False))
        file.chmod(0o600)
        loaded = read(file, {})
        assert loaded.mistakes == ()
        assert loaded.config is not None
        assert loaded.report is not None
        run(check_live(loaded.config, loaded.report))
        prefix = f"{file}:"
        mistakes, warnings = loaded.report.mistakes, loaded.report.warnings
        assert all(str(each).startswith(prefix) and each.position.line > 1 for each in (*mistakes, *warnings))
        return [f"{m.key}: {m.message}" for m in mistakes], [f"{w.key}: {w.message}" for w in warnings]

    return checked


@pytest.fixture
def config(cluster: Cluster) -> dict[str, Any]:
    """The cluster's right configuration, to be changed."""
    return deepcopy(cluster.config())


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port on which nobody listens."""
    lease = PortLease.take()
    yield lease.port
    lease.release()


@pytest.fixture
def on_shards(cluster: Cluster) -> Iterator[Sql]:
    """Runs SQL in the database of some shards (default: all); a schema ``live`` is there until the end."""

    def execute(sql: str, *shards: int) -> None:
        for index in shards or range(len(cluster.shards)):
            cluster.shards[index].primary.query(sql, dbname=DATABASE)

    execute("CREATE SCHEMA live AUTHORIZATION app")
    try:
        yield execute
    finally:
        execute("DROP SCHEMA live CASCADE")

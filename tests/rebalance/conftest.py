"""Three shards that take any row, with fences and a catalog."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from shardproxy.cli.main import app
from shardproxy.demo.postgres import Install, Run, Server
from shardproxy.demo.run import side_by_side
from tests.rebalance.installed import OPERATOR, PASSWORD, Installed
from tests.support import cluster as clusters


@pytest.fixture(scope="package")
def installed(install: Install) -> Iterator[Installed]:
    """An installation that the tests of this package share; each uses tenants of its own."""
    with Run(install) as run:
        installed = Installed(
            clusters.start(run, checks=False, settings={"wal_retrieve_retry_interval": "100ms"})
        )
        installed.install()
        yield installed


@pytest.fixture
def shardproxy(
    installed: Installed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Runs the command line in this process, with the installation's configuration."""
    path = tmp_path / "shardproxy.yaml"
    path.write_text(
        yaml.safe_dump(installed.cluster.config(operator={"user": OPERATOR, "password": PASSWORD}))
    )
    path.chmod(0o600)
    monkeypatch.setenv("SHARDPROXY_CONFIG", str(path))

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(app, list(arguments), prog_name="shardproxy")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return run


@pytest.fixture(scope="package")
def servers(install: Install) -> Iterator[tuple[Server, Server]]:
    """Two servers, for tests with tables of their own."""
    with Run(install) as run:
        settings = {"wal_retrieve_retry_interval": "100ms"}
        left, right = side_by_side(
            [partial(_start, run, name, settings) for name in ("left", "right")],
        )
        yield left, right


def _start(run: Run, name: str, settings: dict[str, str]) -> Server:
    return Server.create(run, name, settings=settings).start()

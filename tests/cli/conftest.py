"""Running the command line in this process."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from shardproxy.cli.main import app

Run = Callable[..., Result]

CONFIG = """\
database: app
server: {user: app}
auth: {method: trust}
shards:
  - {name: a, primary: "127.0.0.1:1"}
  - {name: b, primary: "127.0.0.2:1", weight: 3}
placements: {acme: b}
groups: {tenant: text, device: int8}
tables:
  orders: {key: tenant_id}
  readings: {key: device_id, group: device}
  currencies: reference
  audit: {local: a}
"""


@pytest.fixture
def shardproxy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs ``shardproxy`` with arguments, in a directory where ``good.yaml`` is a good configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SHARDPROXY_CONFIG", raising=False)
    Path("good.yaml").write_text(CONFIG)

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(app, list(arguments), prog_name="shardproxy")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return run

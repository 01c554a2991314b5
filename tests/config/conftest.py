"""Reading configurations from text, as the tests of this package do."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from shardproxy.config.load import Loaded, read

FILE = "shardproxy.yaml"
Reader = Callable[..., Loaded]

GOOD = """\
database: app
auth: {method: trust}
server: {user: app}
shards:
  - {name: a, primary: "10.0.0.1"}
  - {name: b, primary: "10.0.0.2"}
"""
"""A configuration without mistakes, to which tests add theirs."""


@pytest.fixture
def read_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Reads YAML text as the file ``shardproxy.yaml`` of an empty directory."""
    monkeypatch.chdir(tmp_path)

    def reader(text: str | bytes, environment: Mapping[str, str] | None = None) -> Loaded:
        data = text.encode() if isinstance(text, str) else text
        Path(FILE).write_bytes(data)
        return read(FILE, environment or {})

    return reader


@pytest.fixture
def mistakes(read_yaml: Reader) -> Callable[..., list[str]]:
    """The mistakes in YAML text, as lines without the file's name."""

    def reader(text: str | bytes, environment: Mapping[str, str] | None = None) -> list[str]:
        found = [str(mistake) for mistake in read_yaml(text, environment).mistakes]
        assert all(line.startswith(FILE + ":") for line in found)
        return [line.removeprefix(FILE + ":") for line in found]

    return reader

"""``shardproxy init`` and ``shardproxy map``, as a person runs them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from shardproxy.catalog import maps
from shardproxy.cli.main import app
from tests.catalog.fenced import APP, APP_PASSWORD, NAMES, Fenced, placed
from tests.support.aio import run

Command = Callable[..., Result]
Configure = Callable[..., None]


@pytest.fixture
def configure(bare: Fenced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Writes the configuration of ``bare``; sections given replace whole ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SHARDPROXY_CONFIG", raising=False)
    monkeypatch.setenv("OPERATOR_PASSWORD", "secret")

    def write(**sections: Any) -> None:
        values = {
            "database": bare.database,
            "auth": {"method": "trust"},
            "server": {"user": APP, "password": APP_PASSWORD},
            "operator": {"user": "operator", "password_env": "OPERATOR_PASSWORD"},
            "shards": [
                {"name": name, "primary": f"127.0.0.1:{server.port}"}
                for name, server in zip(NAMES, bare.primaries, strict=True)
            ],
            "tables": {"orders": {"key": "tenant_id"}},
        }
        path = Path("shardproxy.yaml")
        path.write_text(yaml.safe_dump(values | sections, sort_keys=False))
        path.chmod(0o600)

    write()
    return write


@pytest.fixture
def shardproxy(configure: Configure) -> Command:
    def invoke(*arguments: str) -> Result:
        result = CliRunner().invoke(app, list(arguments), prog_name="shardproxy")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return invoke


def test_a_dry_run_says_what_init_does_and_a_second_one_has_nothing_to_do(shardproxy: Command) -> None:
    dry = shardproxy("init", "--dry-run")
    assert dry.exit_code == 0
    steps = [
        'shard-a: create the schema "shardproxy" with the fence',
        'shard-b: create the schema "shardproxy" with the fence',
        "shard-a: create the catalog with the first map",
    ]
    assert dry.stdout.splitlines() == steps
    real = shardproxy("init")
    assert real.exit_code == 0
    *done, last = real.stdout.splitlines()
    assert done == [f"done: {step}" for step in steps]
    assert last.endswith("is complete")
    again = shardproxy("init", "--json")
    assert again.exit_code == 0
    told = json.loads(again.stdout)
    assert (told["done"], told["steps"], told["mistakes"]) == (True, [], [])
    assert told["installation"] in real.stdout


def test_an_operator_is_needed(shardproxy: Command, configure: Configure) -> None:
    configure(operator={})
    result = shardproxy("init")
    assert result.exit_code == 1
    assert "operator.user is missing" in result.stderr


def test_mistakes_are_said_one_a_line_and_nothing_is_changed(
    shardproxy: Command, configure: Configure, bare: Fenced
) -> None:
    async def spoil() -> None:
        async with bare.operator(1) as operator:
            await operator.execute("CREATE SCHEMA shardproxy")

    run(spoil())
    configure(server={"user": "nobody", "password": "x"})
    result = shardproxy("init")
    assert result.exit_code == 1
    *mistakes, last = result.stderr.splitlines()[-4:]
    assert mistakes == [
        'error: shard-a: the sidecars\' role "nobody" does not exist',
        'error: shard-b: the sidecars\' role "nobody" does not exist',
        'error: shard-b: the schema "shardproxy" is not ours: its table "shard" is not what shardproxy init makes',
    ]
    assert last == "nothing was changed"


def test_a_configuration_that_disagrees_with_the_catalog_is_told(
    shardproxy: Command, configure: Configure
) -> None:
    assert shardproxy("init").exit_code == 0
    configure(tables={"orders": {"key": "order_id"}, "more": "reference"})
    result = shardproxy("init", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["mistakes"] == [
        "the catalog disagrees: tables.public.more: is not in the catalog",
        "the catalog disagrees: tables.public.orders: is sharded by order_id, group tenant here "
        "and sharded by tenant_id, group tenant in the catalog",
    ]


def test_the_map_and_its_versions_are_shown(shardproxy: Command, bare: Fenced) -> None:
    before = shardproxy("map")
    assert before.exit_code == 1
    assert "there is no catalog on" in before.stderr
    assert shardproxy("init").exit_code == 0
    run(bare.publish(1))
    shown = shardproxy("map").stdout.splitlines()
    assert shown[0] == "epoch 2"
    assert [line.split()[:2] for line in shown[1:]] == [
        ["shard", "epoch"],
        ["shard-a", "1"],
        ["shard-b", "2"],
    ]
    document = json.loads(shardproxy("map", "show", "--json").stdout)
    assert (document["epoch"], document["shards"]) == (2, list(NAMES))
    history = json.loads(shardproxy("map", "history", "--json").stdout)["versions"]
    assert [(row["epoch"], row["why"], row["by"]) for row in history] == [
        (2, "a test", "postgres"),
        (1, "shardproxy init", "operator"),
    ]
    assert "shardproxy init" in shardproxy("map", "history").stdout


def test_route_goes_by_the_catalogs_map(shardproxy: Command, bare: Fenced) -> None:
    sql = "SELECT * FROM orders WHERE tenant_id = 'acme'"

    def where() -> list[str]:
        (told,) = json.loads(shardproxy("route", sql, "--json").stdout)["statements"]
        found: list[str] = told["shards"]
        return found

    (before,) = where()
    assert shardproxy("init").exit_code == 0
    assert where() == [before]
    other = 1 - NAMES.index(before)

    async def move() -> None:
        async with bare.operator() as catalog:
            await maps.publish(catalog, lambda old: placed(old, "acme", other), "acme moves", {})

    run(move())
    assert where() == [NAMES[other]]
    (offline,) = json.loads(shardproxy("route", sql, "--offline", "--json").stdout)["statements"]
    assert offline["shards"] == [before]

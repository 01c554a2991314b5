from pathlib import Path
from typing import Any

import pytest
import yaml

from shardproxy.config.load import load
from shardproxy.config.model import Config

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"])


@pytest.fixture(scope="module")
def config() -> Config:
    return load(DEPLOY / "shardproxy.yaml", {"APP_PASSWORD": "app"})


def seconds(text: str) -> float:
    assert text.endswith("s")
    return float(text[:-1])


def test_the_sidecar_knows_exactly_the_shards_that_compose_starts(
    services: dict[str, dict[str, Any]], config: Config
) -> None:
    shards = {name for name, service in services.items() if service["image"].startswith("postgres:")}
    assert (
        {shard.primary.host for shard in config.shards} == {shard.name for shard in config.shards} == shards
    )
    assert all(services[name]["environment"]["POSTGRES_DB"] == config.database for name in shards)
    assert all(services[name]["environment"]["POSTGRES_USER"] == config.server.user for name in shards)


def test_the_sidecar_starts_when_every_shard_accepts_connections(services: dict[str, dict[str, Any]]) -> None:
    waits_for = services["shardproxy"]["depends_on"]
    assert {name for name in services if name != "shardproxy"} == set(waits_for)
    assert all(each == {"condition": "service_healthy"} for each in waits_for.values())
    assert all("healthcheck" in services[name] for name in waits_for)


def test_nothing_is_published_beyond_loopback(services: dict[str, dict[str, Any]], config: Config) -> None:
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert config.http is not None
    inside = {int(port.rpartition(":")[2]) for port in published}
    assert inside == {config.listen[0].port, config.http.port}


def test_there_is_more_time_to_stop_than_to_drain(
    services: dict[str, dict[str, Any]], config: Config
) -> None:
    assert seconds(services["shardproxy"]["stop_grace_period"]) > config.timeouts.drain


def test_every_mounted_file_exists_and_every_volume_is_declared(services: dict[str, dict[str, Any]]) -> None:
    declared = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["volumes"]
    for service in services.values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert (DEPLOY / source).is_file() if source.startswith(".") else source in declared


def test_each_shard_keeps_its_data_apart_and_where_version_18_has_it(
    services: dict[str, dict[str, Any]],
) -> None:
    kept = [service["volumes"][0] for name, service in services.items() if name != "shardproxy"]
    assert len(set(kept)) == 3
    assert all(volume.endswith(":/var/lib/postgresql") for volume in kept)


def test_every_table_of_the_sample_schema_is_placed(config: Config) -> None:
    schema = (DEPLOY.parent / "shardproxy" / "demo" / "schema.sql").read_text()
    tables = {line.split()[2] for line in schema.splitlines() if line.startswith("CREATE TABLE ")}
    assert set(config.tables) == tables

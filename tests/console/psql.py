"""The console as people use it: with psql."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.proxy import Proxy

ADMIN, READER = "root", "reader"


def sections(**more: Any) -> dict[str, Any]:
    """Users with their names for passwords, two of whom may use the console."""
    names = ("app", ADMIN, READER)
    return {
        "auth": {"method": "scram", "users": [{"name": name, "password": name} for name in names]},
        "console": {"admins": [ADMIN], "readers": [READER]},
        **more,
    }


@dataclass(frozen=True)
class Psql:
    """psql on the console of a sidecar."""

    program: Path
    sidecar: Proxy

    def run(
        self, *commands: str, user: str = ADMIN, password: str | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """One command after the other in one session; rows unaligned, errors with everything there is."""
        dsn = self.sidecar.dsn(user=user, password=password or user, database="shardproxy")
        words = [self.program, "-X", "-A", "-F", "|", "-v", "VERBOSITY=verbose", dsn]
        return subprocess.run(
            [*map(str, words), *(word for each in commands for word in ("-c", each))],
            env=os.environ | {"PAGER": "cat", "PGCONNECT_TIMEOUT": "10"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def rows(self, command: str, user: str = ADMIN) -> list[dict[str, str]]:
        """What a command answers; empty for NULL."""
        done = self.run(command, user=user)
        assert done.returncode == 0, done.stderr
        head, *lines = done.stdout.splitlines()
        names = head.split("|")
        return [dict(zip(names, line.split("|"), strict=True)) for line in lines if not line.startswith("(")]

    def error(self, command: str, user: str = ADMIN) -> str:
        """What a command is refused with."""
        done = self.run(command, user=user)
        assert done.returncode != 0, done.stdout
        return done.stderr

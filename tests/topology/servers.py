"""The PostgreSQL versions that server behaviour is tested on: the wheel's, and each that Debian has here."""

from pathlib import Path

from shardproxy.demo.postgres import Install

DEBIAN = Path("/usr/lib/postgresql")


def installs() -> list[Install]:
    found = [Install.find()]
    for directory in sorted(DEBIAN.glob("*/bin")):
        if (directory / "initdb").exists():
            found.append(Install.find(directory))
    return list({install.version[0]: install for install in reversed(found)}.values())

"""What it was measured on. Nothing that names the machine."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from shardproxy.compiled import pure_leaves
from shardproxy.demo.install import Install
from shardproxy.version import VERSION


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine and the versions. ``memory_gib`` is the memory; ``load`` the load average of the last
    minute.
    """

    processor: str
    processors: int
    memory_gib: float
    kernel: str
    load: float
    python: str
    postgresql: str
    pgbouncer: str
    shardproxy: str

    def __str__(self) -> str:
        return (
            f"{self.processors} × {self.processor}, {self.memory_gib:g} GiB, {self.kernel}, "
            f"load {self.load:.1f} at the start; "
            f"PostgreSQL {self.postgresql}, PgBouncer {self.pgbouncer}, shardproxy {self.shardproxy}, "
            f"Python {self.python}"
        )


def describe(install: Install, pgbouncer: str) -> Machine:
    """This machine; ``pgbouncer`` is its version, or that it is missing."""
    leaves = pure_leaves()
    build = "compiled" if not leaves else f"not compiled: {', '.join(leaves)}"
    return Machine(
        processor=_processor(),
        processors=len(os.sched_getaffinity(0)),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        kernel=f"{platform.system()} {platform.release()}",
        load=round(os.getloadavg()[0], 2),
        python=platform.python_version(),
        postgresql=".".join(map(str, install.version)),
        pgbouncer=pgbouncer,
        shardproxy=f"{VERSION} ({build})",
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()

"""Sidecars tell the catalog who and where they are, for people; no safety rests on it."""

import os
import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

import asyncpg

from shardproxy.version import VERSION

_I_AM: Final = "SELECT shardproxy.i_am($1, $2, $3, $4, $5, $6)"
_SIDECARS: Final = """
SELECT sidecar, host, pid, version, epoch, started, seen FROM shardproxy.sidecar
WHERE seen > now() - make_interval(secs => $1) ORDER BY host, pid
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """This process."""

    sidecar: UUID = field(default_factory=uuid4)
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    version: str = VERSION
    started: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A sidecar as it told of itself; ``epoch`` is of the map it routed by when it was last ``seen``."""

    sidecar: UUID
    host: str
    pid: int
    version: str
    epoch: int
    started: datetime
    seen: datetime


async def tell(catalog: asyncpg.Connection, me: Identity, epoch: int) -> None:
    """Say that this process lives, and routes by the map of ``epoch``."""
    await catalog.execute(_I_AM, me.sidecar, me.host, me.pid, me.version, epoch, me.started)


async def sidecars(catalog: asyncpg.Connection, *, within: float = 30.0) -> list[Sidecar]:
    """Those that were seen in the last ``within`` seconds."""
    rows = await catalog.fetch(_SIDECARS, within)
    return [Sidecar(**dict(row)) for row in rows]

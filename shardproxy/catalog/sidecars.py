"""Sidecars tell the catalog who and where they are, for people; no safety rests on it."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

import asyncpg

from shardproxy.version import VERSION

_I_AM: Final = "SELECT shardproxy.i_am($1, $2, $3, $4, $5, $6, $7)"
_I_AM_IN_1: Final = "SELECT shardproxy.i_am($1, $2, $3, $4, $5, $6)"
"""In the first version of the catalog."""
_I_LEAVE: Final = "SELECT shardproxy.i_leave($1)"
_SIDECARS: Final = """
SELECT sidecar, host, pid, version, epoch, started, seen,
       CASE jsonb_typeof(to_jsonb(s) -> 'shards')
           WHEN 'array' THEN ARRAY(SELECT jsonb_array_elements_text(to_jsonb(s) -> 'shards'))
       END AS shards
FROM shardproxy.sidecar AS s
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
    """A sidecar as it told of itself; ``epoch`` is of the map it routed by when it was last ``seen``.

    ``shards`` are those that it has servers for, in the map or not; None: it did not tell.
    """

    sidecar: UUID
    host: str
    pid: int
    version: str
    epoch: int
    started: datetime
    seen: datetime
    shards: tuple[str, ...] | None


async def tell(catalog: asyncpg.Connection, me: Identity, epoch: int, shards: Sequence[str]) -> None:
    """Say that this process lives, routes by the map of ``epoch``, and has servers for ``shards``."""
    said = (me.sidecar, me.host, me.pid, me.version, epoch, me.started)
    try:
        await catalog.execute(_I_AM, *said, list(shards))
    except asyncpg.UndefinedFunctionError:
        await catalog.execute(_I_AM_IN_1, *said)


async def leave(catalog: asyncpg.Connection, me: Identity) -> None:
    """Say that this process ends."""
    await catalog.execute(_I_LEAVE, me.sidecar)


async def sidecars(catalog: asyncpg.Connection, *, within: float = 30.0) -> list[Sidecar]:
    """Those that were seen in the last ``within`` seconds."""
    rows = await catalog.fetch(_SIDECARS, within)
    return [
        Sidecar(**{**row, "shards": None if row["shards"] is None else tuple(row["shards"])}) for row in rows
    ]

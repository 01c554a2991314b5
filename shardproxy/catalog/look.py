"""What a server has of us: a fence and whose, a catalog or none."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg

from shardproxy.errors import ShardproxyError

_HAS: Final = """
SELECT count(*) > 0 AS schema,
       COALESCE(bool_or(c.relname = 'shard'), false) AS fence,
       COALESCE(bool_or(c.relname = 'map'), false) AS catalog
FROM pg_namespace AS n LEFT JOIN pg_class AS c ON c.relnamespace = n.oid
WHERE n.nspname = 'shardproxy'
"""
# The first version has no such column.
_FENCE: Final = """
SELECT installation, name, oldest_epoch, newest_epoch,
       COALESCE((to_jsonb(s) ->> 'version')::int4, 1) AS version
FROM shardproxy.shard AS s
"""
_NOT_OURS: Final = (asyncpg.UndefinedColumnError, asyncpg.UndefinedTableError, asyncpg.WrongObjectTypeError)


class NotOurs(ShardproxyError):
    """There is a schema shardproxy, and it is somebody else's."""

    sqlstate = "42P06"

    def __init__(self) -> None:
        super().__init__(
            'the schema "shardproxy" is not ours: its table "shard" is not what shardproxy init makes',
            hint="Rename that schema; the name is fixed.",
        )


@dataclass(frozen=True, slots=True)
class Fence:
    """The row that tells which shard of which installation this is, and which epochs may run there.

    ``version`` is that of everything of ours on the server.
    """

    installation: UUID
    name: str
    oldest_epoch: int
    newest_epoch: int
    version: int


@dataclass(frozen=True, slots=True)
class Installed:
    """``fence`` is None on a shard that was not initialised; ``catalog``: the catalog's tables are there."""

    fence: Fence | None = None
    catalog: bool = False


async def look(connection: asyncpg.Connection) -> Installed:
    """What the connected server has. Raises NotOurs, and asyncpg's errors (42501: nothing was granted)."""
    has = await connection.fetchrow(_HAS)
    if not has["schema"]:
        return Installed()
    if not has["fence"]:
        raise NotOurs
    try:
        rows = await connection.fetch(_FENCE)
    except _NOT_OURS:
        raise NotOurs from None
    if not rows:
        raise NotOurs
    return Installed(Fence(**dict(rows[0])), has["catalog"])

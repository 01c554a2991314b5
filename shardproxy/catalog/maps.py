"""The versions of the map in the catalog: read, and published with a compare-and-swap.

A publication has a number that no shard it concerns has heard of before, and the shards hear of it first: a
replica that knows the number has replayed all that was there before the publication began.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import asyncpg

from shardproxy.backend.driver import FAULTS
from shardproxy.errors import ShardproxyError
from shardproxy.topology.map_document import from_document, to_document
from shardproxy.topology.shard_map import ShardMap

CHANNEL: Final = "shardproxy_map"
"""NOTIFY goes here with the epoch when a map is published."""

ATTEMPTS: Final = 5
COPY_TIMEOUT: Final = 0.5
"""Seconds that a shard has to take its copy of a map that is in force."""

Change = Callable[[ShardMap], ShardMap]
"""What a publication does to the map in force."""

_NEWEST: Final = "SELECT epoch, document FROM shardproxy.map ORDER BY epoch DESC LIMIT 1"
_NEWEST_EPOCH: Final = "SELECT max(epoch) FROM shardproxy.map"
_HISTORY: Final = "SELECT epoch, why, published, publisher FROM shardproxy.map ORDER BY epoch DESC LIMIT $1"
# Publishers wait for each other and readers for nobody; one that hangs is let go of.
_ALONE: Final = (
    "SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '30s'; "
    "SET LOCAL synchronous_commit = on; LOCK TABLE shardproxy.map IN SHARE ROW EXCLUSIVE MODE"
)
_HEARD_OF: Final = "SELECT newest_epoch FROM shardproxy.shard"
_TELL_SHARD: Final = "UPDATE shardproxy.shard SET newest_epoch = $1 WHERE newest_epoch < $1 RETURNING 1"
_INSERT: Final = "INSERT INTO shardproxy.map (epoch, document, why) VALUES ($1, $2, $3)"
# Older maps come late when publishers overtake each other.
_COPY: Final = """
INSERT INTO shardproxy.map_copy (epoch, document) VALUES ($1, $2)
ON CONFLICT (one) DO UPDATE SET epoch = excluded.epoch, document = excluded.document
WHERE map_copy.epoch < excluded.epoch
"""
_READ_COPY: Final = "SELECT epoch, document FROM shardproxy.map_copy"
_NOTIFY: Final = "SELECT pg_notify($1, $2)"


class MapChanged(ShardproxyError):
    """Somebody else has published meanwhile; what was to be published stood on an older map."""

    sqlstate = "40001"


class MapLost(ShardproxyError):
    """The catalog has an older map than was in force: it was restored, or failed over to a replica that
    lagged.
    """

    sqlstate = "XX001"


@dataclass(frozen=True, slots=True)
class Publication:
    """One version of the map, as people want to see it."""

    epoch: int
    why: str
    published: datetime
    publisher: str


async def newest_epoch(catalog: asyncpg.Connection) -> int:
    """The epoch in force; 0 before the first map."""
    epoch: int | None = await catalog.fetchval(_NEWEST_EPOCH)
    return epoch or 0


async def read(catalog: asyncpg.Connection) -> ShardMap:
    """The map in force. Raises ShardproxyError when there is none, ConfigError when it cannot be read."""
    row = await catalog.fetchrow(_NEWEST)
    if row is None:
        raise ShardproxyError("the catalog has no map", hint="Run shardproxy init.")
    return from_document(json.loads(row["document"]), row["epoch"])


async def history(catalog: asyncpg.Connection, limit: int = 100) -> list[Publication]:
    """The newest versions, the newest first."""
    return [Publication(**dict(row)) for row in await catalog.fetch(_HISTORY, limit)]


async def store_first(catalog: asyncpg.Connection, shard_map: ShardMap, why: str) -> None:
    """Store the first map, inside the transaction that creates the catalog."""
    await _insert(catalog, shard_map, why)


async def publish(
    catalog: asyncpg.Connection,
    change: Change,
    why: str,
    concerned: Mapping[str, asyncpg.Connection],
    *,
    base: int | None = None,
) -> ShardMap:
    """Put ``change`` of the map in force into force, and return it with its epoch.

    ``concerned``: the shards, by name, on which the change means something else than before, each with a
    connection to its primary outside a transaction; their connections have to enter the new epoch.
    ``base``: the epoch that the caller's decision stands on. Raises MapChanged when another one is in force,
    or when others publish all the time; MapLost; whatever ``change`` raises; asyncpg's errors, and then
    nobody knows whether it is in force until it is read. Afterwards the concerned shards get copies (see
    ``copies``).
    """
    published = await _publish(catalog, change, why, concerned, base)
    await asyncio.gather(*(_put_copy(shard, published) for shard in concerned.values()))
    return published


async def _publish(
    catalog: asyncpg.Connection,
    change: Callable[[ShardMap], ShardMap],
    why: str,
    concerned: Mapping[str, asyncpg.Connection],
    base: int | None,
) -> ShardMap:
    for _ in range(ATTEMPTS):
        async with catalog.transaction(isolation="read_committed"):
            await catalog.execute(_ALONE)
            current = await read(catalog)
            if base is not None and current.epoch != base:
                raise MapChanged(f"the map is of epoch {current.epoch} now, not of {base} any more")
            await check_not_lost(current, concerned)
            epoch = 1 + max(
                [current.epoch, *[await shard.fetchval(_HEARD_OF) for shard in concerned.values()]]
            )
            if all([await shard.fetchval(_TELL_SHARD, epoch) for shard in concerned.values()]):
                published = _numbered(change(current), epoch, concerned)
                await _insert(catalog, published, why)
                return published
    raise MapChanged("the map is being changed by others at the same time")


async def check_not_lost(current: ShardMap, shards: Mapping[str, asyncpg.Connection]) -> None:
    """Raise MapLost if one of the shards, by name, has a copy of a map that is newer than the catalog's;
    nobody else publishes meanwhile.
    """
    _compare(current, {name: await read_copy(shard) for name, shard in shards.items()})


async def read_not_lost(catalog: asyncpg.Connection, shards: Mapping[str, asyncpg.Connection]) -> ShardMap:
    """The map in force, whoever publishes meanwhile: a copy is on a shard only once the catalog has it, so
    the copies are read first. Raises MapLost.
    """
    copies = {name: await read_copy(shard) for name, shard in shards.items()}
    current = await read(catalog)
    _compare(current, copies)
    return current


def _compare(current: ShardMap, copies: Mapping[str, ShardMap | None]) -> None:
    for name, found in copies.items():
        if found is not None and found.epoch > current.epoch:
            raise MapLost(
                f"the catalog's newest map is of epoch {current.epoch}, and shard {name} has a copy of that "
                f"of epoch {found.epoch}, which was in force: the catalog has lost it",
                hint="shardproxy init puts the newest copy back; look at shardproxy moves list afterwards.",
            )


async def read_copy(shard: asyncpg.Connection) -> ShardMap | None:
    """The copy of a map on a shard, if there is one. Raises ConfigError for one that cannot be read."""
    try:
        row = await shard.fetchrow(_READ_COPY)
    except asyncpg.UndefinedTableError:  # the first version had none
        return None
    return None if row is None else from_document(json.loads(row["document"]), row["epoch"])


async def restore(catalog: asyncpg.Connection, copy: ShardMap, why: str) -> None:
    """Put a copy back into force, if it is newer than what the catalog has."""
    async with catalog.transaction(isolation="read_committed"):
        await catalog.execute(_ALONE)
        if copy.epoch > await newest_epoch(catalog):
            await _insert(catalog, copy, why)


async def _put_copy(shard: asyncpg.Connection, shard_map: ShardMap) -> None:
    """Tell the shard, for sidecars that cannot reach the catalog; without it they have to wait for that."""
    with suppress(*FAULTS):
        document = json.dumps(to_document(shard_map))
        await shard.execute(_COPY, shard_map.epoch, document, timeout=COPY_TIMEOUT)


def _numbered(shard_map: ShardMap, epoch: int, concerned: Mapping[str, object]) -> ShardMap:
    epochs = (
        epoch if name in concerned else before
        for name, before in zip(shard_map.shards, shard_map.shard_epochs, strict=True)
    )
    return replace(shard_map, epoch=epoch, shard_epochs=tuple(epochs))


async def _insert(catalog: asyncpg.Connection, shard_map: ShardMap, why: str) -> None:
    document = json.dumps(to_document(shard_map))
    await catalog.execute(_INSERT, shard_map.epoch, document, why)
    await catalog.execute(_NOTIFY, CHANNEL, str(shard_map.epoch))

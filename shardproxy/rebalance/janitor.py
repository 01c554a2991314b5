"""Clearing away what moves have left on the shards and no unfinished move owns.

A move that ends leaves nothing; what is found here is of a server that was away, restored or cloned
meanwhile, or of a driver whose machine is gone. Each move's lock is held while its things are judged and
removed, so nobody drives it; and they are judged by the journal as it is after they were seen, so that a move
which has just begun is known.
"""

from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any, Final

import asyncpg

from shardproxy.backend.driver import FAULTS, reason
from shardproxy.catalog import journal
from shardproxy.catalog.connect import connect
from shardproxy.catalog.journal import Move
from shardproxy.catalog.locks import CLASS_MOVER
from shardproxy.errors import ShardproxyError
from shardproxy.rebalance import table_fence
from shardproxy.rebalance.connections import (
    ANSWER_TIMEOUT,
    CONNECT_TIMEOUT,
    check_shard,
    driver_name,
    end_others,
    forget,
    open_catalog,
)
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.rollback import rolled_back_by
from shardproxy.rebalance.sql_files import sql
from shardproxy.replication import publication, slot, subscription

APPLICATION_NAME: Final = "shardproxy janitor"

ORDER: Final = ("session", "subscription", "slot", "publication", "fence", "marker", "state")
"""A subscription goes before the slot that it reads, which goes before its publication; the tables' fence
goes before the state that it asks for.
"""

_TRY_LOCK: Final = "SELECT pg_try_advisory_lock($1, $2)"
_UNLOCK: Final = "SELECT pg_advisory_unlock($1, $2)"
_FORGET_MARKS: Final = "DELETE FROM shardproxy.marker WHERE move = $1"
_FORGET_MOVE: Final = "DELETE FROM shardproxy.moving WHERE move = $1"


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing of the move ``move`` on a shard. ``kind`` is one of ORDER. ``why`` it is kept, or nobody's;
    ``nobodys``: it is removed; ``removed``: it was.
    """

    shard: str
    kind: str
    name: str
    move: int
    why: str = ""
    nobodys: bool = False
    removed: bool = False

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Cleared:
    """``found``: all that moves have on the shards; ``away``: shards that could not be looked at, and why."""

    found: tuple[Leftover, ...]
    away: dict[str, str]


async def clear(installation: Installation, *, dry_run: bool = False) -> Cleared:
    """Look at every shard, and remove what is nobody's. Raises ShardproxyError, and driver.FAULTS."""
    catalog = await open_catalog(installation, APPLICATION_NAME)
    opened: dict[str, asyncpg.Connection] = {}
    away: dict[str, str] = {}
    try:
        for name in installation.shards:
            try:
                opened[name] = await _open(installation, name, catalog)
            except FAULTS as fault:
                away[name] = reason(fault)
        seen: list[Leftover] = []
        for name, connection in opened.items():
            for row in await connection.fetch(sql("leftovers")):
                seen.append(Leftover(name, row["kind"], row["name"], row["move"]))
        found: list[Leftover] = []
        seen.sort(key=lambda each: (each.move, ORDER.index(each.kind), each.shard, each.name))
        for number, things in groupby(seen, lambda each: each.move):
            found += await _clear_move(catalog, opened, number, list(things), dry_run=dry_run)
        return Cleared(tuple(found), away)
    finally:
        for connection in (*opened.values(), catalog):
            await forget(connection)


async def _open(installation: Installation, name: str, catalog: asyncpg.Connection) -> asyncpg.Connection:
    primary = installation.shard(name).primary
    connection = await connect(
        primary, APPLICATION_NAME, timeout=CONNECT_TIMEOUT, command_timeout=ANSWER_TIMEOUT
    )
    try:
        await check_shard(connection, catalog, name)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _clear_move(
    catalog: asyncpg.Connection,
    shards: dict[str, asyncpg.Connection],
    number: int,
    things: list[Leftover],
    *,
    dry_run: bool,
) -> list[Leftover]:
    """All that was found of one move, judged, and removed where it is nobody's."""
    if number < 1 << 31 and not await catalog.fetchval(_TRY_LOCK, CLASS_MOVER, number):
        return [replace(each, why="its driver is at work") for each in things]
    try:
        judged = [replace(each, **await _judge(catalog, each)) for each in things]
        if dry_run:
            return judged
        return [
            replace(each, removed=await _remove(shards[each.shard], each)) if each.nobodys else each
            for each in judged
        ]
    finally:
        if number < 1 << 31:
            await catalog.execute(_UNLOCK, CLASS_MOVER, number)


async def _judge(catalog: asyncpg.Connection, thing: Leftover) -> dict[str, Any]:
    """Whether anybody needs it. A catalog that was restored may not know of a move that a shard knows of."""
    move = await _read(catalog, thing.move)
    if move is None:
        return {"why": "the journal does not know that move"}
    if not move.has_ended:
        if thing.kind == "session" and thing.name == driver_name(thing.move):
            return {"why": f"its driver is gone; the move is {move.state}", "nobodys": True}
        return {"why": f"the move is {move.state}"}
    if (back := await rolled_back_by(catalog, move)) is not None:
        return {"why": f"move {back.number} rolls it back"}
    return {"why": f"the move is {move.state}", "nobodys": True}


async def _read(catalog: asyncpg.Connection, number: int) -> Move | None:
    try:
        return await journal.read(catalog, number)
    except ShardproxyError:  # there is none
        return None


async def _remove(shard: asyncpg.Connection, thing: Leftover) -> bool:
    match thing.kind:
        case "session":
            await end_others(shard, thing.name)
        case "subscription":
            await subscription.drop(shard, thing.name)
        case "slot":
            await slot.drop(shard, thing.name)
        case "publication":
            await publication.drop(shard, thing.name)
        case "fence":
            await table_fence.remove(shard, thing.move, lambda _: None)
        case "marker":
            await shard.execute(_FORGET_MARKS, thing.move)
        case "state":
            await shard.execute(_FORGET_MOVE, thing.move)
    return True

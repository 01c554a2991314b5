"""The rows of moves and what happened to them: written before each step, read by whoever resumes one."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import asyncpg

from shardproxy.errors import ShardproxyError


class MoveState(StrEnum):
    """``running`` and ``aborting`` moves are under way; the others have ended."""

    RUNNING = "running"
    ABORTING = "aborting"
    DONE = "done"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of one group, as the text that their type's output function writes."""

    group: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Buckets:
    """Buckets of every group, without the keys that have a placement."""

    buckets: tuple[int, ...]


What = Keys | Buckets


@dataclass(frozen=True, slots=True)
class Move:
    """One move as the journal has it.

    ``source`` and ``target`` are shards' names. ``step`` is the newest that was begun. ``facts`` are what
    later steps and a resumed move need. ``failure``: why the last attempt stopped, None while it runs.
    """

    number: int
    source: str
    target: str
    what: What
    step: str
    state: MoveState
    created: datetime
    updated: datetime
    options: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None

    @property
    def has_ended(self) -> bool:
        """Nothing is left to be done for it."""
        return self.state in (MoveState.DONE, MoveState.ABORTED)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a move's log."""

    at: datetime
    step: str
    what: str


_COLUMNS: Final = "move, source, target, what, options, step, state, facts, failure, created, updated"
_CREATE: Final = f"""
INSERT INTO shardproxy.move (source, target, what, options, step)
VALUES ($1, $2, $3, $4, $5)
RETURNING {_COLUMNS}
"""  # noqa: S608
_READ: Final = f"SELECT {_COLUMNS} FROM shardproxy.move WHERE move = $1"  # noqa: S608
_LIST: Final = f"""
SELECT {_COLUMNS} FROM shardproxy.move
WHERE state = ANY ($1) ORDER BY move DESC LIMIT $2
"""  # noqa: S608
_CHANGE: Final = f"""
UPDATE shardproxy.move
SET step = COALESCE($2, step), state = COALESCE($3, state), facts = facts || $4,
    failure = $5, updated = clock_timestamp()
WHERE move = $1
RETURNING {_COLUMNS}
"""  # noqa: S608
_LOG: Final = "INSERT INTO shardproxy.move_log (move, step, what) VALUES ($1, $2, $3)"
_ENTRIES: Final = """
SELECT at, step, what FROM shardproxy.move_log WHERE move = $1 ORDER BY entry
"""


async def create(
    catalog: asyncpg.Connection,
    source: str,
    target: str,
    what: What,
    *,
    step: str,
    options: Mapping[str, Any] | None = None,
) -> Move:
    """Write down a new move, which gets its number here."""
    row = await catalog.fetchrow(_CREATE, source, target, _dump(what), json.dumps(options or {}), step)
    return _move(row)


async def read(catalog: asyncpg.Connection, number: int) -> Move:
    """The move of that number. Raises ShardproxyError (P0002) when there is none."""
    row = await catalog.fetchrow(_READ, number) if 0 < number < 1 << 31 else None
    if row is None:
        raise _unknown(number)
    return _move(row)


async def moves(
    catalog: asyncpg.Connection, states: Iterable[MoveState] = tuple(MoveState), *, limit: int = 1000
) -> list[Move]:
    """The moves in one of ``states``, the newest first."""
    return [_move(row) for row in await catalog.fetch(_LIST, [state.value for state in states], limit)]


async def unfinished(catalog: asyncpg.Connection) -> list[Move]:
    """The moves that are under way or were left half done, the oldest first."""
    return (await moves(catalog, (MoveState.RUNNING, MoveState.ABORTING)))[::-1]


async def update(
    catalog: asyncpg.Connection,
    number: int,
    *,
    step: str | None = None,
    state: MoveState | None = None,
    facts: Mapping[str, Any] | None = None,
    failure: str | None = None,
) -> Move:
    """Write what is given; ``facts`` are added to those there are, a ``failure`` is forgotten without one."""
    row = await catalog.fetchrow(_CHANGE, number, step, state, json.dumps(facts or {}), failure)
    if row is None:
        raise _unknown(number)
    return _move(row)


async def log(catalog: asyncpg.Connection, number: int, step: str, what: str) -> None:
    """Add a line to the move's log."""
    await catalog.execute(_LOG, number, step, what)


async def entries(catalog: asyncpg.Connection, number: int) -> list[Entry]:
    """The move's log, the oldest line first."""
    return [Entry(**dict(row)) for row in await catalog.fetch(_ENTRIES, number)]


def _unknown(number: int) -> ShardproxyError:
    return ShardproxyError(f"there is no move {number}", sqlstate="P0002", hint="See shardproxy moves list.")


def _dump(what: What) -> str:
    if isinstance(what, Buckets):
        return json.dumps({"buckets": sorted(what.buckets)})
    return json.dumps({"group": what.group, "keys": sorted(what.keys)})


def _move(row: Mapping[str, Any]) -> Move:
    what = json.loads(row["what"])
    return Move(
        number=row["move"],
        source=row["source"],
        target=row["target"],
        what=Buckets(tuple(what["buckets"]))
        if "buckets" in what
        else Keys(what["group"], tuple(what["keys"])),
        step=row["step"],
        state=MoveState(row["state"]),
        created=row["created"],
        updated=row["updated"],
        options=json.loads(row["options"]),
        facts=json.loads(row["facts"]),
        failure=row["failure"],
    )

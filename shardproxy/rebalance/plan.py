"""What a move would do: which rows, how many, how large, how long; and what is in the way."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from shardproxy.catalog import maps
from shardproxy.catalog.connect import connect
from shardproxy.catalog.journal import Buckets, Keys, What
from shardproxy.rebalance.connections import CONNECT_TIMEOUT, open_catalog
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.obstacles import Obstacle
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.preflight import preflight
from shardproxy.rebalance.tables import ROW_SETTINGS, MovingTable, read_tables
from shardproxy.rebalance.what import name_of, placed_keys, sources
from shardproxy.replication.quoting import identifier
from shardproxy.topology.keys import from_text
from shardproxy.topology.moves import Moving
from shardproxy.topology.shard_map import ShardMap

APPLICATION_NAME: Final = "shardproxy plan"

ROWS_A_SECOND: Final = 100_000
SECONDS_A_MOVE: Final = 2.0
SECONDS_A_HOLD: Final = 0.5
SECONDS_A_PAUSE: Final = 0.1
"""For the expected time: what copying, comparing and deleting together do, and what a move needs besides;
what an offline move needs besides while the rows are held; the pause of any other.
"""


@dataclass(frozen=True, slots=True)
class Size:
    """Rows, and the bytes of their values (without headers and indexes)."""

    rows: int = 0
    bytes: int = 0

    def __add__(self, other: "Size") -> "Size":
        return Size(self.rows + other.rows, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class Planned:
    """One move from one shard. ``keys``: the size of each key's rows, when keys move; ``tables``: of each
    table's.

    ``seconds``: how long it will take, roughly; ``held``: how much of it the rows can not be used.
    ``obstacles``: what is in the way; ``warnings``: what is not.
    """

    source: str
    target: str
    what: What
    tables: dict[str, Size] = field(default_factory=dict)
    keys: dict[str, Size] = field(default_factory=dict)
    seconds: float = 0.0
    held: float = 0.0
    obstacles: tuple[Obstacle, ...] = ()
    warnings: tuple[Obstacle, ...] = ()

    @property
    def size(self) -> Size:
        """All that moves."""
        return sum(self.tables.values(), Size())

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        what = (
            {"buckets": list(self.what.buckets)}
            if isinstance(self.what, Buckets)
            else {"group": self.what.group}
        )
        return {
            "source": self.source,
            "target": self.target,
            **what,
            "keys": [{"key": key, "rows": size.rows, "bytes": size.bytes} for key, size in self.keys.items()],
            "tables": [
                {"table": table, "rows": size.rows, "bytes": size.bytes}
                for table, size in self.tables.items()
            ],
            "rows": self.size.rows,
            "bytes": self.size.bytes,
            "expected_seconds": round(self.seconds, 1),
            "held_seconds": round(self.held, 1),
            "obstacles": [{"what": each.what, "remedy": each.remedy} for each in self.obstacles],
            "warnings": [{"what": each.what, "remedy": each.remedy} for each in self.warnings],
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """The moves, one for each shard that the rows come from; ``there``: keys that are on the target
    already.
    """

    moves: tuple[Planned, ...]
    there: tuple[str, ...] = ()

    @property
    def obstacles(self) -> tuple[Obstacle, ...]:
        """All that is in the way of any of the moves."""
        return tuple(obstacle for each in self.moves for obstacle in each.obstacles)

    def to_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"moves": [each.to_json() for each in self.moves], "already_there": list(self.there)}


async def make_plan(installation: Installation, what: What, target: str, options: MoveOptions) -> Plan:
    """Look at everything, and change nothing. Raises ShardproxyError for what makes no sense, and
    driver.FAULTS.
    """
    installation.shard(target)
    catalog = await open_catalog(installation, APPLICATION_NAME)
    try:
        shard_map = await maps.read(catalog)
        parts = sources(shard_map, what)
        there = parts.pop(shard_map.index[target], None)
        moves = [
            await _plan_one(installation, catalog, shard_map, source, target, part, options)
            for source, part in sorted(parts.items())
        ]
    finally:
        catalog.terminate()
    keys = there.keys if isinstance(there, Keys) else ()
    return Plan(tuple(moves), keys)


async def _plan_one(
    installation: Installation,
    catalog: asyncpg.Connection,
    shard_map: ShardMap,
    source: int,
    target: str,
    what: What,
    options: MoveOptions,
) -> Planned:
    name = shard_map.shards[source]
    keys = placed_keys(shard_map, what) if isinstance(what, Keys) else frozenset()
    buckets = frozenset(what.buckets) if isinstance(what, Buckets) else frozenset()
    move = Moving(0, source, shard_map.index[target], keys, buckets)
    opened: list[asyncpg.Connection] = []
    try:
        for shard in (name, target):
            primary = installation.shard(shard).primary
            opened.append(
                await connect(primary, APPLICATION_NAME, timeout=CONNECT_TIMEOUT, settings=ROW_SETTINGS)
            )
        specs = (installation.shard(name), installation.shard(target))
        here, there = opened
        found = await preflight(catalog, here, there, shard_map, move, specs, options)
        tables: dict[str, Size] = {}
        sizes: dict[str, Size] = {}
        if not any(not each.warning for each in found):
            tables, sizes = await _measure(here, shard_map, move, what)
            found += _empty(shard_map, move, sizes)
    finally:
        for connection in opened:
            connection.terminate()
    total = sum(tables.values(), Size())
    return Planned(
        name,
        target,
        what,
        tables,
        sizes,
        seconds=_expected(total, options),
        held=_held(total, options),
        obstacles=tuple(each for each in found if not each.warning),
        warnings=tuple(each for each in found if each.warning),
    )


async def _measure(
    source: asyncpg.Connection, shard_map: ShardMap, move: Moving, what: What
) -> tuple[dict[str, Size], dict[str, Size]]:
    """The size of each table's rows, and of each key's when keys move."""
    tables: dict[str, Size] = {}
    keys: Counter[str] = Counter()
    volume: Counter[str] = Counter()
    for table in await read_tables(source, shard_map, move):
        tables[table.label] = Size()
        for row in await source.fetch(_size_query(table, by_key=isinstance(what, Keys))):
            tables[table.label] += Size(row["rows"], row["bytes"])
            if row["key"] is not None:
                keys[row["key"]] += row["rows"]
                volume[row["key"]] += row["bytes"]
    return tables, {key: Size(rows, volume[key]) for key, rows in keys.most_common()}


def _size_query(table: MovingTable, *, by_key: bool) -> str:
    width = " + ".join(f"COALESCE(pg_column_size({identifier(column)}), 0)" for column in table.columns)
    key = f"{identifier(table.key)}::text" if by_key else "NULL::text"
    return (
        f"SELECT {key} AS key, count(*) AS rows, COALESCE(sum({width}), 0)::int8 AS bytes "  # noqa: S608
        f"FROM {table.sql} WHERE {table.condition} GROUP BY 1"
    )


def _empty(shard_map: ShardMap, move: Moving, sizes: dict[str, Size]) -> list[Obstacle]:
    """Keys without any row: mistyped, most likely."""
    group_families = shard_map.tables.groups
    seen = {
        (group, from_text(group_families[group], text)) for text in sizes for group, _ in list(move.keys)[:1]
    }
    return [
        Obstacle(
            f"{name_of(shard_map, key)} has no rows on any table",
            "check its name; only what has rows can move",
        )
        for key in sorted(move.keys - seen)
    ]


def _expected(size: Size, options: MoveOptions) -> float:
    return SECONDS_A_MOVE + _for_rows(size, options)


def _held(size: Size, options: MoveOptions) -> float:
    """An offline move has its rows for all of the copy, any other for a moment."""
    return SECONDS_A_HOLD + _for_rows(size, options) if options.offline else SECONDS_A_PAUSE


def _for_rows(size: Size, options: MoveOptions) -> float:
    rate = min(ROWS_A_SECOND, options.max_rate or ROWS_A_SECOND)
    by_bytes = size.bytes / options.max_bytes if options.max_bytes else 0.0
    return max(size.rows / rate, by_bytes)

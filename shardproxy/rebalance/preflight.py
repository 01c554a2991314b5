"""Everything that is in the way of a move, found before anything is changed, and all of it at once."""

from collections import defaultdict
from typing import Final

import asyncpg

from shardproxy.backend.driver import reason
from shardproxy.backend.shards import ShardSpec
from shardproxy.catalog import journal
from shardproxy.catalog.look import look
from shardproxy.rebalance import obstacles
from shardproxy.rebalance.obstacles import Obstacle
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.schemas import schema_obstacles
from shardproxy.rebalance.sql_files import sql
from shardproxy.rebalance.tables import concerned, label, read_tables
from shardproxy.rebalance.what import conflicts_of
from shardproxy.replication import subscription
from shardproxy.topology.moves import Moving
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import Reference, RelationName

TRIAL: Final = "shardproxy_trial"


async def preflight(
    catalog: asyncpg.Connection,
    source: asyncpg.Connection,
    target: asyncpg.Connection,
    shard_map: ShardMap,
    move: Moving,
    specs: tuple[ShardSpec, ShardSpec],
    options: MoveOptions,
) -> list[Obstacle]:
    """What is in the way, and warnings. ``source`` and ``target`` are connections of the operator; changes
    nothing.

    ``specs``: the two shards. What is in the way of a way back is a warning, unless one was asked for. Raises
    asyncpg's errors.
    """
    found = [Obstacle(what, "see shardproxy moves list") for what in conflicts_of(shard_map, move)]
    found += await _unfinished(catalog, shard_map, move, options.concurrent)
    names = (shard_map.shards[move.source], shard_map.shards[move.target])
    found += await _of_servers(catalog, source, target, shard_map, move, options)
    found += await _of_tables(source, target, shard_map, move, offline=options.offline)
    found += await schema_obstacles(source, target, shard_map.tables, names)
    if all(each.warning for each in found):
        if not options.offline:
            found += await _reaches(target, names[1], specs[0])
            if options.has_way_back:
                back = await _reaches(source, names[0], specs[1])
                found += obstacles.of_way_back(back, asked=options.rollback_window > 0)
        found += await _occupied(target, shard_map, move)
    return found


async def _unfinished(
    catalog: asyncpg.Connection, shard_map: ShardMap, move: Moving, concurrent: int
) -> list[Obstacle]:
    """Moves that take part of the same, or too much of the same shards."""
    found: list[Obstacle] = []
    taking_part: defaultdict[str, list[int]] = defaultdict(list)
    for other in await journal.unfinished(catalog):
        if other.number == move.number:
            continue
        for name in (other.source, other.target):
            taking_part[name].append(other.number)
    for index in (move.source, move.target):
        name = shard_map.shards[index]
        if len(numbers := taking_part[name]) >= concurrent:
            listed = ", ".join(map(str, numbers))
            found.append(
                Obstacle(
                    f"shard {name} takes part in {len(numbers)} unfinished moves: {listed}",
                    "let them end, or shardproxy moves resume or abort them",
                )
            )
    return found


async def _of_servers(
    catalog: asyncpg.Connection,
    source: asyncpg.Connection,
    target: asyncpg.Connection,
    shard_map: ShardMap,
    move: Moving,
    options: MoveOptions,
) -> list[Obstacle]:
    names = (shard_map.shards[move.source], shard_map.shards[move.target])
    ours = (await look(catalog)).fence
    found: list[Obstacle] = []
    for name, connection in zip(names, (source, target), strict=True):
        fence = (await look(connection)).fence
        if fence is None:
            found.append(Obstacle(f"shard {name} is not initialised", "run shardproxy init"))
        elif ours is not None and (fence.installation, fence.name) != (ours.installation, name):
            found.append(
                Obstacle(
                    f"the server of {name} is the shard {fence.name} of installation {fence.installation}",
                    "give the right address",
                )
            )
    facts = [await connection.fetchrow(sql("server_facts")) for connection in (source, target)]
    if options.offline:
        return [*found, *obstacles.of_server(names[0], facts[0]), *obstacles.of_server(names[1], facts[1])]
    found += [*obstacles.of_source(names[0], facts[0]), *obstacles.of_target(names[1], facts[1])]
    if options.has_way_back:
        back = [*obstacles.of_publisher(names[1], facts[1]), *obstacles.of_subscriber(names[0], facts[0])]
        found += obstacles.of_way_back(back, asked=options.rollback_window > 0)
    return found


async def _of_tables(
    source: asyncpg.Connection,
    target: asyncpg.Connection,
    shard_map: ShardMap,
    move: Moving,
    *,
    offline: bool,
) -> list[Obstacle]:
    wanted = concerned(shard_map, move)
    reference = [name for name, rule in shard_map.tables.rules.items() if isinstance(rule, Reference)]
    arguments: list[list[str]] = [
        *_columns(list(wanted)),
        [rule.key for rule, _ in wanted.values()],
        [rule.group for rule, _ in wanted.values()],
        *_columns(reference),
        *_columns(list(shard_map.tables.rules)),
    ]
    where: defaultdict[tuple[str, RelationName, str], list[str]] = defaultdict(list)
    for index, connection in ((move.source, source), (move.target, target)):
        for row in await connection.fetch(sql("obstacles"), *arguments):
            seen = (row["kind"], (row["schema"], row["name"]), row["detail"])
            where[seen].append(shard_map.shards[index])
    return [
        obstacles.of_table(shards, kind, label(name), detail)
        for (kind, name, detail), shards in where.items()
        if not (offline and kind in obstacles.OF_STREAMS)
    ]


def _columns(names: list[RelationName]) -> tuple[list[str], list[str]]:
    return [schema for schema, _ in names], [name for _, name in names]


async def _reaches(connection: asyncpg.Connection, name: str, publisher_spec: ShardSpec) -> list[Obstacle]:
    """Whether the server of shard ``name`` can log in at another's: with a subscription that is rolled
    back.
    """
    primary = publisher_spec.primary
    publisher = subscription.conninfo(primary.address, primary.login)
    transaction = connection.transaction()
    await transaction.start()
    try:
        await subscription.create(connection, TRIAL, publisher, TRIAL, None)
    except asyncpg.PostgresError as error:
        return [
            Obstacle(
                f"shard {name}: its server cannot subscribe to {primary.address}: {reason(error)}",
                f'let it connect there as "{primary.login.user}" (pg_hba.conf, names, firewalls)',
            )
        ]
    finally:
        await transaction.rollback()
    return []


async def _occupied(target: asyncpg.Connection, shard_map: ShardMap, move: Moving) -> list[Obstacle]:
    """Rows on the target that nobody would miss and the move would run into."""
    found = []
    for table in await read_tables(target, shard_map, move):
        query = f"SELECT EXISTS (SELECT FROM {table.sql} WHERE {table.condition})"  # noqa: S608 - quoted there
        if await target.fetchval(query):
            name = shard_map.shards[move.target]
            found.append(
                Obstacle(
                    f"shard {name}: {table.label} has rows already that the move brings",
                    "they do not belong there; look at them, and delete them: "
                    f"WHERE {_short(table.condition)}",
                )
            )
    return found


def _short(condition: str) -> str:
    return condition if len(condition) <= 300 else f"{condition[:300]} ..."

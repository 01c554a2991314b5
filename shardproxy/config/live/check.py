"""Looks at every server at once, and reports what does not fit the configuration."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from shardproxy.backend.shards import ServerSpec
from shardproxy.config import assemble
from shardproxy.config.live.installation import judge_agreement, judge_fences, map_in_force
from shardproxy.config.live.look import Look, Misplaced, Target, look
from shardproxy.config.live.servers import judge_servers
from shardproxy.config.live.tables import judge_tables
from shardproxy.config.model import Config
from shardproxy.config.report import Report
from shardproxy.routing.route import Role

CONNECTIONS: Final = 32
"""Most servers that are looked at at once."""


async def check_live(config: Config, report: Report, *, rows: bool = True) -> tuple[Look, ...]:
    """Add to ``report`` all that is wrong between a checked configuration and its servers; what was seen.

    Only reads. ``rows``: misplaced rows are counted, in one pass over each table on each primary; then it
    takes as long as the largest table, else as the slowest server.
    """
    wish = assemble.shard_map(config)
    servers = list(targets(config))
    truth = await map_in_force(_catalog(config, servers))
    agreed = truth is None or judge_agreement(config, assemble.wish(config), truth, report)
    counted = (truth or wish) if agreed and rows else None
    slots = asyncio.Semaphore(CONNECTIONS)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(look(target, counted, slots)) for target in servers]
    looks = tuple(task.result() for task in tasks)
    if counted is not None and counted.epoch:
        after = await map_in_force(_catalog(config, servers))
        if after is not None and after.epoch != counted.epoch:
            looks = tuple(map(_doubtful, looks))
    judge_servers(looks, report)
    primaries = [seen for seen in looks if seen.target.role is Role.PRIMARY]
    judge_tables(config, wish, primaries, report)
    judge_fences(config, truth, primaries, report)
    return looks


def _doubtful(seen: Look) -> Look:
    """What was found misplaced by a map that is not in force any more may be in its place."""
    doubt = Misplaced(failure="the map has changed meanwhile; look again")
    counts = {name: doubt if found.rows else found for name, found in seen.misplaced.items()}
    return replace(seen, misplaced=counts)


def _catalog(config: Config, servers: Sequence[Target]) -> Target:
    """The primary that holds the catalog, or would."""
    return next(each for each in servers if each.shard == config.catalog_index and each.role is Role.PRIMARY)


def targets(config: Config) -> Iterator[Target]:
    """Every server of the configuration, each shard's primary first."""
    timeout = config.timeouts.server_connect + config.timeouts.server_login

    def target(shard: int, role: Role, server: ServerSpec, *place: str | int) -> Target:
        path = ("shards", shard, *place)
        return Target(shard, config.shards[shard].name, role, path, server.address, server.login, timeout)

    for i, spec in enumerate(assemble.shard_specs(config)):
        yield target(i, Role.PRIMARY, spec.primary, "primary")
        for j, replica in enumerate(spec.replicas):
            yield target(i, Role.REPLICA, replica, "replicas", j)

"""What is wrong with fences and the catalog, where the shards are an installation."""

from collections.abc import Sequence

import asyncpg

from shardproxy.backend.driver import FAULTS
from shardproxy.catalog import maps
from shardproxy.catalog.agreement import Wish, differences, drift
from shardproxy.catalog.look import Fence, NotOurs
from shardproxy.catalog.look import look as look_at_installed
from shardproxy.config.agreement import report_differences
from shardproxy.config.live.look import Look, Target, connect
from shardproxy.config.model import Config
from shardproxy.config.report import Report
from shardproxy.errors import ShardproxyError
from shardproxy.topology.shard_map import ShardMap


async def map_in_force(catalog: Target) -> ShardMap | None:
    """The catalog's map; None where there is none, or it cannot be read, which is reported elsewhere."""
    try:
        connection = await connect(catalog)
        try:
            if (await look_at_installed(connection)).catalog:
                return await maps.read(connection)
        finally:
            connection.terminate()
    except (*FAULTS, ShardproxyError):
        pass
    return None


async def is_installed(connection: asyncpg.Connection) -> bool:
    """Whether the connected shard has a fence; the search_path is pg_catalog."""
    try:
        return (await look_at_installed(connection)).fence is not None
    except NotOurs:
        return False


def judge_agreement(config: Config, wish: Wish, truth: ShardMap, report: Report) -> bool:
    """Report what the configuration says otherwise than the catalog; whether they agree."""
    found = differences(wish, truth)
    report_differences(found, config, report)
    for sentence in drift(wish, truth):
        report.warning(("shards",), f"differs from the catalog, which counts: {sentence}", at_key=True)
    return not found


def judge_fences(config: Config, truth: ShardMap | None, primaries: Sequence[Look], report: Report) -> None:
    """Report shards that are not, or not any more, what the configuration and the catalog say."""
    for seen in primaries:
        if seen.not_installed is not None:
            report.mistake(seen.target.path, seen.not_installed)
    fences = [(seen, seen.installed.fence) for seen in primaries if seen.installed and seen.installed.fence]
    if not fences:
        return
    where = [seen.target.name for seen in primaries if seen.installed and seen.installed.catalog]
    wanted = config.shards[config.catalog_index].name
    if wanted not in where:
        there = f"it is on {where[0]}" if where else "run shardproxy init, which has not finished"
        report.mistake(("catalog", "shard"), f"there is no catalog on {wanted}; {there}")
    ours = next((fence for seen, fence in fences if seen.target.name == wanted), fences[0][1]).installation
    for seen, fence in fences:
        _judge_fence(seen, fence, ours, truth, report)
    for seen in primaries:
        if seen.installed is not None and seen.installed.fence is None and _is_known(seen, truth):
            report.mistake(seen.target.path, f"{seen.target.address} has no fence; run shardproxy init")


def _is_known(seen: Look, truth: ShardMap | None) -> bool:
    return truth is None or seen.target.name in truth.index


def _judge_fence(seen: Look, fence: Fence, ours: object, truth: ShardMap | None, report: Report) -> None:
    target = seen.target
    if fence.installation != ours or fence.name != target.name:
        report.mistake(
            target.path,
            f"{target.address} is shard '{fence.name}' of installation {fence.installation}; "
            "correct the address",
        )
    elif truth is not None and target.name in truth.index:
        epoch = truth.shard_epochs[truth.index[target.name]]
        if fence.newest_epoch < epoch:
            report.mistake(
                target.path,
                f"{target.address} has heard of epoch {fence.newest_epoch} and should have of {epoch}; "
                "was it restored from a backup?",
            )
        elif fence.oldest_epoch > epoch:
            report.mistake(
                target.path,
                f"{target.address} lets in nobody before epoch {fence.oldest_epoch}, and the catalog's map "
                f"has {epoch} for it; was the catalog restored from a backup?",
            )

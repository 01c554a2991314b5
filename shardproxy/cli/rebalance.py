"""``shardproxy rebalance``: buckets go to where the ring, or the sizes of shards, want them."""

import re
from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.table import Table as TextTable

from shardproxy.cli.moving import (
    DEFAULTS,
    Command,
    DryRun,
    Grace,
    MaxBytes,
    MaxLag,
    MaxPause,
    MaxRate,
    ShowProgress,
    Workers,
    installation,
)
from shardproxy.cli.output import DEFAULT_CONFIG, AsJson, ConfigFile, print_table
from shardproxy.cli.series import (
    LIMITS,
    BatchBuckets,
    BatchBytes,
    BatchRows,
    Parallel,
    write_plan,
    write_series,
)
from shardproxy.config.load import load
from shardproxy.errors import ShardproxyError
from shardproxy.rebalance.aims import set_evened
from shardproxy.rebalance.by_size import Measured, plan_by_size, run_by_size
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.move import Outcome
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.progress import Report
from shardproxy.rebalance.ring import Goal, Limits, to_aim
from shardproxy.rebalance.series import Manner, plan_series, run_series
from shardproxy.topology.shard_map import ShardMap


class By(StrEnum):
    """What says where buckets should be."""

    RING = "ring"
    SIZE = "size"
    LOAD = "load"


ByWhat = Annotated[
    By | None,
    typer.Option(
        "--by",
        help="size: even out the bytes on the shards. ring: give back what was moved for that. "
        "Default: the ring, but such buckets stay.",
    ),
]
Tolerance = Annotated[
    str,
    typer.Option("--tolerance", metavar="PERCENT", help="With --by size: so far from its share is even."),
]


def rebalance(
    by: ByWhat = None,
    tolerance: Tolerance = "10%",
    dry_run: DryRun = False,
    parallel: Parallel = 1,
    batch_rows: BatchRows = LIMITS.rows,
    batch_bytes: BatchBytes = LIMITS.bytes,
    batch_buckets: BatchBuckets = LIMITS.buckets,
    max_rate: MaxRate = DEFAULTS.max_rate,
    max_bytes: MaxBytes = DEFAULTS.max_bytes,
    max_lag: MaxLag = DEFAULTS.max_lag,
    max_pause: MaxPause = DEFAULTS.max_pause,
    grace: Grace = DEFAULTS.grace,
    workers: Workers = DEFAULTS.workers,
    progress: ShowProgress = None,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Move buckets to where the ring wants them, while they are used; placed tenants stay where they are.

    Ctrl-C stops it between two moves or in the middle of one; the same command goes on.
    """
    shards = installation(load(config))
    options = MoveOptions(
        max_rate=max_rate,
        max_bytes=max_bytes,
        max_lag=max_lag,
        max_pause=max_pause,
        grace=grace,
        workers=workers,
    )
    manner = Manner(
        options, replace(Limits(), rows=batch_rows, bytes=batch_bytes, buckets=batch_buckets), parallel
    )
    again = "shardproxy rebalance" + (f" --by {by.value}" if by else "")
    command = Command(progress, as_json=as_json, again=again)
    if by is By.LOAD:
        command.run(lambda _: _refuse_load())
    elif by is By.SIZE:
        _by_size(command, shards, _share(tolerance), manner, dry_run=dry_run, as_json=as_json)
    elif dry_run:
        lacks = _to_ring if by is By.RING else to_aim
        plan = command.run(lambda report: plan_series(shards, lacks, manner, report))
        write_plan(plan, as_json=as_json, evened=len(plan.shard_map.evened))
        if plan.shard_map.evened and by is None and not as_json:
            typer.echo(_evened(plan.shard_map))
    else:
        outcomes = command.run(lambda report: _by_ring(shards, manner, report, forget=by is By.RING))
        write_series(outcomes, as_json=as_json)


async def _by_ring(shards: Installation, manner: Manner, report: Report, *, forget: bool) -> list[Outcome]:
    if forget:
        await set_evened(shards, frozenset())
    return await run_series(shards, to_aim, manner, report)


async def _refuse_load() -> None:
    raise ShardproxyError(
        "rebalancing by load is not in this version",
        sqlstate="0A000",
        detail="PostgreSQL counts reads and writes by table and by statement, not by key, so that nobody "
        "knows the load of a bucket.",
        hint="Use --by size, or move the tenants you know to be busy: shardproxy tenant move.",
    )


def _to_ring(shard_map: ShardMap) -> Goal:
    return to_aim(replace(shard_map, evened=frozenset()))


def _by_size(
    command: Command, shards: Installation, tolerance: float, manner: Manner, *, dry_run: bool, as_json: bool
) -> None:
    if dry_run:
        measured, plan = command.run(lambda report: plan_by_size(shards, tolerance, manner, report))
        _write_measured(measured, as_json=as_json)
        write_plan(plan, as_json=as_json, shards=_shards_json(measured), even=measured.evened.even)
        return
    measured, outcomes = command.run(lambda report: run_by_size(shards, tolerance, manner, report))
    _write_measured(measured, as_json=as_json)
    write_series(outcomes, as_json=as_json, shards=_shards_json(measured), even=measured.evened.even)


def _share(text: str) -> float:
    """``10%``, or ``10``. Raises typer.BadParameter."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%?", text.strip())
    if found is None or not 0 < float(found[1]) < 100:
        raise typer.BadParameter("a percentage, such as 10%", param_hint="--tolerance")
    return float(found[1]) / 100


def _evened(shard_map: ShardMap) -> str:
    back = len(_to_ring(shard_map).buckets) - len(to_aim(shard_map).buckets)
    return (
        f"{back} buckets stay where rebalance --by size has put them; "
        "shardproxy rebalance --by ring gives them back to the ring"
    )


def _shards_json(measured: Measured) -> list[dict[str, object]]:
    evened = measured.evened
    return [
        {"shard": name, "bytes": evened.before[i], "share": round(evened.shares[i]), "after": evened.after[i]}
        for i, name in enumerate(measured.shard_map.shards)
    ]


def _write_measured(measured: Measured, *, as_json: bool) -> None:
    if as_json:
        return
    table = TextTable(box=None, pad_edge=False)
    for heading in ("shard", "bytes", "its share", "evened"):
        table.add_column(heading, justify="left" if heading == "shard" else "right")
    evened = measured.evened
    for i, name in enumerate(measured.shard_map.shards):
        table.add_row(
            name, decimal(evened.before[i]), decimal(round(evened.shares[i])), decimal(evened.after[i])
        )
    print_table(table)
    if not evened.even:
        typer.echo(
            "buckets alone cannot make it even: a bucket or a placed tenant is too large; see tenant list"
        )

"""``shardproxy shard``: how the shards are, and changing their parts of the ring."""

import asyncio
from dataclasses import asdict, replace
from typing import Annotated, Any

import typer
from rich.table import Table as TextTable

from shardproxy.backend.shards import ShardSpec
from shardproxy.cli import membership
from shardproxy.cli.asking import with_map
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
from shardproxy.cli.output import DEFAULT_CONFIG, AsJson, ConfigFile, print_table, write_json
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
from shardproxy.rebalance.aims import set_weight, weighted
from shardproxy.rebalance.drain import drain as drain_shard
from shardproxy.rebalance.drain import plan_drain
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.ring import Limits, to_aim
from shardproxy.rebalance.series import Manner, plan_series, run_series
from shardproxy.rebalance.shards import ServerState, ShardState, states
from shardproxy.topology.keys import BUCKETS
from shardproxy.topology.shard_map import ShardMap

shard = typer.Typer(
    help="How the shards are, and changing their parts of the ring.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
shard.command("add")(membership.add)
shard.command("remove")(membership.remove)

Name = Annotated[str, typer.Argument(metavar="SHARD", help="The shard.")]
Weight = Annotated[int, typer.Argument(metavar="N", min=0, help="Its part of the buckets is N of the sum.")]
NoRebalance = Annotated[bool, typer.Option("--no-rebalance", help="Only publish it; move nothing now.")]


@shard.command("list")
def list_(config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """List the shards: weights, buckets now and as the ring wants them, placed tenants, epochs, servers."""
    options = load(config)
    catalog = options.shards[options.catalog_index].name

    async def ask(shards: dict[str, ShardSpec], shard_map: ShardMap) -> list[ShardState]:
        return await states(shards, shard_map, catalog)

    found = asyncio.run(with_map(options, ask))
    if as_json:
        write_json({"shards": [asdict(each) for each in found]})
        return
    table = TextTable(box=None, pad_edge=False)
    for heading in ("shard", "weight", "buckets", "aimed at", "placed", "epoch", "servers", ""):
        table.add_column(heading, justify="left" if heading in ("shard", "servers", "") else "right")
    for each in found:
        moves = [f"in move {number}" for number in each.moves]
        table.add_row(
            each.name,
            str(each.weight),
            f"{each.buckets:,} ({each.buckets / BUCKETS:.1%})",
            f"{each.aimed:,} ({each.aimed / BUCKETS:.1%})",
            f"{each.placed:,}",
            str(each.epoch),
            _servers(each),
            ", ".join((*each.roles, *moves)),
        )
    print_table(table)


@shard.command("weight")
def weight(
    name: Name,
    number: Weight,
    no_rebalance: NoRebalance = False,
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
    """Give a shard another weight, and move the buckets that the ring then wants elsewhere."""
    shards = installation(load(config))
    options = MoveOptions(
        max_rate=max_rate,
        max_bytes=max_bytes,
        max_lag=max_lag,
        max_pause=max_pause,
        grace=grace,
        workers=workers,
    )
    limits = replace(Limits(), rows=batch_rows, bytes=batch_bytes, buckets=batch_buckets)
    manner = Manner(options, limits, parallel)
    command = Command(progress, as_json=as_json, again=f"shardproxy shard weight {name} {number}")
    if dry_run:
        plan = command.run(
            lambda report: plan_series(
                shards, lambda now: to_aim(weighted(now, name, number)), manner, report
            )
        )
        write_plan(plan, as_json=as_json)
        return
    before = command.run(lambda _: set_weight(shards, name, number))
    if not as_json:
        typer.echo(f"{name} has weight {number} in epoch {before.epoch}")
    if no_rebalance:
        _write_pending(before, as_json=as_json)
        return
    outcomes = command.run(lambda report: run_series(shards, to_aim, manner, report))
    write_series(outcomes, as_json=as_json)


@shard.command("drain")
def drain(
    name: Name,
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
    """Move everything off a shard: weight 0, its buckets, and the tenants that are placed there."""
    shards = installation(load(config))
    options = MoveOptions(
        max_rate=max_rate,
        max_bytes=max_bytes,
        max_lag=max_lag,
        max_pause=max_pause,
        grace=grace,
        workers=workers,
    )
    limits = replace(Limits(), rows=batch_rows, bytes=batch_bytes, buckets=batch_buckets)
    manner = Manner(options, limits, parallel)
    command = Command(progress, as_json=as_json, again=f"shardproxy shard drain {name}")
    if dry_run:
        write_plan(command.run(lambda report: plan_drain(shards, name, manner, report)), as_json=as_json)
        return
    drained = command.run(lambda report: drain_shard(shards, name, manner, report))
    write_series(list(drained.moves), as_json=as_json, empty=not drained.rows, rows_in=list(drained.rows))
    if as_json:
        return
    if drained.rows:
        typer.echo(
            f"{name} owns nothing any more, but {', '.join(drained.rows)} have rows there that nobody sees; "
            "look at them before it is removed: shardproxy check --live"
        )
    else:
        typer.echo(f"{name} is empty: it may be removed")


def _servers(state: ShardState) -> str:
    if state.primary is None:
        return "not in the configuration"
    replicas = [f"replica {_server(each)}" for each in state.replicas]
    return "; ".join((_server(state.primary), *replicas))


def _server(state: ServerState) -> str:
    if state.failure is not None:
        return f"{state.address} cannot be reached: {state.failure}"
    if state.oldest is None:
        return f"{state.address} up, no fence"
    return f"{state.address} up, epochs {state.oldest} to {state.newest}"


def _write_pending(shard_map: ShardMap, *, as_json: bool) -> None:
    pending = len(to_aim(shard_map).buckets)
    if as_json:
        said: dict[str, Any] = {"ok": True, "epoch": shard_map.epoch, "buckets_to_move": pending, "moves": []}
        write_json(said)
    else:
        typer.echo(f"{pending} buckets are to be moved: shardproxy rebalance")

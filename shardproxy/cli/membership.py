"""``shardproxy shard add`` and ``remove``: shards that come and go."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Annotated, Any

import typer
from rich.filesize import decimal

from shardproxy.cli.moving import DEFAULTS, Command, DryRun, Grace, ShowProgress, installation
from shardproxy.cli.output import DEFAULT_CONFIG, AsJson, ConfigFile, fail, write_json
from shardproxy.cli.series import Parallel
from shardproxy.config import assemble
from shardproxy.config.load import load
from shardproxy.config.model import Config, Shard
from shardproxy.errors import ShardproxyError
from shardproxy.rebalance import membership
from shardproxy.rebalance.membership import Change
from shardproxy.rebalance.move import Outcome
from shardproxy.rebalance.obstacles import Obstacle, Obstructed
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.ring import to_aim
from shardproxy.rebalance.series import Manner, run_series

Name = Annotated[str, typer.Argument(metavar="SHARD", help="The shard, as the configuration names it.")]
Weight = Annotated[
    int | None,
    typer.Option("--weight", min=0, max=1000, help="Its share of the buckets; default: the configuration's."),
]
CopyReference = Annotated[
    bool, typer.Option("--copy-reference", help="Fill its reference tables where they are empty.")
]
NoRebalance = Annotated[bool, typer.Option("--no-rebalance", help="Only admit it; move nothing now.")]


def add(
    name: Name,
    weight: Weight = None,
    copy_reference: CopyReference = False,
    no_rebalance: NoRebalance = False,
    dry_run: DryRun = False,
    parallel: Parallel = 1,
    grace: Grace = DEFAULTS.grace,
    progress: ShowProgress = None,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Put a shard that the configuration has into the map, once it is like the others and every sidecar knows
    it, and move the buckets there that the ring gives it.
    """
    options = load(config)
    configured = _configured(options, name)
    shards = installation(options)
    work = membership.add(
        shards,
        name,
        assemble.shard_login(options, configured).user,
        configured.weight if weight is None else weight,
        copy_reference=copy_reference,
        dry_run=dry_run,
        tell=_tell(as_json=as_json),
    )
    change = _done(work, as_json=as_json)
    moved: list[Outcome] = []
    if not (dry_run or no_rebalance or as_json):
        _write(change, "is in the map, and owns nothing yet", as_json=False)
    if not (dry_run or no_rebalance):
        command = Command(progress, as_json=as_json, again="shardproxy rebalance")
        manner = Manner(MoveOptions(grace=grace), parallel=parallel)
        moved = command.run(lambda report: run_series(shards, to_aim, manner, report))
        if not as_json:
            rows = sum(each.rows for each in moved)
            typer.echo(f"{rows:,} rows were moved to it, in {len(moved)} moves")
            return
    _write(change, "is in the map, and owns nothing yet", as_json=as_json, moves=moved)


def remove(
    name: Name,
    grace: Grace = DEFAULTS.grace,
    dry_run: DryRun = False,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Take a shard that owns nothing any more out of the map; afterwards it may leave the configurations."""
    options = load(config)
    _configured(options, name)
    work = membership.remove(
        installation(options), name, grace=grace, dry_run=dry_run, tell=_tell(as_json=as_json)
    )
    _write(_done(work, as_json=as_json), "is not in the map, and nobody uses it any more", as_json=as_json)


def _configured(config: Config, name: str) -> Shard:
    found = next((each for each in config.shards if each.name == name), None)
    if found is None:
        known = ", ".join(each.name for each in config.shards)
        raise ShardproxyError(
            f'the shard "{name}" is unknown',
            sqlstate="42704",
            hint=f"The configuration has {known}; a new one is added there first.",
        )
    return found


def _tell(*, as_json: bool) -> membership.Tell:
    return (lambda _: None) if as_json else lambda said: typer.echo(said, err=True)


def _done(work: Coroutine[Any, Any, Change], *, as_json: bool) -> Change:
    try:
        return asyncio.run(work)
    except Obstructed as error:
        if as_json:
            write_json({"ok": False, "error": error.message, "obstacles": _as_json(error.obstacles)})
            raise typer.Exit(1) from None
        _write_obstacles(error.obstacles)
        error.detail = None
        fail(error)


def _write(change: Change, done: str, *, as_json: bool, moves: Sequence[Outcome] = ()) -> None:
    if as_json:
        write_json(
            {
                "ok": not change.blocked,
                "shard": change.shard,
                "epoch": change.epoch,
                "buckets": change.buckets,
                "rows": change.size.rows,
                "bytes": change.size.bytes,
                "moves": [each.to_json() for each in moves],
                "obstacles": _as_json(change.obstacles),
            }
        )
    else:
        _write_obstacles(change.obstacles)
        if change.epoch is not None:
            typer.echo(f"{change.shard} {done} (epoch {change.epoch})")
        elif not change.blocked:
            typer.echo("nothing is in the way")
            if change.buckets:
                size = f"{change.size.rows:,} rows, {decimal(change.size.bytes)}"
                typer.echo(f"{change.buckets} buckets would move there: {size}")
    if change.blocked:
        raise typer.Exit(1)


def _as_json(obstacles: tuple[Obstacle, ...]) -> list[dict[str, object]]:
    return [{"what": each.what, "remedy": each.remedy, "warning": each.warning} for each in obstacles]


def _write_obstacles(obstacles: tuple[Obstacle, ...]) -> None:
    for each in obstacles:
        label = typer.style("warning:", fg="yellow") if each.warning else typer.style("in the way:", fg="red")
        typer.echo(f"{label} {each.what}\n  {each.remedy}", err=True)

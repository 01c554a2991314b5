"""``shardproxy apply``: make the map what a configuration says."""

from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal

from shardproxy.cli.moving import DEFAULTS, Command, DryRun, Grace, ShowProgress, installation
from shardproxy.cli.output import DEFAULT_CONFIG, AsJson, write_json
from shardproxy.config import assemble
from shardproxy.config.load import load
from shardproxy.rebalance.apply import ApplyPlan, apply, plan_apply
from shardproxy.rebalance.options import MoveOptions

File = Annotated[
    Path,
    typer.Option(
        *("--file", "-f", "--config", "-c"),
        metavar="FILE",
        envvar="SHARDPROXY_CONFIG",
        help="The configuration file (YAML).",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def apply_(
    file: File = DEFAULT_CONFIG,
    dry_run: DryRun = False,
    yes: Yes = False,
    grace: Grace = DEFAULTS.grace,
    progress: ShowProgress = None,
    as_json: AsJson = False,
) -> None:
    """Make the map what the file says: new shards, tables and groups, weights, and tenants that it places.

    Shows what would be done, and asks. Afterwards the file goes to the sidecars: those that run know already,
    and those that start with an older file are refused until they have it.
    """
    config = load(file)
    shards, wish = installation(config), assemble.wish(config)
    roles = {shard.name: assemble.shard_login(config, shard).user for shard in config.shards}
    options = MoveOptions(grace=grace)
    command = Command(progress, as_json=as_json, again="shardproxy apply, or rebalance")
    plan = command.run(lambda _: plan_apply(shards, wish, roles, options))
    if not as_json:
        _write(plan)
    if dry_run or plan.obstacles or not plan:
        if as_json:
            write_json({"ok": not plan.obstacles, "done": False, **plan.to_json()})
        elif not plan.obstacles and not plan:
            typer.echo("the map is what the file says; there is nothing to do")
        if plan.obstacles:
            raise typer.Exit(1)
        return
    if not yes:
        typer.confirm("Do it?", abort=True, err=True)
    shard_map = command.run(lambda report: apply(shards, plan, roles, options, report))
    if as_json:
        said = {"ok": True, "done": True, **plan.to_json(), "epoch": shard_map.epoch}
        write_json(said)
        return
    typer.echo(f"done: the map is of epoch {shard_map.epoch}")


def _write(plan: ApplyPlan) -> None:
    for sentence in plan.sentences:
        typer.echo(sentence)
    for each in plan.moves:
        for move in each.moves:
            typer.echo(
                f"  from {move.source} to {move.target}: {move.size.rows:,} rows, {decimal(move.size.bytes)}"
            )
    if plan.buckets:
        size = f"{plan.size.rows:,} rows, {decimal(plan.size.bytes)}"
        typer.echo(f"then {plan.buckets} buckets move to where the ring wants them: {size}")
    for obstacle in plan.obstacles:
        typer.echo(f"{typer.style('in the way:', fg='red')} {obstacle.what}\n  {obstacle.remedy}", err=True)

"""``shardproxy init``: put the fences and the catalog on the shards."""

import asyncio
from contextlib import nullcontext
from typing import Annotated, Any

import typer

from shardproxy.catalog import install
from shardproxy.catalog.agreement import Difference, differences
from shardproxy.cli.output import DEFAULT_CONFIG, AsJson, ConfigFile, console, write_json
from shardproxy.config import assemble
from shardproxy.config.load import load
from shardproxy.config.model import Config

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


def init(config: ConfigFile = DEFAULT_CONFIG, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Make an installation of the shards: from then on the map is in the catalog, and tenants can be moved.

    The configuration's map becomes the first. Sidecars that run take it over by themselves. What is there
    already is left as it is, so it can be run again at any time.
    """
    options = load(config)
    targets = assemble.install_targets(options)
    with console(errors=True).status("looking at the shards ...") if not as_json else nullcontext():
        plan, mistakes = asyncio.run(_plan(options, targets))
    done = not mistakes and not dry_run
    if done:
        asyncio.run(install.install(plan, targets, assemble.shard_map(options)))
    if as_json:
        write_json(_as_json(plan, mistakes, done=done))
    else:
        _write(plan, mistakes, done=done)
    if mistakes:
        raise typer.Exit(1)


async def _plan(config: Config, targets: list[install.Target]) -> tuple[install.Plan, list[str]]:
    plan = await install.plan(targets, config.shards[config.catalog_index].name)
    found: tuple[Difference, ...] = ()
    if plan.current is not None:
        found = differences(assemble.wish(config), plan.current)
    return plan, [*plan.mistakes, *(f"the catalog disagrees: {difference}" for difference in found)]


def _as_json(plan: install.Plan, mistakes: list[str], *, done: bool) -> dict[str, Any]:
    return {
        "installation": str(plan.installation),
        "done": done,
        "steps": [{"shard": step.shard, "what": step.what} for step in plan.steps],
        "mistakes": mistakes,
        "warnings": list(plan.lacks),
    }


def _write(plan: install.Plan, mistakes: list[str], *, done: bool) -> None:
    for mistake in mistakes:
        typer.echo(f"{typer.style('error:', fg='red', bold=True)} {mistake}", err=True)
    for right in plan.lacks:
        typer.echo(f"{typer.style('warning:', fg='yellow')} {right}", err=True)
    for step in plan.steps:
        typer.echo(f"{'done: ' if done else ''}{step}")
    if mistakes:
        typer.echo("nothing was changed", err=True)
    elif not plan.steps:
        typer.echo(f"installation {plan.installation} is complete; there is nothing to do")
    elif done:
        typer.echo(f"installation {plan.installation} is complete")

"""``shardproxy tenant``: which tenants there are and where, and moving them."""

import asyncio
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.table import Table as TextTable

from shardproxy.backend.shards import ShardSpec
from shardproxy.catalog.journal import Keys
from shardproxy.cli.asking import with_map
from shardproxy.cli.moving import (
    DEFAULTS,
    Command,
    DryRun,
    Grace,
    Group,
    MaxBytes,
    MaxLag,
    MaxPause,
    MaxRate,
    Offline,
    RollbackWindow,
    ShowProgress,
    To,
    Wait,
    Workers,
    installation,
    write_outcomes,
)
from shardproxy.cli.output import DEFAULT_CONFIG, AsJson, ConfigFile, print_table, write_json
from shardproxy.config.load import load
from shardproxy.errors import ShardproxyError
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance import pins, tenants
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.plan import Plan, Size, make_plan
from shardproxy.topology.keys import from_text
from shardproxy.topology.shard_map import ShardMap

tenant = typer.Typer(
    help="Which tenants there are and where, and moving them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

Names = Annotated[list[str], typer.Argument(metavar="TENANT...", help="The tenants; several move together.")]
Name = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant.")]
PinTo = Annotated[
    str | None, typer.Option("--to", metavar="SHARD", help="Move it to that shard first; default: stay.")
]
OfShard = Annotated[str | None, typer.Option("--shard", metavar="SHARD", help="Only those on this shard.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the largest first.")]


@tenant.command("list")
def list_(
    shard: OfShard = None,
    limit: Limit = 100,
    group: Group = None,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """List the largest tenants with their shard, rows and bytes. Reads every table of the group on every
    shard.
    """
    options = load(config)

    async def ask(shards: dict[str, ShardSpec], shard_map: ShardMap) -> list[tenants.Tenant]:
        if shard is not None and shard not in shards:
            raise ShardproxyError(f'the shard "{shard}" is unknown', hint=f"There are {', '.join(shards)}.")
        return await tenants.largest(shards, shard_map, _group(shard_map, group), limit=limit, only=shard)

    found = asyncio.run(with_map(options, ask))
    if as_json:
        write_json({"tenants": [_as_json(each) for each in found]})
        return
    table = TextTable(box=None, pad_edge=False)
    for heading in ("tenant", "shard", "rows", "bytes", ""):
        table.add_column(heading, justify="right" if heading in ("rows", "bytes") else "left")
    for each in found:
        table.add_row(each.key, each.shard, f"{each.size.rows:,}", decimal(each.size.bytes), _remarks(each))
    print_table(table)


@tenant.command("show")
def show(
    name: Name, group: Group = None, config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False
) -> None:
    """Show where a tenant is, why, and how much it has in each table."""
    options = load(config)

    async def ask(shards: dict[str, ShardSpec], shard_map: ShardMap) -> tenants.Tenant:
        of = _group(shard_map, group)
        return await tenants.one(shards, shard_map, of, from_text(shard_map.tables.groups[of], name))

    found = asyncio.run(with_map(options, ask))
    if as_json:
        write_json(_as_json(found))
        return
    why = "placed there" if found.placed else f"bucket {found.bucket}"
    typer.echo(f"{found.key}: shard {found.shard} ({why})")
    if remarks := _remarks(found):
        typer.echo(remarks)
    table = TextTable(box=None, pad_edge=False)
    for heading in ("table", "rows", "bytes"):
        table.add_column(heading, justify="left" if heading == "table" else "right")
    for label, size in sorted(found.tables.items()):
        table.add_row(label, f"{size.rows:,}", decimal(size.bytes))
    total = sum(found.tables.values(), Size())
    table.add_row("all", f"{total.rows:,}", decimal(total.bytes))
    print_table(table)


@tenant.command("move")
def move(
    names: Names,
    to: To,
    group: Group = None,
    dry_run: DryRun = False,
    max_rate: MaxRate = DEFAULTS.max_rate,
    max_bytes: MaxBytes = DEFAULTS.max_bytes,
    max_lag: MaxLag = DEFAULTS.max_lag,
    max_pause: MaxPause = DEFAULTS.max_pause,
    grace: Grace = DEFAULTS.grace,
    workers: Workers = DEFAULTS.workers,
    rollback_window: RollbackWindow = DEFAULTS.rollback_window,
    wait: Wait = False,
    offline: Offline = False,
    progress: ShowProgress = None,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Move tenants to another shard while they are used.

    Their statements pause for some milliseconds at the end; with --offline, for all of the copy. Ctrl-C stops
    it, and says how to go on.
    """
    options = load(config)
    chosen = MoveOptions(
        max_rate=max_rate,
        max_bytes=max_bytes,
        max_lag=max_lag,
        max_pause=max_pause,
        grace=grace,
        workers=workers,
        rollback_window=rollback_window,
        offline=offline,
    )
    what = Keys(group or options.tenant_group_name, tuple(names))
    shards = installation(options)
    command = Command(progress, as_json=as_json)
    if dry_run:
        plan = command.run(lambda _: make_plan(shards, what, to, chosen))
        _write_plan(plan, as_json=as_json)
        if plan.obstacles:
            raise typer.Exit(1)
        return
    outcomes = command.run(lambda report: rebalance.move(shards, what, to, chosen, report, wait=wait))
    moved = {key for each in outcomes if isinstance(each.what, Keys) for key in each.what.keys}
    write_outcomes(outcomes, tuple(name for name in names if name not in moved), as_json=as_json)


@tenant.command("pin")
def pin(
    name: Name,
    to: PinTo = None,
    group: Group = None,
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
    """Place a tenant where it is, or on another shard after a move, so that ring changes leave it alone."""
    options = load(config)
    chosen = MoveOptions(
        max_rate=max_rate,
        max_bytes=max_bytes,
        max_lag=max_lag,
        max_pause=max_pause,
        grace=grace,
        workers=workers,
    )
    what = Keys(group or options.tenant_group_name, (name,))
    shards = installation(options)
    command = Command(progress, as_json=as_json)
    _write_pinned(name, command.run(lambda report: pins.pin(shards, what, to, chosen, report)), as_json)


@tenant.command("unpin")
def unpin(
    name: Name,
    group: Group = None,
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
    """Move a tenant to where its bucket is, and drop its placement: the ring decides about it again."""
    options = load(config)
    chosen = MoveOptions(
        max_rate=max_rate,
        max_bytes=max_bytes,
        max_lag=max_lag,
        max_pause=max_pause,
        grace=grace,
        workers=workers,
    )
    what = Keys(group or options.tenant_group_name, (name,))
    shards = installation(options)
    command = Command(progress, as_json=as_json)
    _write_pinned(name, command.run(lambda report: pins.unpin(shards, what, chosen, report)), as_json)


def _write_pinned(name: str, pinned: pins.Pinned, as_json: bool) -> None:
    if as_json:
        write_json(
            {
                "ok": True,
                "tenant": name,
                "shard": pinned.shard,
                "placed": pinned.placed,
                "changed": pinned.changed,
                "moves": [each.to_json() for each in pinned.moves],
            }
        )
        return
    write_outcomes(list(pinned.moves), (), as_json=False)
    already = "" if pinned.changed else " already"
    how = "placed" if pinned.placed else "not placed: it is where its bucket is"
    typer.echo(f"{name} is on {pinned.shard}{already}, {how}")


def _group(shard_map: ShardMap, name: str | None) -> str:
    group = name or shard_map.tables.tenant_group
    if group not in shard_map.tables.groups:
        known = ", ".join(shard_map.tables.groups)
        raise ShardproxyError(f'the group "{group}" is unknown', hint=f"There are {known}.")
    return group


def _remarks(found: tenants.Tenant) -> str:
    said = ["placed"] if found.placed else []
    if found.move is not None:
        said.append(f"in move {found.move}")
    else:
        said += [f"{size.rows:,} rows misplaced on {shard}" for shard, size in found.misplaced.items()]
    return ", ".join(said)


def _as_json(found: tenants.Tenant) -> dict[str, object]:
    return {
        "tenant": found.key,
        "shard": found.shard,
        "placed": found.placed,
        "bucket": found.bucket,
        "move": found.move,
        "rows": found.size.rows,
        "bytes": found.size.bytes,
        "tables": {label: {"rows": size.rows, "bytes": size.bytes} for label, size in found.tables.items()},
        "on_other_shards": {shard: size.rows for shard, size in found.misplaced.items()},
    }


def _write_plan(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        write_json({"ok": not plan.obstacles, **plan.to_json()})
        return
    for key in plan.there:
        typer.echo(f"{key} is there already")
    for each in plan.moves:
        held = f"; its rows are held for about {each.held:.0f} s of it" if each.held >= 1 else ""
        typer.echo(f"from {each.source} to {each.target}, about {each.seconds:.0f} s{held}:")
        table = TextTable(box=None, pad_edge=False)
        for heading in ("", "rows", "bytes"):
            table.add_column(heading, justify="right" if heading else "left")
        for name, size in (*each.keys.items(), *((f"  {name}", size) for name, size in each.tables.items())):
            table.add_row(name, f"{size.rows:,}", decimal(size.bytes))
        table.add_row("all", f"{each.size.rows:,}", decimal(each.size.bytes))
        print_table(table)
        for warning in each.warnings:
            typer.echo(f"{typer.style('warning:', fg='yellow')} {warning}", err=True)
        for obstacle in each.obstacles:
            typer.echo(
                f"{typer.style('in the way:', fg='red')} {obstacle.what}\n  {obstacle.remedy}", err=True
            )

"""``shardproxy moves``: the moves there were and are, and going on with them or undoing them."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table as TextTable

from shardproxy.catalog.journal import Buckets, Entry, Move
from shardproxy.cli.moving import Command, DryRun, Show, ShowProgress, Wait, installation, write_outcomes
from shardproxy.cli.output import DEFAULT_CONFIG, AsJson, ConfigFile, print_table, write_json
from shardproxy.config.load import load
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.drive import Soak
from shardproxy.rebalance.janitor import Cleared
from shardproxy.rebalance.soak import until_of
from shardproxy.rebalance.what import named

moves = typer.Typer(
    help="The moves there were and are; going on with them, undoing them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

Number = Annotated[int, typer.Argument(metavar="MOVE", help="The move's number.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, the newest first.")]
Unfinished = Annotated[bool, typer.Option("--unfinished", help="Only those that have not ended.")]
Accept = Annotated[
    bool,
    typer.Option(
        "--accept-differences", help="Delete the source's rows although the verification found some."
    ),
]


@moves.command("list")
def list_(
    unfinished: Unfinished = False,
    limit: Limit = 50,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """List the moves, the newest first."""
    found = asyncio.run(rebalance.newest(installation(load(config)), limit))
    found = [move for move in found if not (unfinished and move.has_ended)]
    if as_json:
        write_json({"moves": [_as_json(move) for move in found]})
        return
    table = TextTable(box=None, pad_edge=False)
    for heading in ("move", "state", "step", "from", "to", "what", "rows", "begun", ""):
        table.add_column(heading, justify="right" if heading in ("move", "rows") else "left")
    for move in found:
        table.add_row(
            str(move.number),
            move.state.value,
            move.step,
            move.source,
            move.target,
            named(move.what),
            f"{move.facts.get('rows', 0):,}",
            f"{move.created:%Y-%m-%d %H:%M:%S}",
            _remark(move),
        )
    print_table(table)


@moves.command("show")
def show(number: Number, config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Show one move and what happened to it."""
    move, entries = asyncio.run(rebalance.read(installation(load(config)), number))
    if as_json:
        log = [{"at": entry.at.isoformat(), "step": entry.step, "what": entry.what} for entry in entries]
        write_json({**_as_json(move), "log": log})
        return
    typer.echo(
        f"move {move.number}: {named(move.what)} from {move.source} to {move.target}: {move.state.value}"
    )
    for name, value in sorted(move.facts.items()):
        typer.echo(f"  {name}: {value}")
    if move.failure:
        typer.echo(f"  stopped: {move.failure}")
    elif remark := _remark(move):
        typer.echo(f"  {remark}:  shardproxy moves rollback {move.number}")
    _write_log(entries)
    if not move.has_ended:
        typer.echo(f"it goes on with: shardproxy moves resume {move.number}")


@moves.command("resume")
def resume(
    number: Number,
    accept_differences: Accept = False,
    wait: Wait = False,
    progress: ShowProgress = None,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Go on with a move from where it stands, whatever has stopped it.

    One that is in its rollback window stays there until that is over.
    """
    soak = Soak.WAIT if wait else Soak.REST
    _go_on(number, soak, accept_differences, progress, config, as_json=as_json)


@moves.command("finish")
def finish(
    number: Number,
    accept_differences: Accept = False,
    progress: ShowProgress = None,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Go on with a move to its end, also in its rollback window: it cannot be rolled back afterwards."""
    _go_on(number, Soak.END, accept_differences, progress, config, as_json=as_json)


@moves.command("rollback")
def rollback(
    number: Number,
    progress: ShowProgress = None,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Roll a move back in its rollback window: its rows return, with all that was written since."""
    shards = installation(load(config))
    command = Command(progress, as_json=as_json)
    outcome = command.run(lambda report: rebalance.roll_back(shards, number, report))
    write_outcomes([outcome], (), as_json=as_json)


@moves.command("abort")
def abort(
    number: Number,
    progress: ShowProgress = None,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Undo a move, as long as its target does not own the rows; afterwards nothing of it is left."""
    shards = installation(load(config))
    command = Command(progress, as_json=as_json)
    outcome = command.run(lambda report: rebalance.abort(shards, number, report))
    write_outcomes([outcome], (), as_json=as_json)


@moves.command("janitor")
def janitor(dry_run: DryRun = False, config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Remove from the shards what moves have left there and no unfinished move owns.

    Rows on shards that do not own them are not touched: shardproxy check --live counts them.
    """
    shards = installation(load(config))
    command = Command(Show.NONE, as_json=as_json)
    cleared = command.run(lambda _: rebalance.clear_leftovers(shards, dry_run=dry_run))
    if as_json:
        found = [each.to_json() for each in cleared.found]
        write_json({"ok": not cleared.away, "found": found, "away": cleared.away})
    else:
        _write_cleared(cleared)
    if cleared.away:
        raise typer.Exit(1)


def _write_cleared(cleared: Cleared) -> None:
    for each in cleared.found:
        done = "removed" if each.removed else "to be removed" if each.nobodys else "kept"
        typer.echo(f"{done}: {each.kind} {each.name} on {each.shard}: move {each.move}: {each.why}")
    if not cleared.found:
        typer.echo("moves have left nothing")
    for shard, why in cleared.away.items():
        typer.echo(f"shard {shard} could not be looked at: {why}", err=True)


def _go_on(
    number: int, soak: Soak, accept_differences: bool, show: Show | None, config: Path, *, as_json: bool
) -> None:
    shards = installation(load(config))
    command = Command(show, as_json=as_json)
    outcome = command.run(
        lambda report: rebalance.resume(
            shards, number, report, accept_differences=accept_differences, soak=soak
        )
    )
    write_outcomes([outcome], (), as_json=as_json)


def _remark(move: Move) -> str:
    """What there is to say of a move besides its step."""
    until = until_of(move.facts)
    if move.failure or until is None or move.has_ended:
        return move.failure or ""
    return f"can be rolled back until {until.astimezone():%Y-%m-%d %H:%M:%S}"


def _as_json(move: Move) -> dict[str, Any]:
    what: dict[str, Any] = (
        {"buckets": list(move.what.buckets)}
        if isinstance(move.what, Buckets)
        else {"group": move.what.group, "keys": list(move.what.keys)}
    )
    return {
        "move": move.number,
        "state": move.state.value,
        "step": move.step,
        "source": move.source,
        "target": move.target,
        **what,
        "facts": dict(move.facts),
        "failure": move.failure,
        "created": move.created.isoformat(),
        "updated": move.updated.isoformat(),
    }


def _write_log(entries: list[Entry]) -> None:
    table = TextTable(box=None, pad_edge=False)
    for heading in ("at", "step", "what"):
        table.add_column(heading)
    for entry in entries:
        table.add_row(f"{entry.at:%H:%M:%S.%f}"[:-3], entry.step, entry.what)
    print_table(table)

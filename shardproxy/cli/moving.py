"""What the commands that move things have in common: their options, the installation, and how they end."""

import asyncio
import json
import signal
from collections.abc import Callable, Coroutine
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from shardproxy.cli.output import console, fail, write_json
from shardproxy.cli.progress import Bars, Lines
from shardproxy.config import assemble
from shardproxy.config.model import Config
from shardproxy.config.model.units import DAY, Duration
from shardproxy.errors import ShardproxyError
from shardproxy.rebalance.driver import Differed
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.move import Outcome
from shardproxy.rebalance.obstacles import Obstructed
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.progress import Progress, Report, silent

T = TypeVar("T")

DEFAULTS = MoveOptions()
LONGEST_WINDOW = 30 * DAY
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def seconds(said: object) -> float:
    """A duration as the configuration has it (``30s``, ``2h``). Raises typer.BadParameter."""
    try:
        return float(Duration(0, LONGEST_WINDOW).parse(said) or 0.0)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


class Show(StrEnum):
    """How progress is shown on standard error."""

    BARS = "bars"
    LINES = "lines"
    JSON = "json"
    NONE = "none"


To = Annotated[str, typer.Option("--to", metavar="SHARD", help="The shard they move to.")]
Group = Annotated[
    str | None,
    typer.Option("--group", metavar="G", help="Colocation group of the keys; default: the tenants'."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what would be done, and what is in the way.")
]
MaxRate = Annotated[
    int,
    typer.Option("--max-rate", min=0, metavar="ROWS", help="Rows copied or deleted a second; 0: no limit."),
]
MaxBytes = Annotated[
    int, typer.Option("--max-bytes", min=0, metavar="BYTES", help="Bytes copied a second; 0: no limit.")
]
MaxLag = Annotated[
    float, typer.Option("--max-lag", min=0, metavar="SECONDS", help="No cut-over while the stream is later.")
]
MaxPause = Annotated[
    float,
    typer.Option(
        "--max-pause", min=0.05, metavar="SECONDS", help="A longer cut-over is taken back and tried again."
    ),
]
Grace = Annotated[
    float,
    typer.Option(
        "--grace",
        min=0,
        metavar="SECONDS",
        help="Sessions that do not take up a new map in that time are ended.",
    ),
]
Workers = Annotated[int, typer.Option("--workers", min=1, max=64, help="Tables copied at the same time.")]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Hold the rows while they are copied and compared; for servers without logical decoding.",
    ),
]
RollbackWindow = Annotated[
    float,
    typer.Option(
        "--rollback-window",
        parser=seconds,
        metavar="DURATION",
        help="How long it can be rolled back, such as 2h: the rows it leaves are kept current meanwhile.",
    ),
]
Wait = Annotated[bool, typer.Option("--wait", help="Stay until the rollback window is over.")]
ShowProgress = Annotated[
    Show | None,
    typer.Option("--progress", help="How progress is shown on standard error; default: bars on a terminal."),
]


def installation(config: Config) -> Installation:
    """The shards with the operator's logins."""
    specs = {spec.name: spec for spec in assemble.operator_specs(config)}
    return Installation(specs, config.shards[config.catalog_index].name)


class Command:
    """One run of a command that drives moves. ``again``: the command that goes on with a series of them.

    Mutable: ``number``, the move that it has told of last.
    """

    def __init__(self, show: Show | None, *, as_json: bool, again: str | None = None) -> None:
        self.number: int | None = None
        self._again = again
        self._as_json = as_json
        if show is None:
            terminal = console(errors=True).is_terminal
            show = Show.NONE if as_json else Show.BARS if terminal else Show.LINES
        self._show = show

    def run(self, work: Callable[[Report], Coroutine[Any, Any, T]]) -> T:
        """Run it to its end. Expected errors, Ctrl-C and SIGTERM end the program, and say how to go on."""
        shown: Bars | Lines | None = None
        report: Report = silent
        if self._show is Show.BARS:
            shown = Bars()
            report = shown.report
        elif self._show is Show.LINES:
            shown = Lines()
            report = shown.report
        elif self._show is Show.JSON:
            report = _write_progress

        def noting(progress: Progress) -> None:
            self.number = progress.move or self.number
            report(progress)

        try:
            try:
                return asyncio.run(_terminable(work(noting)))
            finally:
                if shown is not None:
                    shown.close()
        except ShardproxyError as error:
            self._fail(error)
        except (KeyboardInterrupt, asyncio.CancelledError):
            if self.number is None and self._again is not None:
                typer.echo(f"stopped before a row was moved; it goes on with:  {self._again}", err=True)
            elif self.number is None:
                typer.echo("stopped; nothing was changed", err=True)
            else:
                self._say_how_to_go_on("stopped")
            raise typer.Exit(INTERRUPTED) from None

    def _fail(self, error: ShardproxyError) -> NoReturn:
        if self._as_json:
            write_json(_error_json(error, self.number))
            raise typer.Exit(1)
        if isinstance(error, Obstructed):
            for obstacle in error.obstacles:
                typer.echo(
                    f"{typer.style('in the way:', fg='red')} {obstacle.what}\n  {obstacle.remedy}", err=True
                )
            error.detail = None
        elif self.number is not None and not isinstance(error, Differed):  # which says it itself
            self._say_how_to_go_on("not finished")
        fail(error)

    def _say_how_to_go_on(self, what: str) -> None:
        again = self._again or f"shardproxy moves resume {self.number}"
        typer.echo(
            f"move {self.number} is {what}; it goes on with:  {again}\n"
            f"and before its target owns the rows it is undone by:  shardproxy moves abort {self.number}",
            err=True,
        )


async def _terminable(work: Coroutine[Any, Any, T]) -> T:
    """As a task that SIGTERM cancels, as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await work
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def _write_progress(progress: Progress) -> None:
    typer.echo(json.dumps(progress.to_json(), ensure_ascii=False), err=True)


def _error_json(error: ShardproxyError, number: int | None) -> dict[str, Any]:
    said: dict[str, Any] = {
        "ok": False,
        "move": number,
        "sqlstate": error.sqlstate,
        "error": error.message,
        "detail": error.detail,
        "hint": error.hint,
    }
    if isinstance(error, Obstructed):
        said["obstacles"] = [{"what": each.what, "remedy": each.remedy} for each in error.obstacles]
    return said


def write_outcomes(outcomes: list[Outcome], there: tuple[str, ...], *, as_json: bool) -> None:
    """How moves ended."""
    if as_json:
        write_json({"ok": True, "moves": [each.to_json() for each in outcomes], "already_there": list(there)})
        return
    for key in there:
        typer.echo(f"{key} is there already")
    for each in outcomes:
        pause = "" if each.pause is None else f", paused for {each.pause * 1000:.0f} ms"
        verified = "" if each.verified is None else f", verified: {each.verified}"
        ended = each.state if each.until is None else "has moved"
        typer.echo(
            f"move {each.number} {ended}: {each.rows} rows from {each.source} to {each.target} "
            f"in {each.seconds:.1f} s{pause}{verified}"
        )
        if each.until is not None:
            until = datetime.fromisoformat(each.until).astimezone()
            typer.echo(
                f"it can be rolled back until {until:%Y-%m-%d %H:%M:%S %Z}:  shardproxy moves rollback "
                f"{each.number}\nthen, or before, it is ended by:  shardproxy moves finish {each.number}"
            )

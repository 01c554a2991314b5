"""What commands have in common: their options, and how results and errors are written.

Results go to standard output, progress and errors to standard error.
"""

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from shardproxy.config.mistakes import ConfigMistakes, Mistake
from shardproxy.errors import ShardproxyError

ConfigFile = Annotated[
    Path,
    typer.Option(
        "--config", "-c", metavar="FILE", envvar="SHARDPROXY_CONFIG", help="The configuration file (YAML)."
    ),
]
DEFAULT_CONFIG = Path("shardproxy.yaml")

AsJson = Annotated[bool, typer.Option("--json", help="Write the result as one JSON object.")]


def console(*, errors: bool = False) -> Console:
    """A console on the streams of now. Long lines are not wrapped, so that they can be searched."""
    return Console(stderr=errors, soft_wrap=True, highlight=False, emoji=False)


def print_table(table: Table) -> None:
    """A table on standard output, as wide as it is: an address that is cut off is of no use."""
    out = console()
    needed = out.measure(table, options=out.options.update(max_width=10_000)).maximum
    out.width = max(out.width, needed)
    out.print(table)


def write_json(value: Any) -> None:
    """One JSON object on standard output."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def write_mistakes(mistakes: tuple[Mistake, ...], *, warning: bool = False) -> None:
    """One line each on standard output, as ``file:line:column: key: what to do``."""
    for mistake in mistakes:
        place, key = f"{mistake.file}:{mistake.position.line}:{mistake.position.column}:", mistake.key
        text = typer.style(place, bold=True) + (typer.style(f" {key}:", fg="cyan") if key else "")
        label = typer.style(" warning:", fg="yellow") if warning else ""
        typer.echo(f"{text}{label} {mistake.message}")


def mistake_json(mistake: Mistake) -> dict[str, Any]:
    """A mistake for ``--json``."""
    line, column = mistake.position
    return {
        "file": mistake.file,
        "line": line,
        "column": column,
        "key": mistake.key,
        "message": mistake.message,
    }


def fail(error: ShardproxyError, *, sql: str = "") -> NoReturn:
    """Write an expected error to standard error, pointing into ``sql`` as psql does, and end with exit code
    1.
    """
    message = error.message
    if isinstance(error, ConfigMistakes):  # a line each, as compilers write them
        typer.echo(message, err=True)
        message = f"{len(error.mistakes)} mistake(s) in the configuration"
    typer.echo(f"{typer.style('error:', fg='red', bold=True)} {message}", err=True)
    _point_at(sql, error.position)
    if error.detail:
        typer.echo(f"detail: {error.detail}", err=True)
    if error.hint:
        typer.echo(f"hint: {error.hint}", err=True)
    raise typer.Exit(1)


def _point_at(sql: str, position: int) -> None:
    """Show where in ``sql`` it is; ``position`` counts characters from 1, 0 means nowhere."""
    if not 0 < position <= len(sql) + 1:
        return
    start = sql.rfind("\n", 0, position - 1) + 1
    label = f"LINE {sql.count(chr(10), 0, start) + 1}: "
    typer.echo(label + sql[start:].split("\n", 1)[0], err=True)
    typer.echo(" " * (len(label) + position - 1 - start) + "^", err=True)

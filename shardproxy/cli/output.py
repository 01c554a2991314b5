"""What commands have in common: their options, and how results and errors are written.

Results go to standard output, progress and errors to standard error.
"""

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

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


def fail(error: ShardproxyError) -> NoReturn:
    """Write an expected error to standard error and end with exit code 1."""
    message = error.message
    if isinstance(error, ConfigMistakes):  # a line each, as compilers write them
        typer.echo(message, err=True)
        message = f"{len(error.mistakes)} mistake(s) in the configuration"
    typer.echo(f"{typer.style('error:', fg='red', bold=True)} {message}", err=True)
    if error.detail:
        typer.echo(f"detail: {error.detail}", err=True)
    if error.hint:
        typer.echo(f"hint: {error.hint}", err=True)
    raise typer.Exit(1)

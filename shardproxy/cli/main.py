"""The program ``shardproxy``: its commands, its version, and how errors end it."""

from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from shardproxy.cli.output import fail
from shardproxy.compiled import COMPILED_MODULES, pure_leaves
from shardproxy.errors import ShardproxyError
from shardproxy.version import VERSION

COMMANDS: Final = {
    "serve": "shardproxy.cli.serve:serve",
    "check": "shardproxy.cli.check:check",
    "init": "shardproxy.cli.init:init",
    "apply": "shardproxy.cli.apply:apply_",
    "map": "shardproxy.cli.map:map_",
    "route": "shardproxy.cli.route:route",
    "tenant": "shardproxy.cli.tenant:tenant",
    "shard": "shardproxy.cli.shard:shard",
    "rebalance": "shardproxy.cli.rebalance:rebalance",
    "moves": "shardproxy.cli.moves:moves",
    "demo": "shardproxy.demo.command:demo",
    "config-schema": "shardproxy.cli.config_schema:config_schema",
}
"""Where each command's function, or group of commands, is. A module is imported when it is used or listed."""

HIDDEN: Final = frozenset({"config-schema"})


class LazyCommands(TyperGroup):
    """Imports a command when it is needed; expected errors end with their message, not a traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            group = typer.main.get_command(found)
            group.name = cmd_name
            return group
        single = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
        single.command(cmd_name, hidden=cmd_name in HIDDEN)(found)
        return typer.main.get_command(single)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ShardproxyError as error:
            fail(error)


app = typer.Typer(
    cls=LazyCommands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # local variables may hold secrets
    context_settings={"help_option_names": ["-h", "--help"]},
)


def version_text() -> str:
    """``shardproxy 0.1.0 (compiled)``, or which part of it runs as slower plain Python."""
    pure = pure_leaves()
    if not pure:
        return f"shardproxy {VERSION} (compiled)"
    if len(pure) == len(COMPILED_MODULES):
        return f"shardproxy {VERSION} (pure Python: slower; install with a C compiler for the compiled build)"
    return f"shardproxy {VERSION} (partly pure Python: {', '.join(pure)} are not compiled, so it is slower)"


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version_text())
        raise typer.Exit


@app.callback()
def shardproxy(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version and whether it is compiled.",
        ),
    ] = False,
) -> None:
    """Makes many PostgreSQL servers behave like one database."""


def main() -> None:
    """The console script."""
    app(prog_name="shardproxy")

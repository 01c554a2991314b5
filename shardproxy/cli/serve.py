"""``shardproxy serve``: run the sidecar."""

import typer

from shardproxy.cli.output import DEFAULT_CONFIG, ConfigFile


def serve(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Serve applications until SIGTERM, which drains; SIGHUP reads the configuration again."""
    from shardproxy.server.run import run  # noqa: PLC0415 - the event loop and all packages, for this command only

    raise typer.Exit(run(config))

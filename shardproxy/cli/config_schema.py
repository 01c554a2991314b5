"""``shardproxy config-schema``: the JSON Schema of the configuration, for editors."""

import typer

from shardproxy.config.schema import schema_text


def config_schema() -> None:
    """Write the JSON Schema of the configuration file to standard output."""
    typer.echo(schema_text(), nl=False)

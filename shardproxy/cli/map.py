"""``shardproxy map``: the map in force, or its versions."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import asyncpg
import typer
from rich.table import Table as TextTable

from shardproxy.backend.driver import FAULTS, reason
from shardproxy.catalog import maps
from shardproxy.catalog.connect import connect
from shardproxy.catalog.look import look
from shardproxy.cli.output import DEFAULT_CONFIG, AsJson, ConfigFile, print_table, write_json
from shardproxy.config import assemble
from shardproxy.config.load import load
from shardproxy.config.model import Config
from shardproxy.errors import ShardproxyError, Unavailable
from shardproxy.topology.keys import BUCKETS
from shardproxy.topology.map_document import to_document
from shardproxy.topology.shard_map import ShardMap

T = TypeVar("T")


class View(StrEnum):
    """What is shown."""

    SHOW = "show"
    HISTORY = "history"


What = Annotated[View, typer.Argument(help="The map in force, or all its versions, the newest first.")]


def map_(what: What = View.SHOW, config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Show the map in the catalog: which shard owns what, and which moves are under way."""
    options = load(config)
    if what is View.HISTORY:
        _write_history(asyncio.run(_ask(options, maps.history)), as_json=as_json)
    else:
        _write_map(asyncio.run(_ask(options, maps.read)), as_json=as_json)


async def _ask(config: Config, question: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    """Ask the catalog with the sidecars' own login. Raises ShardproxyError."""
    server = assemble.shard_specs(config)[config.catalog_index].primary
    try:
        connection = await connect(server, "shardproxy map", command_timeout=10.0)
        try:
            if not (await look(connection)).catalog:
                raise ShardproxyError(
                    f"there is no catalog on {server.address}; the map is the configuration's",
                    hint="shardproxy init makes one; catalog.shard says where it is.",
                )
            return await question(connection)
        finally:
            connection.terminate()
    except FAULTS as fault:
        raise Unavailable(f"the catalog on {server.address} cannot be read: {reason(fault)}") from None


def _write_map(shard_map: ShardMap, *, as_json: bool) -> None:
    if as_json:
        write_json({"epoch": shard_map.epoch, **to_document(shard_map)})
        return
    typer.echo(f"epoch {shard_map.epoch}")
    table = TextTable(box=None, pad_edge=False)
    for heading in ("shard", "epoch", "buckets", "placements"):
        table.add_column(heading, justify="left" if heading == "shard" else "right")
    for i, name in enumerate(shard_map.shards):
        buckets = sum(owner == i for owner in shard_map.owners)
        placements = sum(shard == i for shard in shard_map.placements.values())
        share = f"{buckets} ({buckets / BUCKETS:.1%})"
        table.add_row(name, str(shard_map.shard_epochs[i]), share, str(placements))
    print_table(table)
    for move in shard_map.moves:
        source, target = shard_map.shards[move.source], shard_map.shards[move.target]
        what = f"{len(move.keys)} keys" if move.keys else f"{len(move.buckets)} buckets"
        owner = shard_map.shards[move.owner]
        typer.echo(f"move {move.number}: {what} from {source} to {target}, now on {owner}")


def _write_history(history: list[maps.Publication], *, as_json: bool) -> None:
    rows: list[dict[str, Any]] = [
        {
            "epoch": each.epoch,
            "published": each.published.isoformat(timespec="seconds"),
            "by": each.publisher,
            "why": each.why,
        }
        for each in history
    ]
    if as_json:
        write_json({"versions": rows})
        return
    table = TextTable(box=None, pad_edge=False)
    for heading in ("epoch", "published", "by", "why"):
        table.add_column(heading, justify="right" if heading == "epoch" else "left")
    for row in rows:
        table.add_row(*map(str, row.values()))
    print_table(table)

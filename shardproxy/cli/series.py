"""What the commands that drive a series of moves have in common."""

from typing import Annotated

import typer
from rich.filesize import decimal
from rich.table import Table as TextTable

from shardproxy.cli.moving import write_outcomes
from shardproxy.cli.output import print_table, write_json
from shardproxy.rebalance.move import Outcome
from shardproxy.rebalance.ring import Limits
from shardproxy.rebalance.series import SeriesPlan

LIMITS = Limits()

Parallel = Annotated[
    int, typer.Option("--parallel", min=1, max=64, metavar="N", help="Moves at a time, at most 4 on a shard.")
]
BatchRows = Annotated[
    int, typer.Option("--batch-rows", min=1, metavar="ROWS", help="The most that one move takes along.")
]
BatchBytes = Annotated[
    int, typer.Option("--batch-bytes", min=1, metavar="BYTES", help="The most that one move takes along.")
]
BatchBuckets = Annotated[
    int, typer.Option("--batch-buckets", min=1, metavar="N", help="The most that one move takes along.")
]


def write_plan(plan: SeriesPlan, *, as_json: bool, **besides: object) -> None:
    """What a series would do, and what is in the way; that ends the program with exit code 1."""
    if as_json:
        write_json({"ok": not plan.obstacles, **besides, **plan.to_json()})
    else:
        _write_pairs(plan)
        for warning in plan.warnings:
            typer.echo(f"{typer.style('warning:', fg='yellow')} {warning}", err=True)
        for obstacle in plan.obstacles:
            typer.echo(
                f"{typer.style('in the way:', fg='red')} {obstacle.what}\n  {obstacle.remedy}", err=True
            )
    if plan.obstacles:
        raise typer.Exit(1)


def write_series(outcomes: list[Outcome], *, as_json: bool, **besides: object) -> None:
    """How the moves of a series ended."""
    if as_json:
        write_json({"ok": True, **besides, "moves": [each.to_json() for each in outcomes]})
        return
    write_outcomes(outcomes, (), as_json=False)
    if not outcomes:
        typer.echo("there is nothing to move")


def _write_pairs(plan: SeriesPlan) -> None:
    if not plan.goal:
        typer.echo("there is nothing to move")
        return
    table = TextTable(box=None, pad_edge=False)
    for heading in ("from", "to", "moves", "buckets", "tenants", "rows", "bytes"):
        table.add_column(heading, justify="left" if heading in ("from", "to") else "right")
    names = plan.shard_map.shards
    for source, target in dict.fromkeys((each.source, each.target) for each in plan.batches):
        some = [each for each in plan.batches if (each.source, each.target) == (source, target)]
        table.add_row(
            names[source],
            names[target],
            str(len(some)),
            f"{sum(len(each.buckets) for each in some):,}",
            f"{sum(len(each.keys) for each in some):,}",
            f"{sum(each.size.rows for each in some):,}",
            decimal(sum(each.size.bytes for each in some)),
        )
    size = plan.size
    buckets, keys = f"{len(plan.goal.buckets):,}", f"{len(plan.goal.keys):,}"
    table.add_row("all", "", str(len(plan.batches)), buckets, keys, f"{size.rows:,}", decimal(size.bytes))
    print_table(table)

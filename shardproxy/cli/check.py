"""``shardproxy check``: every mistake in a configuration at once, and with ``--live`` on the servers too."""

import asyncio
from contextlib import nullcontext
from typing import Annotated, Any

import typer
from rich.table import Table as TextTable

from shardproxy.cli.output import (
    DEFAULT_CONFIG,
    AsJson,
    ConfigFile,
    console,
    mistake_json,
    print_table,
    write_json,
    write_mistakes,
)
from shardproxy.config import assemble
from shardproxy.config.live import Look, check_live
from shardproxy.config.load import Loaded, read
from shardproxy.config.mistakes import in_order
from shardproxy.config.model import Config
from shardproxy.rebalance.tables import label
from shardproxy.topology.keys import BUCKETS
from shardproxy.topology.tables import Local, Reference, Sharded

Live = Annotated[
    bool,
    typer.Option(
        "--live",
        help="Also compare it with the servers: reachable, roles, tables, keys, schemas, misplaced rows.",
    ),
]

Rows = Annotated[
    bool,
    typer.Option(
        "--rows/--no-rows",
        help="With --live: count the rows on shards that do not own them; reads every table once.",
    ),
]


def check(
    config: ConfigFile = DEFAULT_CONFIG, live: Live = False, rows: Rows = True, as_json: AsJson = False
) -> None:
    """Report every mistake in a configuration as file:line:column: key: what to do; exit 1 for any."""
    loaded = read(config)
    looks: tuple[Look, ...] = ()
    if live and not loaded.mistakes:
        loaded, looks = _live(loaded, rows=rows, quiet=as_json)
    good = loaded.config if not loaded.mistakes else None
    if as_json:
        write_json(_as_json(loaded, good, looks))
    else:
        write_mistakes(loaded.mistakes)
        write_mistakes(loaded.warnings, warning=True)
        if good is not None:
            _write_summary(loaded.file, good, looks)
        else:
            skipped = "; the servers were not looked at" if live and not looks else ""
            typer.echo(f"{len(loaded.mistakes)} mistake(s) in {loaded.file}{skipped}", err=True)
    if good is None:
        raise typer.Exit(1)


def _live(loaded: Loaded, *, rows: bool, quiet: bool) -> tuple[Loaded, tuple[Look, ...]]:
    assert loaded.config is not None
    assert loaded.report is not None
    with console(errors=True).status("looking at the servers ...") if not quiet else nullcontext():
        looks = asyncio.run(check_live(loaded.config, loaded.report, rows=rows))
    report = loaded.report
    warnings = in_order((*loaded.warnings, *report.warnings))
    return Loaded(loaded.file, loaded.config, in_order(report.mistakes), warnings, report), looks


def _as_json(loaded: Loaded, good: Config | None, looks: tuple[Look, ...]) -> dict[str, Any]:
    return {
        "file": loaded.file,
        "ok": good is not None,
        "mistakes": [mistake_json(mistake) for mistake in loaded.mistakes],
        "warnings": [mistake_json(warning) for warning in loaded.warnings],
        "summary": _summary(good) if good is not None else None,
        "servers": [
            {
                "shard": seen.target.name,
                "role": seen.target.role.value,
                "address": str(seen.target.address),
                "version": seen.version_text or None,
                "failure": seen.failure,
                "misplaced": _misplaced(seen),
            }
            for seen in looks
        ],
    }


def _misplaced(seen: Look) -> dict[str, int]:
    """Rows that are not where they belong, of each table that has any."""
    return {label(name): found.rows for name, found in seen.misplaced.items() if found.rows}


def _summary(config: Config) -> dict[str, Any]:
    shard_map = assemble.shard_map(config)
    owned = [0] * len(shard_map.shards)
    for owner in shard_map.owners:
        owned[owner] += 1
    rules = shard_map.tables.rules.values()
    return {
        "database": config.database,
        "listen": [str(listener) for listener in config.listen],
        "http": f"{config.http.host}:{config.http.port}" if config.http is not None else None,
        "shards": [
            {
                "name": shard.name,
                "primary": str(shard.primary),
                "replicas": [str(replica) for replica in shard.replicas],
                "buckets": owned[i],
                "placements": sum(1 for place in shard_map.placements.values() if place == i),
                "designated": i == shard_map.designated,
            }
            for i, shard in enumerate(config.shards)
        ],
        "tables": {
            kind.__name__.lower(): sum(isinstance(rule, kind) for rule in rules)
            for kind in (Sharded, Reference, Local)
        },
    }


def _write_summary(file: str, config: Config, looks: tuple[Look, ...]) -> None:
    summary = _summary(config)
    versions = {(seen.target.name, str(seen.target.address)): seen.version_text for seen in looks}
    table = TextTable(box=None, pad_edge=False)
    for heading in ("shard", "primary", "replicas", "buckets", "placements"):
        table.add_column(heading, justify="right" if heading in ("buckets", "placements") else "left")
    if looks:
        table.add_column("PostgreSQL")
    for shard in summary["shards"]:
        name = shard["name"] + (" (designated)" if shard["designated"] else "")
        share = f"{shard['buckets']} ({shard['buckets'] / BUCKETS:.1%})"
        seen = sorted({text for (of, _), text in versions.items() if of == shard["name"]})
        row = [name, shard["primary"], ", ".join(shard["replicas"]) or "-", share, str(shard["placements"])]
        table.add_row(*row, *([", ".join(seen)] if looks else []))
    print_table(table)
    counts = ", ".join(f"{number} {kind}" for kind, number in summary["tables"].items())
    typer.echo(f"tables: {counts}")
    typer.echo(f"listens on {', '.join(summary['listen'])}; http {summary['http'] or 'off'}")
    typer.echo(f"{file}: no mistakes" + (", and the servers agree" if looks else ""))

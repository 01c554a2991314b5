"""``python -m loadtests.rebalance.rates``: how fast rows and tenants move, beside PostgreSQL's own copy.

In each round, on the same two servers: a table's first copy by plain logical replication, the same rows as a
move of one tenant, a tenant of 1,000 rows, and many such tenants in one command. Nothing else runs.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import uvloop
from rich.console import Console
from rich.table import Table

from loadtests.machine import describe
from loadtests.rebalance.pair import Pair
from shardproxy.catalog.journal import Keys
from shardproxy.demo.install import Install
from shardproxy.demo.run import Run
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.move import Outcome
from shardproxy.rebalance.options import MoveOptions

SMALL: Final = 1_000
"""Rows of a small tenant."""
LOOK_EVERY: Final = 0.02
_SYNCED: Final = "SELECT bool_and(srsubstate IN ('s', 'r')) FROM pg_subscription_rel"


@dataclass(frozen=True, slots=True)
class Round:
    """Seconds, but for ``copied`` and ``replicated``, which are rows a second."""

    replicated: float
    copied: float
    whole: float
    small: float
    together: float


async def measure(pair: Pair, number: int, rows: int, tenants: int) -> Round:
    """The round of that number, which has tenants of its own: all move to the right."""
    large, *small = (f"{number}-{tenant}" for tenant in range(tenants + 2))
    await pair.fill(large, rows)
    for tenant in small:
        await pair.fill(tenant, SMALL)
    replicated = await plain_replication(pair)
    moved = await move(pair, large)
    began = time.monotonic()
    await move(pair, small[0])
    alone, began = time.monotonic() - began, time.monotonic()
    await move(pair, *small[1:])
    together = time.monotonic() - began
    await pair.empty()
    return Round(
        replicated=(rows + (tenants + 1) * SMALL) / replicated,
        copied=rows / moved.steps["copy"],
        whole=moved.seconds,
        small=alone,
        together=together,
    )


async def plain_replication(pair: Pair) -> float:
    """Seconds that CREATE SUBSCRIPTION and PostgreSQL's own copy of the table take, without a row filter."""
    left, right = pair.connections
    await left.execute("CREATE PUBLICATION plain FOR TABLE ONLY accounts")
    began = time.monotonic()
    await right.execute(f"CREATE SUBSCRIPTION plain CONNECTION '{pair.conninfo}' PUBLICATION plain")
    while not await right.fetchval(_SYNCED):  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(LOOK_EVERY)
    seconds = time.monotonic() - began
    await right.execute("DROP SUBSCRIPTION plain")
    await left.execute("DROP PUBLICATION plain")
    await right.execute("TRUNCATE accounts")
    return seconds


async def move(pair: Pair, *tenants: str) -> Outcome:
    """Move them to the right."""
    [outcome] = await rebalance.move(
        pair.installation, Keys("tenant", tenants), "right", MoveOptions(grace=1.0)
    )
    return outcome


def table(rounds: Sequence[Round], tenants: int) -> Table:
    """The medians."""

    def median(name: str) -> float:
        return float(statistics.median(getattr(each, name) for each in rounds))

    result = Table(title=f"medians of {len(rounds)} rounds", title_justify="left", show_header=False)
    result.add_column()
    result.add_column(justify="right")
    ratio = statistics.median(each.copied / each.replicated for each in rounds)
    for name, value in (
        ("plain logical replication, first copy", f"{median('replicated'):,.0f} rows/s"),
        ("a move's copy", f"{median('copied'):,.0f} rows/s"),
        ("ratio", f"{ratio:.2f}"),
        ("that move as a whole", f"{median('whole'):.1f} s"),
        (f"a tenant of {SMALL:,} rows, end to end", f"{median('small'):.2f} s"),
        (f"{tenants} such tenants together", f"{median('together'):.1f} s"),
        ("tenants a second", f"{tenants / median('together'):.0f}"),
    ):
        result.add_row(name, value)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    options = parser().parse_args(arguments)
    install = Install.find(options.pg_bin)
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(str(describe(install, "not measured")))

    async def work(run: Run) -> list[Round]:
        pair = await Pair.start(run)
        try:
            return [
                await measure(pair, each, options.rows, options.tenants) for each in range(options.rounds)
            ]
        finally:
            pair.close()

    with Run(install) as run, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rounds = runner.run(work(run))
    console.print(table(rounds, options.tenants))
    if options.json:
        print(json.dumps([{name: getattr(each, name) for name in Round.__slots__} for each in rounds]))
    return 0


def parser() -> argparse.ArgumentParser:
    """The options."""
    result = argparse.ArgumentParser(prog="python -m loadtests.rebalance.rates", description=__doc__)
    result.add_argument("--rows", type=int, default=500_000, help="of the large tenant (default 500000)")
    result.add_argument("--tenants", type=int, default=500, help="small ones together (default 500)")
    result.add_argument("--rounds", type=int, default=3, help="the medians are shown (default 3)")
    result.add_argument("--json", action="store_true", help="print every round as JSON besides")
    result.add_argument("--pg-bin", help="directory of the PostgreSQL programs")
    return result


if __name__ == "__main__":
    sys.exit(main())

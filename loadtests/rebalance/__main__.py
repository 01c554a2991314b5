"""``python -m loadtests.rebalance -- COMMAND``: what an application notices of the command.

In the command ``{config}`` is a sidecar's configuration file, ``{tenant}`` the tenant to move, ``{source}``
the shard it is on, ``{target}`` another one, and ``{spare}`` one that is in the file and not in the map yet.
Without a command, one that does nothing for a second.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import uvloop
from rich.console import Console

from loadtests.errors import BenchError
from loadtests.machine import describe
from loadtests.rebalance import report
from loadtests.rebalance.measure import Load, measure
from loadtests.rebalance.servers import MOVING, Servers
from shardproxy.demo.errors import DemoError
from shardproxy.demo.install import Install
from shardproxy.demo.run import Run

RESULTS: Final = Path(__file__).parents[1] / "results"
NOTHING: Final = (sys.executable, "-c", "import time; time.sleep(1)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 1 where the command or a client failed."""
    options = parser().parse_args(arguments)
    load = Load(
        options.rate,
        options.others_rate,
        options.accounts,
        options.connections,
        options.before,
        options.after,
        options.tenants,
    )
    console = Console(width=None if sys.stdout.isatty() else 110)
    try:
        measurement = beside(options, load, console)
    except (BenchError, DemoError) as error:
        print(f"rebalance: {error}", file=sys.stderr)
        return 1
    return 0 if measurement.status == 0 and not measurement.errors else 1


def beside(options: argparse.Namespace, load: Load, console: Console) -> report.Measurement:
    """Set up, measure, print and write."""
    install = Install.find(options.pg_bin)
    machine = describe(install, "not measured")
    console.print(str(machine))
    with Run(install) as run, closing(Servers(run, load.accounts, options.sidecars, load.tenants)) as servers:
        words = {
            "config": str(servers.configurations[0]),
            "tenant": MOVING,
            "source": servers.source,
            "target": servers.target,
            "spare": servers.spare,
        }
        command = [word.format(**words) for word in options.command] or NOTHING
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            measurement = runner.run(measure(servers.dsns, load, command))
    console.print(report.table(measurement.summaries))
    console.print(
        f"client errors: {dict(measurement.errors) or 'none'}; the command ended with {measurement.status}"
    )
    for path in report.write(measurement, machine, options.output):
        console.print(f"written: {path}", soft_wrap=True)
    return measurement


def parser() -> argparse.ArgumentParser:
    """The options."""
    result = argparse.ArgumentParser(prog="python -m loadtests.rebalance", description=__doc__)
    result.add_argument("--rate", type=float, default=200, help="transactions/s on the tenant (default 200)")
    result.add_argument(
        "--others-rate", type=float, default=200, help="transactions/s on the others (default 200)"
    )
    result.add_argument("--tenants", type=int, default=20, help="how many others there are (default 20)")
    result.add_argument("--accounts", type=int, default=100_000, help="the tenant's rows (default 100000)")
    result.add_argument("--connections", type=int, default=40, help="of either application (default 40)")
    result.add_argument("--sidecars", type=int, default=2, help="sidecars in front (default 2)")
    result.add_argument("--before", type=float, default=5, help="seconds before the command (default 5)")
    result.add_argument("--after", type=float, default=5, help="seconds after it (default 5)")
    result.add_argument("--pg-bin", type=Path, help="directory of the PostgreSQL programs")
    result.add_argument("--output", type=Path, default=RESULTS, help="directory for the JSON and the picture")
    result.add_argument("command", nargs="*", help="what to run beside the application")
    return result


if __name__ == "__main__":
    sys.exit(main())

"""``make bench``: pgbench straight to PostgreSQL, through PgBouncer and through the sidecar, in
alternating rounds.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from loadtests import cpu, database, pgbench, report, results
from loadtests.errors import BenchError
from loadtests.machine import describe
from loadtests.pgbench import Load, Mode, Script
from loadtests.plan import Plan, rotated
from loadtests.results import Measurement
from loadtests.targets import Direct, PgBouncer, Shardproxy, Skipped, Target, find_pgbouncer
from shardproxy.demo.errors import DemoError
from shardproxy.demo.install import Install
from shardproxy.demo.postgres import Server
from shardproxy.demo.run import Run

RESULTS = Path(__file__).with_name("results")
TARGETS = ("direct", "pgbouncer", "shardproxy")
_RUN_TIMEOUT = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    options = parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 110)
    plan = plan_of(options)
    estimate = plan.estimate(len(options.target))
    if estimate > options.max_minutes * 60:
        print(
            f"that would take {estimate / 60:.0f} min, more than --max-minutes {options.max_minutes:g}",
            file=sys.stderr,
        )
        return 2
    console.print(f"about {estimate / 60:.1f} min; keep the machine quiet meanwhile")
    try:
        measure(plan, options, console)
    except (BenchError, DemoError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The options; the defaults stay below ten minutes."""
    result = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    result.add_argument("--quick", action="store_true", help="one round of one-second runs, 1 and 16 clients")
    result.add_argument("--rounds", type=int, help="rounds over everything (default 3)")
    result.add_argument("--seconds", type=int, help="length of one run (default 3)")
    result.add_argument("--clients", type=int, nargs="+", help="numbers of clients (default 1 16 64)")
    result.add_argument("--script", nargs="+", choices=list(Script), default=list(Script), type=Script)
    result.add_argument("--mode", nargs="+", choices=list(Mode), default=list(Mode), type=Mode)
    result.add_argument("--target", nargs="+", choices=TARGETS, default=list(TARGETS))
    result.add_argument("--tenants", type=int, default=100, help="tenants, 1,000 accounts each (default 100)")
    result.add_argument("--pool-size", type=int, default=10, help="connections of a pooler (default 10)")
    result.add_argument("--pg-bin", type=Path, help="directory of the PostgreSQL programs")
    result.add_argument("--output", type=Path, default=RESULTS, help="directory for the JSON")
    result.add_argument("--max-minutes", type=float, default=10.0, help="refuse what would take longer")
    result.add_argument("--markdown", action="store_true", help="print the table as Markdown too")
    return result


def plan_of(options: argparse.Namespace) -> Plan:
    """The plan that the options describe."""
    rounds, seconds, clients = (1, 1, [1, 16]) if options.quick else (3, 3, [1, 16, 64])
    return Plan(
        scripts=tuple(options.script),
        modes=tuple(options.mode),
        clients=tuple(options.clients or clients),
        rounds=options.rounds or rounds,
        seconds=options.seconds or seconds,
        tenants=options.tenants,
    )


def measure(plan: Plan, options: argparse.Namespace, console: Console) -> None:
    """Set everything up, run the plan, print and write what came out, and take everything down again."""
    install = Install.find(options.pg_bin)
    with Run(install) as run, ExitStack() as stack:
        server = database.create(run, plan.tenants)
        targets, skipped = ready_targets(server, run.directory, options)
        for target in targets.values():
            stack.callback(target.stop)
            target.start()
        bouncer = targets.get("pgbouncer")
        version = ".".join(map(str, bouncer.version)) if isinstance(bouncer, PgBouncer) else "not measured"
        machine = describe(install, version)
        console.print(str(machine))
        for each in skipped:
            console.print(f"skip {each.name}: {each.reason}")
        runs = list(rounds(plan, targets, server, console))
    summaries = results.summarise(runs)
    console.print(report.table(summaries))
    if options.markdown:
        print(report.markdown(summaries))
    document = report.Document(machine, plan, tuple(skipped), tuple(summaries), tuple(runs))
    console.print(f"written: {document.write(options.output)}", soft_wrap=True)


def ready_targets(
    server: Server, directory: Path, options: argparse.Namespace
) -> tuple[dict[str, Target], list[Skipped]]:
    """The targets asked for, not started, and those that cannot be, or not for every protocol, with the
    reason.
    """
    targets: dict[str, Target] = {}
    skipped = []
    if "direct" in options.target:
        targets["direct"] = Direct(server)
    if "pgbouncer" in options.target:
        program = find_pgbouncer()
        if program is None:
            skipped.append(Skipped("pgbouncer", "not installed (Debian: apt-get install pgbouncer)"))
        else:
            bouncer = PgBouncer(server, directory, options.pool_size, program)
            targets["pgbouncer"] = bouncer
            if not bouncer.supports(Mode.PREPARED) and Mode.PREPARED in options.mode:
                reason = "before 1.21 it keeps no prepared statements in transaction pooling"
                skipped.append(Skipped("pgbouncer, prepared", reason))
    if "shardproxy" in options.target:
        targets["shardproxy"] = Shardproxy(server, directory, options.pool_size)
    return targets, skipped


def rounds(plan: Plan, targets: dict[str, Target], server: Server, console: Console) -> Iterator[Measurement]:
    """Warm everything up, then yield every run of every round."""
    program = server.install.bin("pgbench")
    cells = list(plan.cells())
    warm_up = [Load(script, plan.modes[0], plan.clients[-1], 1, plan.tenants) for script in plan.scripts]
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("warm-up", total=plan.rounds * len(cells) * len(targets))
        for target in targets.values():
            for load in warm_up:
                if target.supports(load.mode):
                    one_run(0, target, load, program)
        for number in range(1, plan.rounds + 1):
            database.tidy(server)
            for load in cells:
                for name in rotated(list(targets), number):
                    progress.update(
                        task, description=f"round {number}: {load.script} {load.mode} {load.clients} {name}"
                    )
                    if targets[name].supports(load.mode):
                        yield one_run(number, targets[name], load, program)
                    progress.advance(task)


def one_run(number: int, target: Target, load: Load, program: Path) -> Measurement:
    """pgbench through one target, with the processor time its process used meanwhile."""
    words = pgbench.command(program, load, port=target.port, user=database.USER, dbname=database.DATABASE)
    before = cpu.seconds(target.pid) if target.pid is not None else None
    try:
        outcome = pgbench.run(words, timeout=load.seconds + _RUN_TIMEOUT)
    except BenchError as error:
        raise BenchError(
            f"{target.name}, {load.script}, {load.mode}, {load.clients} clients: {error}"
        ) from error
    used = cpu.seconds(target.pid) - before if target.pid is not None and before is not None else None
    return Measurement.of(number, target.name, load, outcome, used)


if __name__ == "__main__":
    sys.exit(main())

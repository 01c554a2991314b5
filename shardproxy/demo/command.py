"""``shardproxy demo``: a sharded PostgreSQL behind one port, with one command."""

import json
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from string import Template
from types import TracebackType
from typing import Annotated, Any, Self

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from shardproxy.demo import interrupt, tour
from shardproxy.demo.errors import DemoError
from shardproxy.demo.install import Install
from shardproxy.demo.shape import Shape, Wanted
from shardproxy.demo.sights import Step
from shardproxy.demo.stage import Stage, counted

_DEFAULT = Shape()

_GREETING = """
[bold]Ready[/] in $seconds s: $shards, $rows on PostgreSQL $version

  connect   [bold]$psql '$dsn'[/]
  console   $psql '$console'   (SHOW HELP)
  metrics   $metrics   (also /healthz and /readyz)
  config    $config
  logs      $directory/*.log

Try in psql:

  [cyan]\\d orders[/]
  [cyan]SELECT count(*), sum(total) FROM orders WHERE tenant_id = '$first';[/]
      one shard: the one that owns the tenant
  [cyan]SELECT tenant_id, name, plan, current_setting('cluster_name') FROM tenants;[/]
      all shards at once; the last column says where each row comes from
  [cyan]SET shardproxy.tenant = '$second';  SELECT status, count(*) FROM orders GROUP BY status;[/]
      the session names its tenant
$more$moves
Ctrl-C stops everything$data.
"""

_WITH_REPLICAS = """\
  [cyan]SET shardproxy.read = 'replica';  SELECT count(*) FROM customers WHERE tenant_id = '$second';[/]
      reads go to a replica
"""

_WITH_SHARDS = """\
  [cyan]RESET shardproxy.tenant;  DELETE FROM orders;[/]
      refused, and why
"""

_MOVES = """
Try in another terminal:

  [cyan]$shardproxy tenant list --limit 5 -c $config[/]
  [cyan]$shardproxy tenant move $moving --to $target -c $config[/]
      the tenant moves, whatever the sessions through the sidecar do meanwhile
  [cyan]$shardproxy moves list -c $config[/]
"""


def _default(value: object) -> str:
    return escape(f"[default: {value}]")  # else rich takes it for markup, and shows nothing


def demo(
    shards: Annotated[
        int | None, typer.Option(min=1, max=16, help=f"Number of shards. {_default(_DEFAULT.shards)}")
    ] = None,
    replicas: Annotated[
        int | None,
        typer.Option(min=0, max=4, help=f"Streaming replicas of each shard. {_default(_DEFAULT.replicas)}"),
    ] = None,
    tenants: Annotated[
        int | None, typer.Option(min=1, help=f"Number of tenants. {_default(_DEFAULT.tenants)}")
    ] = None,
    orders: Annotated[
        int | None, typer.Option(min=1, help=f"Number of orders. {_default(_DEFAULT.orders)}")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help=f"Port to serve on. {_default('6432, or any if that is taken')}"),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Keep the data here between runs; else it is thrown away."),
    ] = None,
    pg_bin: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="PostgreSQL programs to use instead of the wheel's 18."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write one line of JSON when ready.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Run a tour, verify it on the shards, and end: 0 good, 1 not.")
    ] = False,
) -> None:
    """Start shards with replicas, sample data and a sidecar, and serve until Ctrl-C."""
    interrupt.catch()
    began = time.monotonic()
    try:
        stage = Stage(Install.find(pg_bin), Wanted(shards, replicas, tenants, orders), directory, port)
        try:
            with Bars() as bars:
                stage.set_up(bars)
        except BaseException:
            _say("stopping ...")
            stage.close()
            raise
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    seconds = time.monotonic() - began
    try:
        good = _tour(stage, as_json=as_json) if check else _serve(stage, seconds, as_json=as_json)
    except KeyboardInterrupt:
        good = not check
    finally:
        _say("stopping ...")
        stage.close()
    raise typer.Exit(0 if good else 1)


class Bars:
    """Progress on standard error: a line for each phase, live on a terminal."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            console=_console(),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._finish()
        self._progress.stop()

    def begin(self, what: str, total: int | None = None) -> None:
        """A new phase; the one before is done."""
        self._finish()
        self._task = self._progress.add_task(what, total=total)

    def advance(self, orders: int) -> None:
        """Part of the phase is done."""
        assert self._task is not None
        self._progress.advance(self._task, orders)

    def _finish(self) -> None:
        if self._task is not None:
            task = self._progress.tasks[self._task]
            total = task.total if task.total is not None else 1
            self._progress.update(self._task, total=total, completed=total)


def _serve(stage: Stage, seconds: float, *, as_json: bool) -> bool:
    """Say what there is and wait for the sidecar's end, which is an error, or for Ctrl-C."""
    if as_json:
        print(json.dumps(_facts(stage, seconds)), flush=True)
    else:
        Console(soft_wrap=True, highlight=False).print(_greeting(stage, seconds))
        sys.stdout.flush()
    status = stage.sidecar.wait()
    raise DemoError(f"the sidecar ended with status {status}:\n{stage.sidecar.log_tail()}")


def _tour(stage: Stage, *, as_json: bool) -> bool:
    console = Console(soft_wrap=True, highlight=False)
    steps: list[Step] = []

    def show(step: Step) -> None:
        steps.append(step)
        if not as_json:
            mark = "[green]✓[/]" if step.good else "[red]✗[/]"
            console.print(mark, end=" ")
            console.print(step.title, style="bold", markup=False)
            for line in (step.finding.sql, f"on {step.finding.where}: {step.finding.found}"):
                console.print(f"    {line}", markup=False)

    interrupt.run(tour.take(stage, show))
    good = bool(steps) and all(step.good for step in steps)
    if as_json:
        print(
            json.dumps(
                {"ok": good, "steps": [{"title": step.title, **asdict(step.finding)} for step in steps]}
            ),
            flush=True,
        )
    else:
        right = sum(step.good for step in steps)
        console.print(f"{right} of {len(steps)} steps right", style="green" if good else "red")
    return good


def _facts(stage: Stage, seconds: float) -> dict[str, Any]:
    """What ``--json`` writes."""
    return {
        "dsn": stage.dsn,
        "console": stage.console,
        "metrics": stage.metrics,
        "readyz": stage.metrics.removesuffix("metrics") + "readyz",
        "config": str(stage.config),
        "directory": str(stage.run.directory),
        "sidecar_pid": stage.sidecar.pid,
        "postgresql": ".".join(map(str, stage.install.version)),
        "shards": [
            {
                "name": shard.name,
                "primary": f"127.0.0.1:{shard.primary.port}",
                "replicas": [f"127.0.0.1:{replica.port}" for replica in shard.replicas],
            }
            for shard in stage.shards
        ],
        "tenants": stage.tenants[:10],
        "seconds": round(seconds, 2),
    }


def _greeting(stage: Stage, seconds: float) -> str:
    first, *others = stage.tenants
    shape = stage.shape
    replicas = shape.shards * shape.replicas
    several = shape.shards > 1
    more = (_WITH_REPLICAS if replicas else "") + (_WITH_SHARDS if several else "")
    text = _GREETING.replace("$moves", _MOVES if several else "").replace("$more", more)
    moving = others[1] if len(others) > 1 else first
    return Template(text).substitute(
        seconds=f"{seconds:.1f}",
        shards=f"{counted(shape.shards, 'shard')}, {counted(replicas, 'replica')}",
        rows=f"{counted(shape.tenants, 'tenant')}, {counted(shape.orders, 'order')}",
        version=".".join(map(str, stage.install.version)),
        psql="psql" if shutil.which("psql") else escape(str(stage.install.bin("psql"))),
        dsn=stage.dsn,
        console=stage.console,
        metrics=stage.metrics,
        config=escape(str(stage.config)),
        directory=escape(str(stage.run.directory)),
        first=first,
        second=others[0] if others else first,
        shardproxy=escape(_ourselves()),
        moving=moving,
        target=next(
            (each.name for i, each in enumerate(stage.shards) if i != stage.owner(moving)),
            stage.shards[0].name,
        ),
        data="" if stage.run.durable else " and throws the data away (--dir DIR keeps it)",
    )


def _ourselves() -> str:
    """How a shell starts the program that runs."""
    program = Path(sys.argv[0])
    if program.name != "shardproxy":
        return f"{sys.executable} -m shardproxy"
    return "shardproxy" if shutil.which("shardproxy") == str(program) else str(program)


def _console() -> Console:
    return Console(stderr=True, soft_wrap=True, highlight=False)


def _say(text: str) -> None:
    _console().print(text, style="dim")

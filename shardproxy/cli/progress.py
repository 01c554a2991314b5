"""Showing a move's progress to people: bars on a terminal, else lines."""

import time
from typing import Final

from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text

from shardproxy.cli.output import console
from shardproxy.rebalance.progress import Overall, Progress

LINE_EVERY: Final = 5.0
"""Seconds between two lines about the same step."""


def figures(progress: Progress, seconds: float) -> str:
    """Rows, bytes, rate, time to go and lag of a step that has taken so many seconds."""
    said: list[str] = []
    if progress.rows is not None:
        of = f" of {progress.total_rows:,}" if progress.total_rows else ""
        said.append(f"{progress.rows:,}{of} rows")
    if progress.bytes:
        said.append(decimal(progress.bytes))
    if progress.rows and seconds > 0.5:
        rate = progress.rows / seconds
        said.append(f"{rate:,.0f} rows/s")
        if progress.total_rows and progress.total_rows > progress.rows:
            said.append(f"{_clock((progress.total_rows - progress.rows) / rate)} to go")
    if progress.lag is not None:
        said.append(f"lag {progress.lag * 1000:,.0f} ms")
    if progress.lag_bytes is not None:
        said.append(f"{decimal(progress.lag_bytes)} behind")
    return ", ".join(said)


def overall_figures(overall: Overall) -> str:
    """How far a series of moves is: buckets, rows, bytes, rate and time to go."""
    said = [f"{overall.buckets:,} of {overall.total_buckets:,} buckets"]
    if overall.total_keys:
        said.append(f"{overall.keys:,} of {overall.total_keys:,} tenants")
    said.append(f"{overall.rows:,} of {overall.total_rows:,} rows")
    said.append(f"{decimal(overall.bytes)} of {decimal(overall.total_bytes)}")
    if overall.rows and overall.seconds > 0.5:
        said.append(f"{overall.rate:,.0f} rows/s")
    if overall.to_go is not None:
        said.append(f"{_clock(overall.to_go)} to go")
    return ", ".join(said)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


class _Figures(ProgressColumn):
    """The figures of a step."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["figures"], style="cyan")


class Bars:
    """A bar for each step of each move, and one for a whole series.

    Mutable: ``_tasks``, those of the steps under way with the time they began, by move; ``_whole``, the
    series'.
    """

    def __init__(self) -> None:
        self._bars = RichProgress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.fields[step]:<13}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            _Figures(),
            TextColumn("{task.description}", style="dim", markup=False),
            console=console(errors=True),
        )
        self._bars.start()
        self._tasks: dict[int | None, tuple[TaskID, float]] = {}
        self._whole: TaskID | None = None

    def report(self, progress: Progress) -> None:
        """Show it."""
        if progress.overall is not None:
            self._show_whole(progress.overall)
        if progress.begins:
            self._end(progress.move)
            self._end(None)
            if progress.step in ("done", "aborted"):
                return
            task = self._bars.add_task(progress.what, total=None, step=progress.step, figures="")
            self._tasks[progress.move] = (task, time.monotonic())
        if progress.move not in self._tasks:
            return
        task, began = self._tasks[progress.move]
        self._bars.update(
            task,
            description=progress.what,
            completed=progress.rows or 0,
            total=progress.total_rows,
            figures=figures(progress, time.monotonic() - began),
        )

    def close(self) -> None:
        """Leave the last state on the screen."""
        self._bars.stop()

    def _show_whole(self, overall: Overall) -> None:
        if self._whole is None:
            self._whole = self._bars.add_task("", total=1.0, step="all", figures="")
        self._bars.update(self._whole, completed=overall.share, figures=overall_figures(overall))

    def _end(self, move: int | None) -> None:
        if move in self._tasks:
            self._bars.update(self._tasks.pop(move)[0], total=1, completed=1, description="")


class Lines:
    """A line when a step begins, and now and then while it lasts.

    Mutable: ``_began`` and ``_said``, when, by move; ``_share``, how far the series was at its last line.
    """

    def __init__(self) -> None:
        self._out = console(errors=True)
        self._began: dict[int | None, float] = {}
        self._said: dict[int | None, float] = {}
        self._share = -1.0

    def report(self, progress: Progress) -> None:
        """Write it, if it is time for a line."""
        now = time.monotonic()
        move = progress.move
        if progress.begins:
            self._began[move] = self._said[move] = now
            self._write(progress, "")
        elif now - self._said.get(move, 0.0) >= LINE_EVERY:
            self._said[move] = now
            self._write(progress, figures(progress, now - self._began.get(move, now)))
        if progress.begins and progress.overall is not None and progress.overall.share > self._share:
            self._share = progress.overall.share
            self._out.print(f"all: {overall_figures(progress.overall)}", markup=False)

    def close(self) -> None:
        """Nothing is left open."""

    def _write(self, progress: Progress, said: str) -> None:
        number = "" if progress.move is None else f"move {progress.move} "
        more = f" ({said})" if said else ""
        self._out.print(f"{number}{progress.step}: {progress.what}{more}", markup=False)

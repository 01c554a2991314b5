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
from shardproxy.rebalance.progress import Progress

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


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


class _Figures(ProgressColumn):
    """The figures of a step."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["figures"], style="cyan")


class Bars:
    """A bar for each step. Mutable: ``_task``, that of the step under way, and ``_began``, when it began."""

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
        self._task: TaskID | None = None
        self._began = 0.0

    def report(self, progress: Progress) -> None:
        """Show it."""
        if progress.begins:
            self._end()
            if progress.step in ("done", "aborted"):
                return
            self._began = time.monotonic()
            self._task = self._bars.add_task(progress.what, total=None, step=progress.step, figures="")
        if self._task is None:
            return
        self._bars.update(
            self._task,
            description=progress.what,
            completed=progress.rows or 0,
            total=progress.total_rows,
            figures=figures(progress, time.monotonic() - self._began),
        )

    def close(self) -> None:
        """Leave the last state on the screen."""
        self._bars.stop()

    def _end(self) -> None:
        if self._task is not None:
            self._bars.update(self._task, total=1, completed=1, description="")
            self._task = None


class Lines:
    """A line when a step begins, and now and then while it lasts. Mutable: ``_began`` and ``_said``, when."""

    def __init__(self) -> None:
        self._out = console(errors=True)
        self._began = 0.0
        self._said = 0.0

    def report(self, progress: Progress) -> None:
        """Write it, if it is time for a line."""
        now = time.monotonic()
        if progress.begins:
            self._began = self._said = now
            self._write(progress, "")
        elif now - self._said >= LINE_EVERY:
            self._said = now
            self._write(progress, figures(progress, now - self._began))

    def close(self) -> None:
        """Nothing is left open."""

    def _write(self, progress: Progress, said: str) -> None:
        number = "" if progress.move is None else f"move {progress.move} "
        more = f" ({said})" if said else ""
        self._out.print(f"{number}{progress.step}: {progress.what}{more}", markup=False)

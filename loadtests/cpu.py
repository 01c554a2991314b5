"""Processor time of a process, all of its threads, and the processes below it (Linux, ``/proc``)."""

import os
from collections.abc import Iterator
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_UTIME, _STIME, _PARENT = 11, 12, 1
"""Positions in ``/proc/PID/stat`` after the command's closing bracket (proc(5): fields 14, 15 and 4)."""


def seconds(pid: int) -> float:
    """User and system time that ``pid`` and its living descendants have used; the resolution is 10 ms."""
    return sum(_own_ticks(each) for each in (pid, *descendants(pid))) / _TICKS_PER_SECOND


def descendants(pid: int) -> list[int]:
    """The processes below ``pid``, at any depth."""
    children: dict[int, list[int]] = {}
    for process in _processes():
        fields = _stat(process)
        if fields:
            children.setdefault(int(fields[_PARENT]), []).append(process)
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _own_ticks(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[_UTIME]) + int(fields[_STIME]) if fields else 0


def _processes() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _stat(pid: int) -> list[str]:
    """The fields after the command, which may itself contain blanks and brackets; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []

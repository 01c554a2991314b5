"""One run of servers: the directory they live in, what ends them, and how they are started side by side."""

import shutil
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self, TypeVar

from shardproxy.demo.errors import DemoError
from shardproxy.demo.install import Install
from shardproxy.demo.watchdog import Watchdog

T = TypeVar("T")

StopMode = Literal["smart", "fast", "immediate"]
"""As in ``pg_ctl stop -m``."""


class Owned(Protocol):
    """What a run ends: a server."""

    def stop(self, mode: StopMode = ...) -> None:
        """Shut it down."""

    def forget(self) -> None:
        """Give back what it holds outside of its data directory."""


class Run:
    """The owner of some servers. Leaving the ``with`` block stops them all; a watchdog does if we are killed.

    Mutable: ``servers``, those created in this run, in order of creation.
    """

    def __init__(self, install: Install, directory: Path | None = None) -> None:
        """Servers live below ``directory``, which is kept; without one, in a temporary one."""
        self.install = install
        self.durable = directory is not None
        self.directory = _temporary_directory() if directory is None else _kept_directory(directory, install)
        self.servers: list[Owned] = []
        self.watchdog = Watchdog()
        if not self.durable:
            self.watchdog.guard_directory(self.directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop every server (replicas first, so that a primary need not wait for them), and clean up."""
        for server in reversed(self.servers):
            with suppress(DemoError):
                server.stop("fast" if self.durable else "immediate")
            server.forget()
        self.servers.clear()
        if not self.durable:
            shutil.rmtree(self.directory, ignore_errors=True)
        self.watchdog.release()


def side_by_side(jobs: Iterable[Callable[[], T]]) -> list[T]:
    """Run every job in a thread of its own; their results in order, or the first error once all ended."""
    jobs = list(jobs)
    if not jobs:
        return []
    with ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result() for future in [pool.submit(job) for job in jobs]]


def _temporary_directory() -> Path:
    # Short, because a Unix socket's path has at most 107 bytes; open, as PostgreSQL may be another user.
    directory = Path(tempfile.mkdtemp(prefix="shardproxy-"))
    directory.chmod(0o755)
    return directory.resolve()


def _kept_directory(directory: Path, install: Install) -> Path:
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    if not install.os_user.can_enter(directory):
        raise DemoError(
            f"PostgreSQL runs as the user {install.os_user.name}, who cannot enter {directory}",
            hint="choose a directory that this user can reach",
        )
    return directory

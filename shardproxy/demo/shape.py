"""How big a demo is, and the directory that keeps one between runs."""

import fcntl
import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from shardproxy.demo import data
from shardproxy.demo.errors import DemoError

_MANIFEST: Final = "demo.json"
_LOCK: Final = "demo.lock"


@dataclass(frozen=True, slots=True)
class Shape:
    """What the demo consists of. ``replicas`` are for each shard."""

    shards: int = 3
    replicas: int = 1
    tenants: int = 200
    orders: int = 100_000

    def amount(self) -> data.Amount:
        """How many rows. :raises DemoError: that many cannot be made."""
        try:
            return data.Amount(self.tenants, self.orders)
        except ValueError as error:
            raise DemoError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asked for; None is what was not said."""

    shards: int | None = None
    replicas: int | None = None
    tenants: int | None = None
    orders: int | None = None

    def shape(self) -> Shape:
        """What was asked for, and the defaults for the rest; few tenants get fewer orders only if said."""
        return Shape(**{name: value for name, value in asdict(self).items() if value is not None})


class Kept:
    """A directory that keeps a demo. Used by one process at a time.

    ``shape`` is what lies in it, complete; None when it is empty or what an interrupted run left was removed.
    """

    def __init__(self, directory: Path) -> None:
        """Lock it, making it if needed. :raises DemoError: it is in use, or holds something else."""
        self.directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._refuse_foreign()
            self._lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DemoError(f"cannot use {directory}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.shape = self._read()
        except BlockingIOError:
            os.close(self._lock)
            raise DemoError(f"another demo is running in {directory}") from None
        except DemoError:
            os.close(self._lock)
            raise

    def agree(self, wanted: Wanted) -> Shape:
        """The shape to run: what lies here. :raises DemoError: the user asked for another one."""
        if self.shape is None:
            return wanted.shape()
        for name, value in asdict(wanted).items():
            there = getattr(self.shape, name)
            if value is not None and value != there:
                raise DemoError(
                    f"{self.directory} keeps a demo with --{name} {there}, not {value}",
                    hint="leave the option out, or choose another directory",
                )
        return self.shape

    def write(self, shape: Shape, *, complete: bool) -> None:
        """Note what is being made (so that a run after an interruption starts afresh), or has been."""
        text = json.dumps(asdict(shape) | {"complete": complete}) + "\n"
        new = self.directory / f"{_MANIFEST}.new"
        new.write_text(text)
        new.replace(self.directory / _MANIFEST)
        self.shape = shape if complete else None

    def close(self) -> None:
        """Let others use it."""
        os.close(self._lock)

    def _refuse_foreign(self) -> None:
        names = {each.name for each in self.directory.iterdir()}
        if names - {_LOCK} and _MANIFEST not in names:
            raise DemoError(
                f"{self.directory} is not empty, and keeps no demo", hint="name a new or an empty directory"
            )

    def _read(self) -> Shape | None:
        try:
            noted = json.loads((self.directory / _MANIFEST).read_text())
            complete = noted.pop("complete")
            shape = Shape(**noted)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DemoError(f"{self.directory / _MANIFEST} is damaged: {error}") from error
        if complete:
            return shape
        self._clear()
        return None

    def _clear(self) -> None:
        """Remove what an interrupted run made; the lock stays."""
        for path in self.directory.iterdir():
            if path.name == _LOCK:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                with suppress(FileNotFoundError):
                    path.unlink()

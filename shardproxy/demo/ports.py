"""Free TCP ports on loopback that stay ours: a port is leased while its server exists, up or down."""

import fcntl
import os
import random
import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shardproxy.demo.errors import DemoError

# Below the range from which Linux and macOS take the ports of outgoing connections, else one of those could
# sit on the port of a server that is down for a moment.
_RANGE = range(16_000, 32_000)


@dataclass(frozen=True, slots=True)
class PortLease:
    """One port; a lock file keeps other processes of this machine that use this module from leasing it."""

    port: int
    _descriptor: int

    @classmethod
    def take(cls, preferred: int | None = None, *, only: bool = False) -> "PortLease":
        """Lease ``preferred`` if it is free, else any free port unless ``only`` that will do.

        :raises DemoError: there is none.
        """
        candidates = [] if preferred is None else [preferred]
        if not only:
            candidates += random.sample(_RANGE, 200)
        for port in candidates:
            descriptor = _lock(port)
            if descriptor is None:
                continue
            if _is_free(port):
                return cls(port, descriptor)
            cls(port, descriptor).release()
        raise DemoError(f"port {preferred} on 127.0.0.1 is taken" if only else "no free port on 127.0.0.1")

    def release(self) -> None:
        """Give the port back, and leave no file. Call once."""
        file = _lock_file(self.port)
        with suppress(OSError):
            file.unlink()
            file.parent.rmdir()  # which others may be using
        os.close(self._descriptor)


def _lock_file(port: int) -> Path:
    return Path(tempfile.gettempdir()) / f"shardproxy-ports-{os.geteuid()}" / str(port)


def _lock(port: int) -> int | None:
    """A descriptor that holds the port's lock, or None: somebody else has it."""
    file = _lock_file(port)
    while True:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # the directory was removed behind the last lease
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(file, descriptor):
                return descriptor
        except OSError:
            os.close(descriptor)
            return None
        os.close(descriptor)  # a file that its holder removed between our open and our lock


def _is_still(file: Path, descriptor: int) -> bool:
    """Whether the open file is the one of that name."""
    with suppress(FileNotFoundError):
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    return False


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

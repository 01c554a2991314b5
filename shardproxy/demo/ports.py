"""Free TCP ports on loopback that stay ours: a port is leased while its server exists, up or down."""

import fcntl
import os
import random
import socket
import tempfile
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
            os.close(descriptor)
        raise DemoError(f"port {preferred} on 127.0.0.1 is taken" if only else "no free port on 127.0.0.1")

    def release(self) -> None:
        """Give the port back. Call once."""
        os.close(self._descriptor)


def _lock(port: int) -> int | None:
    directory = Path(tempfile.gettempdir()) / f"shardproxy-ports-{os.geteuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(directory / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

"""The sockets that applications connect to."""

import asyncio
import logging
import os
import socket
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from shardproxy.config.model import Listener
from shardproxy.errors import ConfigError

log = logging.getLogger(__name__)

BACKLOG = 1024


class Listeners:
    """Open sockets; ``addresses`` are as they were bound (a port of 0 has become one)."""

    def __init__(self, make: Callable[[], asyncio.Protocol]) -> None:
        self.addresses: list[str] = []
        self._make = make
        self._servers: list[asyncio.Server] = []
        self._sockets: list[Path] = []

    @property
    def is_open(self) -> bool:
        """Applications can connect."""
        return bool(self._servers)

    async def open(self, listeners: Sequence[Listener]) -> None:
        """Listen on all of ``listeners``. Raises ConfigError naming the one that cannot be opened."""
        for listener in listeners:
            try:
                await self._open(listener)
            except OSError as error:
                await self.close()
                raise ConfigError(f"cannot listen on {listener}: {error.strerror or error}") from error

    async def _open(self, listener: Listener) -> None:
        loop = asyncio.get_running_loop()
        path = listener.socket_path
        if path is not None:
            sock = _bind(path, listener.unix_mode)
            self._sockets.append(path)
            server = await loop.create_unix_server(self._make, sock=sock, backlog=BACKLOG)
            self.addresses.append(str(listener))
        else:
            server = await loop.create_server(
                self._make, listener.host, listener.port, backlog=BACKLOG, reuse_address=True
            )
            for sock in server.sockets:
                host, port = sock.getsockname()[:2]
                self.addresses.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        self._servers.append(server)

    async def close(self) -> None:
        """Accept no more; connections that exist are not touched."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for path in self._sockets:
            path.unlink(missing_ok=True)
        self._sockets.clear()


def _bind(path: Path, mode: int) -> socket.socket:
    """A socket at ``path``, with its permissions before anybody can connect."""
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        os.chmod(path, mode)
    except OSError:
        sock.close()
        raise
    return sock


def _remove_stale(path: Path) -> None:
    """Remove the socket file of a process that is gone; one that somebody listens on is left, and binding
    fails.
    """
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)

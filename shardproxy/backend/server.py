"""One PostgreSQL server: where it listens and how we log in."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from shardproxy.secret import Secret


@dataclass(frozen=True, slots=True)
class Address:
    """A host and port, or the directory of a Unix socket (``host`` begins with ``/``), as in libpq."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def socket_path(self) -> str | None:
        """The path of the Unix socket; None for TCP."""
        return f"{self.host}/.s.PGSQL.{self.port}" if self.host.startswith("/") else None

    @property
    def is_local(self) -> bool:
        """Nobody else can read along: a Unix socket or the loopback interface."""
        return self.host.startswith("/") or self.host in ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are on a shard; ``settings`` go into the startup packet."""

    user: str
    database: str
    password: Secret | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """Durations in seconds. A peer that vanished is noticed after ``user_timeout`` when we write, by
    keepalives when idle.
    """

    user_timeout: float = 2.0
    keepalive_idle: float = 10.0
    keepalive_interval: float = 2.0
    keepalive_count: int = 3


def tune(sock: socket.socket, options: SocketOptions) -> None:
    """Set keepalives, TCP_USER_TIMEOUT and TCP_NODELAY; nothing for a Unix socket. (tcp(7))"""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if os.uname().sysname == "Linux":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(options.user_timeout * 1000))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, round(options.keepalive_idle)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, round(options.keepalive_interval)))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, options.keepalive_count)

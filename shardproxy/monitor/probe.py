"""Looking at one server over a connection of our own, in bounded time.

Least rights: a role that may log in to the database. ``pg_monitor`` adds the timeline a replica follows;
where EXECUTE on ``pg_control_system()`` was revoked from PUBLIC, the system identifier is not compared.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from shardproxy.backend.driver import connect, leave_epochs
from shardproxy.monitor.servers import NO_ANSWER, Sighting, WatchedServer
from shardproxy.monitor.sql_files import sql
from shardproxy.routing.route import Role

APPLICATION_NAME: Final = "shardproxy monitor"


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """Seconds: for opening a connection with its login, and for one answer of a primary or of a replica.

    A replica's is shorter, since being left out for a moment costs little there.
    """

    connect_timeout: float = 2.0
    primary_timeout: float = 1.0
    replica_timeout: float = 0.5

    def answer_timeout(self, role: Role) -> float:
        """For a server that is configured as ``role``."""
        return self.primary_timeout if role is Role.PRIMARY else self.replica_timeout


class ProbeFailed(Exception):
    """The server did not answer; the message says why, in one line without secrets."""


class Probe:
    """The connection to one server; opened when needed, dropped at the first fault.

    Mutable: ``_connection`` is open and idle between looks; ``_system_identifier`` was read on it;
    ``_fenced``: a look on it has seen a fence.
    ``on_lost`` is called (on the event loop) when the open connection ends by itself: the server died.
    """

    def __init__(self, server: WatchedServer, options: ProbeOptions, on_lost: Callable[[], None]) -> None:
        self._server = server
        self._options = options
        self._on_lost = on_lost
        self._connection: asyncpg.Connection | None = None
        self._system_identifier: int | None = None
        self._fenced = False

    async def look(self) -> Sighting:
        """Ask the server once. :raises ProbeFailed: no answer in time, or an error instead of one."""
        try:
            connection = self._connection
            if connection is None:
                async with asyncio.timeout(self._options.connect_timeout):
                    connection = await self._connect()
            async with asyncio.timeout(self._options.answer_timeout(self._server.role)):
                row = await connection.fetchrow(sql("probe"))
                if row["fenced"] and not self._fenced:  # since this connection was opened, perhaps
                    await leave_epochs(connection)
                self._fenced = row["fenced"]
        except asyncio.CancelledError:
            self.close()
            raise
        except Exception as fault:  # whatever it is, we do not know that the server is well
            self.close()
            raise ProbeFailed(_reason(fault)) from fault
        return _sighting(row, self._system_identifier)

    def close(self) -> None:
        """Drop the connection without a word to the server, which may not be listening."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.remove_termination_listener(self._terminated)
            connection.terminate()

    async def _connect(self) -> asyncpg.Connection:
        server = self._server
        timeout = max(self._options.connect_timeout, self._options.answer_timeout(server.role))
        connection = await connect(
            server.address,
            server.login,
            APPLICATION_NAME,
            timeout=timeout,
            settings={
                "statement_timeout": str(round(timeout * 1000)),
                "default_transaction_read_only": "on",
            },
        )
        self._connection = connection
        self._system_identifier = None
        self._fenced = False
        if await connection.fetchval(sql("may_identify")):
            self._system_identifier = await connection.fetchval(sql("identify"))
        connection.add_termination_listener(self._terminated)
        return connection

    def _terminated(self, connection: asyncpg.Connection) -> None:
        if connection is self._connection:
            self._connection = None
            self._on_lost()


def _sighting(row: Any, system_identifier: int | None) -> Sighting:
    if row["in_recovery"]:
        return Sighting(
            Role.REPLICA,
            timeline=row["followed_timeline"],
            system_identifier=system_identifier,
            received=row["received"],
            replayed=row["replayed"],
            replay_age=row["replay_age"],
            streaming=row["streaming"],
            fenced=row["fenced"],
        )
    return Sighting(
        Role.PRIMARY,
        # A WAL file's name begins with the timeline, in eight hexadecimal digits.
        timeline=int(row["wal_file"][:8], 16),
        system_identifier=system_identifier,
        written=row["written"],
        inserted=row["inserted"],
        fenced=row["fenced"],
    )


def _reason(fault: Exception) -> str:
    if isinstance(fault, TimeoutError):
        return NO_ANSWER
    lines = str(fault).splitlines()
    return f"{type(fault).__name__}: {lines[0]}" if lines else type(fault).__name__

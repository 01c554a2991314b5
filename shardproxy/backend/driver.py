"""Connections off the query path: asyncpg's, to an Address with a Login and nothing from the environment.

Where the server has a fence they are in epoch 0, so that no retirement waits for them or ends them.
"""

import os
from collections.abc import Mapping
from typing import Final

import asyncpg

from shardproxy.backend.epoch import NO_ROWS, enter_script
from shardproxy.backend.server import Address, Login

FAULTS: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What a server or the network does; TimeoutError is an OSError, and an InternalClientError is what asyncpg
says of a connection that ended in the middle of something.
"""

# A role that was not granted the function is no sidecar's, and is ended with the others.
_MAY_ENTER: Final = """
SELECT pg_catalog.bool_or(pg_catalog.has_function_privilege(p.oid, 'EXECUTE'))
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = 'shardproxy' AND p.proname = 'enter'
"""


async def connect(
    address: Address,
    login: Login,
    application_name: str,
    *,
    timeout: float,
    command_timeout: float | None = None,
    settings: Mapping[str, str | None] | None = None,
) -> asyncpg.Connection:
    """A connection of our own. Its search_path is pg_catalog, or as ``settings`` say (None: the role's own).

    ``timeout`` is in seconds and for the connect, ``command_timeout`` for each answer (None: no limit). It
    must not touch rows of users on the strength of a map; the steps of a move may, since maps tell of them.
    Raises one of FAULTS.
    """
    wanted: dict[str, str | None] = {"application_name": application_name, "search_path": "pg_catalog"}
    connection = await asyncpg.connect(
        host=address.host,
        port=address.port,
        user=login.user,
        database=login.database,
        # Not None, for which asyncpg would look into the environment and into files.
        password=login.password.reveal() if login.password is not None else "",
        ssl=False,
        timeout=timeout,
        command_timeout=command_timeout,
        target_session_attrs="any",
        server_settings={
            name: value for name, value in (wanted | dict(settings or {})).items() if value is not None
        },
    )
    try:
        await leave_epochs(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def leave_epochs(connection: asyncpg.Connection) -> None:
    """Enter epoch 0, where there is a fence; the connection is in no other."""
    if await connection.fetchval(_MAY_ENTER):
        await connection.execute(enter_script(NO_ROWS, None))


def reason(fault: Exception) -> str:
    """What happened, in one line."""
    if isinstance(fault, TimeoutError):
        return "no answer in time"
    if isinstance(fault, OSError):
        # The event loops word it differently; getaddrinfo's own numbers are negative and have their text.
        known = os.strerror(fault.errno) if fault.errno is not None and fault.errno > 0 else fault.strerror
        return known or "the connection failed"
    lines = str(fault).splitlines()
    return lines[0] if lines else type(fault).__name__

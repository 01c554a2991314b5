"""Cancelling what runs on a server connection: PostgreSQL's own cancel request, on a socket of its own.

The connection stays out of the pool until the server has closed that socket, because the signal can arrive
later than the reply to the query it was meant for (manual, "Canceling Requests in Progress").
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from shardproxy.backend.connection import ServerConnection
from shardproxy.backend.server import Address
from shardproxy.wire import client_messages


def cancel(address: Address, connection: ServerConnection, timeout: float) -> Coroutine[Any, Any, bool]:
    """Ask the server to cancel what ``connection`` runs; True when the server took the request.

    ``timeout`` is in seconds. From this call on, before the coroutine runs, until its end
    :attr:`ServerConnection.is_clean` is False; and for ever when the server did not close the socket: the
    request may be lying somewhere.
    """
    connection.cancels += 1
    return _cancel(address, connection, timeout)


async def _cancel(address: Address, connection: ServerConnection, timeout: float) -> bool:
    delivered = False
    try:
        async with asyncio.timeout(timeout):
            await _deliver(address, client_messages.cancel_request(connection.pid, connection.secret))
        delivered = True
    except (OSError, TimeoutError):
        pass
    finally:
        connection.cancel_ended(delivered=delivered)
    return delivered


async def _deliver(address: Address, request: bytes) -> None:
    path = address.socket_path
    if path is not None:
        reader, writer = await asyncio.open_unix_connection(path)
    else:
        reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(request)
        await reader.read(1)  # the server answers nothing and closes
    finally:
        writer.close()

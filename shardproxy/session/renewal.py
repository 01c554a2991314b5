"""A session that keeps its server connection takes it along when the shard's epoch changes."""

from typing import TYPE_CHECKING

from shardproxy.errors import ShardproxyError
from shardproxy.session.transaction import Block

if TYPE_CHECKING:
    from shardproxy.session.session import Session


def is_due(session: "Session") -> bool:
    """The session is between two requests, and its connection is in an older epoch or holds up moves.

    Others come along by themselves when they are given back to their pool.
    """
    link = session.link
    connection, pool = link.connection, link.pool
    return (
        connection is not None
        and pool is not None
        and pool.entry is not None
        and (connection.epoch != pool.entry.epoch or bool(connection.holds))
        and not (session.busy or session.closed or link.in_group)
        and session.transaction.block is Block.NONE
        and connection.is_settled
    )


async def renew(session: "Session") -> bool:
    """Bring it along; where that fails the connection is lost, and the session with it. Always True."""
    link = session.link
    connection, pool = link.connection, link.pool
    assert connection is not None
    assert pool is not None
    assert pool.entry is not None
    try:
        await pool.entry.bring_along(connection)
    except ShardproxyError as error:
        if link.connection is connection:
            session.busy = False  # nothing of the client's was under way
            link.lost(connection, error)
    return True

"""Entering an epoch of the shard map on a server that has a fence (``catalog/shard.sql``)."""

from typing import Final

NO_ROWS: Final = 0
"""The epoch of connections that touch no rows of users; no retirement waits for them."""

RETIRED: Final = "SP002"
NOT_KNOWN_YET: Final = "SP003"


def enter_script(entering: int, leaving: int | None) -> str:
    """SQL that moves a connection from epoch ``leaving`` (None: it is in none) to ``entering``.

    For the simple protocol, outside a transaction, whatever the session's role and isolation level. Errors:
    SP002, the epoch is retired; SP003, the server has not heard of it; the connection is then in a failed
    transaction.
    """
    left = "NULL" if leaving is None else str(leaving)
    return (
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL ROLE NONE; "
        f"SELECT shardproxy.enter({entering}, {left}); COMMIT"
    )

"""Entering an epoch of the shard map on a server that has a fence (``catalog/shard_functions.sql``)."""

from typing import Final

NO_ROWS: Final = 0
"""The epoch of connections that touch no rows of users; no retirement waits for them."""

RETIRED: Final = "SP002"
NOT_KNOWN_YET: Final = "SP003"
ANOTHER_SHARD: Final = "SP004"


def enter_script(entering: int, leaving: int | None, here: str | None = None) -> str:
    """SQL that moves a connection from epoch ``leaving`` (None: it is in none) to ``entering``.

    ``here`` is which shard it has to be, as installation/name (None: any); names of shards need no quoting.
    For the simple protocol, outside a transaction, whatever the session's role and isolation level. On an
    error (RETIRED, NOT_KNOWN_YET, ANOTHER_SHARD) the connection is in a failed transaction.
    """
    left = "NULL" if leaving is None else str(leaving)
    place = "" if here is None else f", '{here}'"
    return (
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL ROLE NONE; "
        f"SELECT shardproxy.enter({entering}, {left}{place}); COMMIT"
    )

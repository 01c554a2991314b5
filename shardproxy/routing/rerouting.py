"""A route that does not hold any more."""

from typing import Final

from shardproxy.errors import ShardproxyError

SERIALIZATION_FAILURE: Final = "40001"


class RouteAgain(ShardproxyError):
    """The map that a route was made by is old, or soon will be. Nothing has happened: route again by a newer.

    Where that cannot be, in the middle of a transaction, it is the client's error: run the transaction again.
    """

    sqlstate = SERIALIZATION_FAILURE

    def __init__(self) -> None:
        super().__init__(
            "could not serialize access: rows of the transaction are moving to another shard",
            hint="Run the transaction again.",
        )

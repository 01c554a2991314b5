"""The proxy's explanation of where a statement would go, and why."""

from dataclasses import dataclass
from typing import Any, Final

from shardproxy.client.connection import Connection
from shardproxy.client.errors import NotShardproxy

EXPLAIN_COMMENT: Final = "/* shardproxy.explain */ "
"""Leads a statement that the proxy answers with one row (``COLUMNS``, all text) in place of running it."""

COLUMNS: Final = ("shards", "role", "reason", "keys")


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """Where a statement would go.

    ``shards`` are names in the order of the configuration; ``role`` is ``"primary"`` or ``"replica"``;
    ``reason`` is a sentence; ``keys`` are the sharding keys that decided it, as text, none when no key did.
    """

    shards: tuple[str, ...]
    role: str
    reason: str
    keys: tuple[str, ...]

    def __str__(self) -> str:
        keys = f" for {', '.join(self.keys)}" if self.keys else ""
        return f"{', '.join(self.shards)} ({self.role}){keys}: {self.reason}"


async def explain(
    connection: Connection, sql: str, args: tuple[Any, ...], timeout: float | None
) -> RouteDecision:
    """Ask the proxy behind ``connection``; ``timeout`` in seconds. The statement is not run.

    Raises NotShardproxy when the server is not the proxy, found out by the shape of the answer *before*
    anything is executed: a plain server would take the comment for a comment.
    """
    prepared = await connection.prepare(EXPLAIN_COMMENT + sql, timeout=timeout)
    if tuple(attribute.name for attribute in prepared.get_attributes()) != COLUMNS:
        raise NotShardproxy("route() needs shardproxy: this server does not explain routes")
    row = await prepared.fetchrow(*args, timeout=timeout)
    return RouteDecision(_names(row["shards"]), row["role"], row["reason"], _names(row["keys"]))


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())

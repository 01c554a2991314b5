"""The proxy's explanation of where a statement would go, and why."""

import re
from dataclasses import dataclass
from typing import Any, Final

from shardproxy.client.connection import Connection
from shardproxy.client.errors import NotShardproxy

EXPLAIN_COMMENT: Final = "/* shardproxy.explain */ "
"""Leads a statement that the proxy answers with one row (``COLUMNS``, all text) in place of running it."""

_BETWEEN_KEYS: Final = re.compile(r"(?<=\)), ")
"""Each key ends with its bucket in brackets; its text may itself contain a comma."""

COLUMNS: Final = ("shards", "role", "reason", "keys")


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """Where a statement would go.

    ``shards`` are names in the order of the configuration, none when the statement would be refused;
    ``role`` is ``"primary"`` or ``"replica"``, ``"session"`` without shards for BEGIN, SET and their like,
    empty when refused; ``reason`` is a sentence, the refusal's when refused; ``keys`` are the sharding keys
    that decided it, such as ``"tenant=acme (bucket 1234)"`` or ``"tenant=big (placed)"``, none when no key
    did.
    """

    shards: tuple[str, ...]
    role: str
    reason: str
    keys: tuple[str, ...]

    @property
    def refused(self) -> bool:
        """Whether running the statement would raise Refused."""
        return not self.role

    def __str__(self) -> str:
        if self.refused:
            return self.reason
        keys = f" for {', '.join(self.keys)}" if self.keys else ""
        shards = f"{', '.join(self.shards)} ({self.role})" if self.shards else self.role
        return f"{shards}{keys}: {self.reason}"


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
    shards, keys = row["shards"] or "", row["keys"] or ""
    return RouteDecision(
        shards=tuple(filter(None, shards.split(", "))),
        role=row["role"] or "",
        reason=row["reason"] or "",
        keys=tuple(filter(None, _BETWEEN_KEYS.split(keys))),
    )

"""What the tour looks at, and what it finds."""

from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from shardproxy.demo.stage import Stage

TIMEOUT: Final = 15.0
"""Seconds a statement may take before its step has failed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a step asked, which servers ran it, and what came of it; ``good`` when the shards confirm it."""

    sql: str
    where: str
    found: str
    good: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the tour, done."""

    title: str
    finding: Finding

    @property
    def good(self) -> bool:
        """Whether the shards confirm what it found."""
        return self.finding.good


@dataclass(frozen=True, slots=True)
class Sights:
    """What the steps look at: a session through the sidecar, and one straight to each primary and replica."""

    stage: Stage
    proxy: "asyncpg.Connection[Any]"
    primaries: tuple["asyncpg.Connection[Any]", ...]
    replicas: tuple["asyncpg.Connection[Any]", ...]

    def tenant_on(self, shard: int) -> str | None:
        """The largest tenant of a shard."""
        return next((each for each in self.stage.tenants if self.stage.owner(each) == shard), None)

    async def straight(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        """The rows of all primaries together, in the order of the shards."""
        return [
            tuple(row) for each in self.primaries for row in await each.fetch(sql, *args, timeout=TIMEOUT)
        ]

    async def ask(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        """The rows that come through the sidecar."""
        return [tuple(row) for row in await self.proxy.fetch(sql, *args, timeout=TIMEOUT)]

    async def set(self, sql: str) -> None:
        """Change the session through the sidecar."""
        await self.proxy.execute(sql, timeout=TIMEOUT)

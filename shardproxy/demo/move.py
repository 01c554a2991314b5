"""The tour's last step: a tenant moves to another shard while it is written to and read."""

import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from shardproxy.demo.sights import TIMEOUT, Finding, Sights
from shardproxy.demo.watchdog import our_environment

WRITE: Final = (
    "INSERT INTO orders (tenant_id, customer_id, currency, total, note) "
    "VALUES ($1, 1, 'EUR', 12.50, 'while it moves') RETURNING order_id"
)
WRITTEN: Final = "SELECT order_id FROM orders WHERE tenant_id = $1 AND order_id = ANY ($2::bigint[])"
SUMS: Final = (
    "SELECT tenant_id, count(*), sum(total) FROM orders "
    "WHERE note IS DISTINCT FROM 'while it moves' GROUP BY tenant_id"
)
GRACE: Final = "2"
"""Seconds; sessions that go past the sidecar and have the old map are few here, and our own."""


@dataclass(frozen=True, slots=True)
class Move:
    """Nothing that was written meanwhile is lost, and a fan-out counts each row once, wherever it is."""

    tenant: str
    target: int

    async def __call__(self, sights: Sights) -> Finding:
        truth = sorted(await sights.straight(SUMS))
        written, wrong = [], 0
        async with _Command(sights, self.tenant, self.target) as command:
            while not command.has_ended:
                written.append((await sights.ask(WRITE, self.tenant))[0][0])
                seen = [row[0] for row in await sights.ask(WRITTEN, self.tenant, written)]
                wrong += sorted(seen) != sorted(written) or sorted(await sights.ask(SUMS)) != truth
            said = await command.said()
        kept = [await _rows(each, self.tenant, written) for each in sights.primaries]
        expected = [sorted(written) if index == self.target else [] for index in range(len(kept))]
        target = sights.stage.shards[self.target].name
        return Finding(
            command.words,
            target,
            f"{len(written)} orders were written and read meanwhile, {said}",
            good=command.succeeded
            and not wrong
            and kept == expected
            and sorted(await sights.straight(SUMS)) == truth,
        )


class _Command:
    """``shardproxy tenant move`` as a process; ended when the block is left before it has ended.

    Mutable: ``_process``, from the beginning of the block on.
    """

    def __init__(self, sights: Sights, tenant: str, target: int) -> None:
        name = sights.stage.shards[target].name
        self._arguments = ("tenant", "move", tenant, "--to", name, "--grace", GRACE)
        self._config = str(sights.stage.config)
        self._process: asyncio.subprocess.Process | None = None
        self._told: asyncio.Task[tuple[bytes, bytes]] | None = None

    async def __aenter__(self) -> "_Command":
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "shardproxy", *self._arguments, "--json", "-c", self._config),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=our_environment(),
        )
        self._told = asyncio.create_task(self._process.communicate())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._told is not None
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._told

    @property
    def words(self) -> str:
        """As a user would type it."""
        return " ".join(("shardproxy", *self._arguments))

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._told is not None and self._told.done()

    @property
    def succeeded(self) -> bool:
        """Whether it ended well."""
        return self._process is not None and self._process.returncode == 0

    async def said(self) -> str:
        """How the move went, in a few words."""
        assert self._told is not None
        out, err = await asyncio.wait_for(self._told, TIMEOUT)
        if not self.succeeded:
            return (out or err).decode(errors="replace").strip()
        (move,) = json.loads(out)["moves"]
        pause = f"{move['pause_seconds'] * 1000:.0f} ms"
        return f"{move['rows']:,} rows moved in {move['seconds']:.1f} s with a pause of {pause}"


async def _rows(connection: Any, tenant: str, orders: list[int]) -> list[int]:
    return sorted(row[0] for row in await connection.fetch(WRITTEN, tenant, orders, timeout=TIMEOUT))

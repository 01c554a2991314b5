"""Tenants that move to and fro between shards while something else happens."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import cycle
from random import Random
from typing import TypeVar

from shardproxy.catalog.journal import Keys, Move
from shardproxy.errors import ShardproxyError
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.driver import ForwardOnly
from shardproxy.rebalance.move import Outcome
from shardproxy.rebalance.options import MoveOptions
from tests.histories.client import Errors
from tests.histories.installed import Installed
from tests.histories.runner import Progress
from tests.histories.shards import TENANTS

T = TypeVar("T")

OPTIONS = MoveOptions(grace=20.0)
AGAIN = 0.2
"""Seconds between two tries while servers are away."""


class ToAndFro:
    """A disturbance: ``times`` moves of some tenants to another shard, one after the other, each once ``every``
    transactions are committed; every fourth is offline. Where ``hindered``, a move may stop on its way, and is then resumed or aborted.

    Mutable: ``outcomes``, how the moves have ended.
    """

    def __init__(
        self,
        installed: Installed,
        random: Random,
        times: int,
        *,
        every: int = 20,
        hindered: bool = False,
        options: MoveOptions = OPTIONS,
    ) -> None:
        self.installed = installed
        self.random = random
        self.times = times
        self.every = every
        self.hindered = hindered
        self.options = options
        self.outcomes: list[Outcome] = []

    async def __call__(self, progress: Progress) -> None:
        for number, first in zip(range(self.times), cycle(TENANTS), strict=False):
            await progress.more(self.every)
            at = await self._persist(self.installed.owners)
            beside = [tenant for tenant in TENANTS if at[tenant] == at[first] and self.random.random() < 0.3]
            target = self.random.choice([name for name in self.installed.names() if name != at[first]])
            options = replace(self.options, offline=number % 4 == 3)
            await self._move(Keys("tenant", tuple(sorted({first, *beside}))), target, options)

    async def _move(self, keys: Keys, target: str, options: MoveOptions) -> None:
        try:
            self.outcomes += await rebalance.move(self.installed.installation, keys, target, options)
        except ShardproxyError:
            if not self.hindered:
                raise
            for move in await self._persist(lambda: rebalance.newest(self.installed.installation, 100)):
                if not move.has_ended:
                    self.outcomes.append(await self._persist(lambda move=move: self._end(move)))  # type: ignore[misc]

    async def _end(self, move: Move) -> Outcome:
        """Where the target's snapshot was lost, differences may be deletions; the checkers know more of that."""
        installation = self.installed.installation
        if self.random.random() < 0.5:
            try:
                return await rebalance.abort(installation, move.number)
            except ForwardOnly:
                pass
        return await rebalance.resume(installation, move.number, accept_differences=True)

    async def _persist(self, what: Callable[[], Awaitable[T]]) -> T:
        """Try until it succeeds, if there is something that hinders."""
        while True:
            try:
                return await what()
            except (ShardproxyError, *Errors):
                if not self.hindered:
                    raise
            await asyncio.sleep(AGAIN)


class AwayAndBack:
    """A disturbance: ``times`` moves of a tenant that are rolled back while it is used on the other shard.

    Mutable: ``outcomes``, how the moves have ended, and how their way back has.
    """

    def __init__(self, installed: Installed, times: int) -> None:
        self.installed = installed
        self.times = times
        self.outcomes: list[Outcome] = []

    async def __call__(self, progress: Progress) -> None:
        home, names = await self.installed.owners(), self.installed.names()
        options = MoveOptions(grace=20.0, rollback_window=3600.0)
        for tenant, _ in zip(cycle(TENANTS), range(self.times), strict=False):
            await progress.more(20)
            target = names[(names.index(home[tenant]) + 1) % len(names)]
            [moved] = await rebalance.move(
                self.installed.installation, Keys("tenant", (tenant,)), target, options
            )
            await progress.more(40)
            self.outcomes += [moved, await rebalance.roll_back(self.installed.installation, moved.number)]

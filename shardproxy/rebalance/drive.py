"""What a driver has in its hands: the move, its connections, the map, the tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import asyncpg

from shardproxy.backend.shards import ShardSpec
from shardproxy.catalog import journal
from shardproxy.catalog.journal import Move
from shardproxy.rebalance.connections import Connections
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.progress import Progress, Report
from shardproxy.rebalance.tables import MovingTable
from shardproxy.topology.moves import Moving
from shardproxy.topology.tables import TableRules

PREFIX: Final = "shardproxy_move_"
BACK: Final = "shardproxy_back_"
"""What the names of a move's publication and subscription begin with, before its number; those of the way
back. The name of the slot begins with theirs.
"""


class Soak(StrEnum):
    """What a driver does in the step ``soak``: ``REST`` leaves the move there, ``WAIT`` stays until the
    window is over, ``END`` goes on at once.
    """

    REST = "rest"
    WAIT = "wait"
    END = "end"


@dataclass(slots=True)
class Drive:
    """One process driving one move. ``databases``: the OIDs of the two shards' databases, by shard.
    ``accept_differences``: the move goes on although the verification found some.

    Mutable: ``move``, as it was last written to the journal; ``tables`` and ``moving``, until the move is
    announced.
    """

    installation: Installation
    options: MoveOptions
    report: Report
    move: Move
    moving: Moving
    tables: tuple[MovingTable, ...]
    rules: TableRules
    databases: Mapping[str, int]
    accept_differences: bool
    soak: Soak
    at: Connections

    @property
    def reverses(self) -> int | None:
        """The number of the move that this one rolls back; its way back is this one's stream."""
        return self.move.facts.get("reverses")

    @property
    def mark(self) -> int:
        """The number under which marks go through the stream."""
        return self.move.number if self.reverses is None else self.reverses

    @property
    def name(self) -> str:
        """The name of the stream's publication, on the source, and of its subscription, on the target."""
        return f"{PREFIX if self.reverses is None else BACK}{self.mark}"

    @property
    def slot(self) -> str:
        """The name of the stream's slot: slots are the whole server's, so the source's database is in it."""
        return f"{self.name}_{self.databases[self.move.source]}"

    @property
    def back_name(self) -> str:
        """The name of the way back's publication, on the target, and of its subscription, on the source."""
        return f"{BACK}{self.move.number}"

    @property
    def back_slot(self) -> str:
        """The name of the way back's slot, on the target."""
        return f"{self.back_name}_{self.databases[self.move.target]}"

    @property
    def source(self) -> ShardSpec:
        """The shard that the rows leave."""
        return self.installation.shard(self.move.source)

    @property
    def target(self) -> ShardSpec:
        """The shard that the rows go to."""
        return self.installation.shard(self.move.target)

    @property
    def shards(self) -> Mapping[str, asyncpg.Connection]:
        """The two shards, whose connections have to enter the epochs that the move publishes."""
        return {self.move.source: self.at.source, self.move.target: self.at.target}

    def tell(self, what: str, **known: Any) -> None:
        """Report progress of the step that was begun last."""
        self.report(Progress(self.move.step, what, self.move.number, **known))

    async def note(self, what: str, **facts: Any) -> None:
        """Write to the journal what was found out, and to the move's log, in one transaction."""
        catalog = self.at.catalog
        async with catalog.transaction():
            self.move = await journal.update(catalog, self.move.number, facts=facts)
            await journal.log(catalog, self.move.number, self.move.step, what)

    async def begin(self, step: str, what: str, **facts: Any) -> None:
        """Write to the journal that a step begins, before it acts."""
        catalog = self.at.catalog
        async with catalog.transaction():
            self.move = await journal.update(catalog, self.move.number, step=step, facts=facts)
            await journal.log(catalog, self.move.number, step, what)
        self.report(Progress(step, what, self.move.number, begins=True))

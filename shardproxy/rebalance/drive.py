"""What a driver has in its hands: the move, its connections, the map, the tables."""

from collections.abc import Mapping
from dataclasses import dataclass
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


def object_name(number: int) -> str:
    """The name of the publication that a move makes on its source, and of the subscription on its target.
    That of the slot begins so.
    """
    return f"{PREFIX}{number}"


@dataclass(slots=True)
class Drive:
    """One process driving one move. ``database`` is the OID of the source's database.
    ``accept_differences``: the move goes on although the verification found some.

    Mutable: ``move``, as it was last written to the journal; ``tables``, until the move is announced.
    """

    installation: Installation
    options: MoveOptions
    report: Report
    move: Move
    moving: Moving
    tables: tuple[MovingTable, ...]
    rules: TableRules
    database: int
    accept_differences: bool
    at: Connections

    @property
    def name(self) -> str:
        """The name of the move's objects."""
        return object_name(self.move.number)

    @property
    def slot(self) -> str:
        """The name of the move's slot: slots are the whole server's, so the source's database is in it."""
        return f"{self.name}_{self.database}"

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

"""What a driver has in its hands: the move, its connections, the map, the tables."""

from dataclasses import dataclass
from typing import Any, Final

from shardproxy.backend.shards import ShardSpec
from shardproxy.catalog import journal
from shardproxy.catalog.journal import Move
from shardproxy.rebalance.connections import Connections
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.progress import Progress, Report
from shardproxy.rebalance.tables import MovingTable
from shardproxy.topology.moves import Moving

PREFIX: Final = "shardproxy_move_"


def object_name(number: int) -> str:
    """The name of everything that a move makes: the publication and the slot on its source, the subscription on
    its target.
    """
    return f"{PREFIX}{number}"


@dataclass(slots=True)
class Drive:
    """One process driving one move. Mutable: ``move``, as it was last written to the journal."""

    installation: Installation
    options: MoveOptions
    report: Report
    move: Move
    moving: Moving
    tables: tuple[MovingTable, ...]
    at: Connections

    @property
    def name(self) -> str:
        """The name of the move's objects."""
        return object_name(self.move.number)

    @property
    def source(self) -> ShardSpec:
        """The shard that the rows leave."""
        return self.installation.shard(self.move.source)

    @property
    def target(self) -> ShardSpec:
        """The shard that the rows go to."""
        return self.installation.shard(self.move.target)

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

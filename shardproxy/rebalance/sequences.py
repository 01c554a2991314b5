"""The target's sequences, at least as far as the source's: a moved tenant's next row must not meet its older
ones.
"""

from dataclasses import dataclass
from typing import Final

import asyncpg

from shardproxy.rebalance.drive import Drive
from shardproxy.rebalance.sql_files import sql
from shardproxy.replication.quoting import relation
from shardproxy.topology.tables import RelationName

HEADROOM: Final = 10_000
"""Values that are skipped where the target is behind, so that nothing is to be done when the source has gone
on a little, and so that what others take from the target's sequence at the same moment lies before the new
value.
"""


@dataclass(frozen=True, slots=True)
class Sequence:
    """``last_value`` is None as long as no value was given out; ``step`` is negative where it counts down."""

    schema: str
    name: str
    last_value: int | None
    step: int
    least: int
    most: int

    def is_behind(self, last_value: int) -> bool:
        """Whether it could give out ``last_value``, or what comes before it, once more."""
        if self.last_value is None:
            return True
        return self.last_value < last_value if self.step > 0 else self.last_value > last_value

    def beyond(self, last_value: int) -> int:
        """Where to set it: beyond ``last_value`` and its own, with headroom as far as there is room."""
        if self.step > 0:
            start = max(last_value, self.last_value if self.last_value is not None else last_value)
            return start + min(HEADROOM * self.step, max(0, self.most - start) // 100)
        start = min(last_value, self.last_value if self.last_value is not None else last_value)
        return start - min(HEADROOM * -self.step, max(0, start - self.least) // 100)


async def read_sequences(drive: Drive, connection: asyncpg.Connection) -> dict[RelationName, Sequence]:
    """The sequences of the moved tables on one server."""
    schemas, names = [table.name[0] for table in drive.tables], [table.name[1] for table in drive.tables]
    rows = await connection.fetch(sql("sequences"), schemas, names)
    return {(row["schema"], row["name"]): Sequence(**dict(row)) for row in rows}


async def advance_sequences(drive: Drive) -> None:
    """Set those of the target ahead that are behind the source's."""
    ahead = await read_sequences(drive, drive.at.source)
    here = await read_sequences(drive, drive.at.target)
    for name, theirs in ahead.items():
        mine = here.get(name)
        if mine is None or theirs.last_value is None or not mine.is_behind(theirs.last_value):
            continue
        await drive.at.target.execute(
            "SELECT setval($1::text::regclass, $2)", relation(name), mine.beyond(theirs.last_value)
        )

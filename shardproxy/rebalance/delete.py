"""Deleting the rows of a move where they do not count: in batches, those that refer to others first.

Nobody changes these rows any more, so their places, read once through an index, stay what they are.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import asyncpg

from shardproxy.rebalance.drive import Drive
from shardproxy.rebalance.fail_points import fail_point
from shardproxy.rebalance.tables import MovingTable
from shardproxy.rebalance.throttle import Throttle

# As a replication worker: no trigger fires and no foreign key is followed, for the rows are not gone from the
# world.
ROLE: Final = "replica"


async def delete_rows(drive: Drive, shard: str, *, what: str, total: int | None = None) -> int:
    """Delete every row of the move on one of its shards; how many there were. Raises asyncpg's errors."""
    reader = await drive.at.helper(shard)
    deleter = await drive.at.helper(shard, role=ROLE)
    throttle = Throttle(rows=drive.options.max_rate)
    deleted = 0
    for table in reversed(drive.tables):
        async with reader.transaction():
            places = await reader.cursor(
                f"SELECT tableoid::regclass::text AS part, ctid FROM {table.sql} WHERE {table.condition}"  # noqa: S608
            )
            while batch := await places.fetch(drive.options.batch):
                await throttle.take(rows=len(batch))
                await _delete(deleter, table, batch)
                deleted += len(batch)
                drive.tell(f"{what} {table.label}", rows=deleted, total_rows=total)
                fail_point("remove.batch")
    drive.at.give_back(reader, deleter)
    return deleted


async def _delete(deleter: asyncpg.Connection, table: MovingTable, batch: Iterable[asyncpg.Record]) -> None:
    parts: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in batch:
        parts[row["part"]].append(row["ctid"])
    for part, places in parts.items():
        await deleter.execute(
            f"DELETE FROM ONLY {part} WHERE ctid = ANY ($1::tid[]) AND {table.condition}",  # noqa: S608
            places,
        )


async def has_rows(connection: asyncpg.Connection, tables: Iterable[MovingTable]) -> bool:
    """Whether a server has any row of the move."""
    for table in tables:
        query = f"SELECT EXISTS (SELECT FROM {table.sql} WHERE {table.condition})"  # noqa: S608
        if await connection.fetchval(query):
            return True
    return False

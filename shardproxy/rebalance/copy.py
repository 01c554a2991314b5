"""The step ``copy``: all rows as of one moment, and a stream of everything that changes afterwards.

The slot is made first and exports the snapshot of its beginning: what the snapshot sees is copied, what it
does not see is in the slot. A crash in the middle starts the step anew.
"""

import asyncio
from contextlib import suppress
from typing import Final

import asyncpg

from shardproxy.rebalance.connections import driver_name
from shardproxy.rebalance.delete import ROLE, delete_rows
from shardproxy.rebalance.drive import Drive
from shardproxy.rebalance.fail_points import fail_point
from shardproxy.rebalance.pipe import pipe
from shardproxy.rebalance.tables import MovingTable, files_of
from shardproxy.rebalance.throttle import Throttle
from shardproxy.replication import publication, slot, subscription
from shardproxy.replication.quoting import literal
from shardproxy.replication.wal_sender import WalSender
from shardproxy.topology.tables import RelationName

MARKER: Final = ("shardproxy", "marker")
LOOK_EVERY: Final = 0.25
"""Seconds between two looks at how far the copies are."""

ANALYZE_FROM: Final = 10_000
"""Rows that a table gets before its statistics are renewed at once, if they are a tenth of it."""

_OLDER: Final = """
SELECT count(*) OVER () AS number, pid, COALESCE(usename, '') AS "user",
       EXTRACT(EPOCH FROM clock_timestamp() - xact_start)::int4 AS age
FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 1
"""
_COPIED: Final = (
    "SELECT COALESCE(sum(tuples_processed), 0)::int8 FROM pg_stat_progress_copy WHERE pid = ANY ($1)"
)
_SIZE: Final = "SELECT reltuples::int8 FROM pg_class WHERE oid = $1::text::regclass"


async def copy(drive: Drive) -> None:
    """Begin anew if there is something of an earlier try; then the rows, then the stream."""
    if drive.move.facts.get("touched"):
        await remove_copy(drive)
    else:
        await drive.note("from here on, rows of the move on the target are ours", touched=True)
    await drive.note("looked at the source's files", files=await files_of(drive.at.source, drive.tables))
    await publication.create(drive.at.source, drive.name, published_rows(drive))
    fail_point("copy.published")
    wal_sender = await WalSender.open(drive.source.primary, driver_name(drive.move.number))
    try:
        made = await make_slot(drive, wal_sender, drive.slot, drive.move.source)
        fail_point("copy.slot")
        await Copies(drive, made.snapshot).run()
    finally:
        wal_sender.close()
    fail_point("copy.copied")
    primary = drive.source.primary
    publisher = subscription.conninfo(primary.address, primary.login)
    await subscription.create(drive.at.target, drive.name, publisher, drive.name, drive.slot)


def published_rows(drive: Drive) -> dict[RelationName, str]:
    """What a stream of the move publishes: the rows of each table, and its marks."""
    return {table.name: table.condition for table in drive.tables} | {MARKER: f"move = {drive.move.number}"}


async def remove_copy(drive: Drive) -> None:
    """Take away both streams, that of the way back first, or the source's rows would go with those on the
    target, which go last.
    """
    await remove_way_back(drive)
    await remove_stream(drive)
    await delete_rows(drive, drive.move.target, what="deleting the copied rows of")


async def remove_stream(drive: Drive) -> None:
    """Take away the subscription, then the slot and the publication, where they are there."""
    await subscription.drop(drive.at.target, drive.name)
    fail_point("remove.unsubscribed")
    await slot.drop(drive.at.source, drive.slot)
    await publication.drop(drive.at.source, drive.name)


async def remove_way_back(drive: Drive) -> None:
    """Take away the subscription, the slot and the publication of the way back, where they are there."""
    await subscription.drop(drive.at.source, drive.back_name)
    await slot.drop(drive.at.target, drive.back_slot)
    await publication.drop(drive.at.target, drive.back_name)


async def make_slot(drive: Drive, wal_sender: WalSender, name: str, shard: str) -> slot.ExportedSlot:
    """A slot begins when every older transaction that writes has ended; says for whom it waits."""
    making = asyncio.create_task(slot.create(wal_sender, name))
    try:
        while not (await asyncio.wait((making,), timeout=1))[0]:
            row = await drive.at.shard(shard).fetchrow(_OLDER)
            if row is not None:
                drive.tell(
                    f"waiting for {row['number']} older transactions on {shard}, the oldest of "
                    f"{row['user']}, pid {row['pid']}, for {row['age']} s"
                )
        return making.result()
    finally:
        making.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await making


class Copies:
    """Copies all tables, some at a time, as one snapshot sees them; without one, rows that nobody changes.

    Mutable: ``_bytes`` and ``_rows``, what has passed; ``_writers``, backends on the target that are copying;
    ``_done``, rows of the tables that are finished.
    """

    def __init__(self, drive: Drive, snapshot: str | None = None) -> None:
        self._drive = drive
        self._snapshot = snapshot
        self._throttle = Throttle(drive.options.max_rate, drive.options.max_bytes)
        self._total = drive.move.facts.get("rows")
        self._row_bytes = max(1.0, drive.move.facts.get("bytes", 0) / max(1, self._total or 0))
        self._left = list(reversed(drive.tables))
        self._writers: set[int] = set()
        self._bytes = 0
        self._done = 0

    async def run(self) -> None:
        """Copy everything. Raises the first error."""
        telling = asyncio.create_task(self._tell())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._drive.options.workers, len(self._left))):
                    group.create_task(self._work())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling
        self._drive.tell("copied", rows=self._done, total_rows=self._done, bytes=self._bytes)

    async def _work(self) -> None:
        """Copy tables until none is left, over one pair of connections."""
        drive = self._drive
        reader = await drive.at.helper(drive.move.source)
        writer = await drive.at.helper(drive.move.target, role=ROLE)
        self._writers.add(writer.get_server_pid())
        async with reader.transaction(isolation="repeatable_read", readonly=True):
            if self._snapshot is not None:
                await reader.execute(f"SET TRANSACTION SNAPSHOT {literal(self._snapshot)}")
            while self._left:
                table = self._left.pop()
                rows = await self._copy(reader, writer, table)
                await _renew_statistics(writer, table, rows)
        self._writers.discard(writer.get_server_pid())
        drive.at.give_back(reader, writer)

    async def _copy(self, reader: asyncpg.Connection, writer: asyncpg.Connection, table: MovingTable) -> int:
        async def passing(size: int) -> None:
            self._bytes += size
            await self._throttle.take(size / self._row_bytes, size)

        query = f"SELECT {table.column_list} FROM {table.sql} WHERE {table.condition}"  # noqa: S608
        rows = await pipe(
            reader, query, writer, table.name, table.columns, binary=table.binary, passing=passing
        )
        self._done += rows
        fail_point("copy.table")
        return rows

    async def _tell(self) -> None:
        """Report how far the copies are, from time to time."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):  # the copies will say it
                under_way = await self._drive.at.target.fetchval(_COPIED, list(self._writers))
                rows = self._done + under_way
                self._row_bytes = max(1.0, self._bytes / max(1, rows)) if rows else self._row_bytes
                self._drive.tell(
                    f"copying to {self._drive.move.target}",
                    rows=rows,
                    total_rows=self._total,
                    bytes=self._bytes,
                )


async def _renew_statistics(writer: asyncpg.Connection, table: MovingTable, rows: int) -> None:
    """Let the planner know at once of a table that has grown a lot."""
    if rows >= ANALYZE_FROM and rows * 10 >= await writer.fetchval(_SIZE, table.sql):
        await writer.execute(f"ANALYZE {table.sql}")

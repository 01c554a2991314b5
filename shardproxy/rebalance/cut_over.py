"""The steps ``fence``, ``arrive`` and ``flip``: the rows change their owner, in one short pause.

``fence`` is one transaction on the source: it takes the move's guard for itself, and so has waited for
everybody who uses the rows, and then says "fenced" and puts a mark into the stream. Whoever comes meanwhile
waits for the lock, and finds the rows fenced; if it takes too long, the transaction is rolled back and
nothing has happened. When the mark is on the target, all is there that was ever acknowledged. Publishing the
map is the commit point.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg

from shardproxy.backend.driver import FAULTS
from shardproxy.backend.shards import ShardSpec
from shardproxy.catalog import maps
from shardproxy.catalog.locks import CLASS_GUARD
from shardproxy.errors import ShardproxyError
from shardproxy.rebalance.connections import end_others, snapshot_name
from shardproxy.rebalance.drive import Drive
from shardproxy.rebalance.fail_points import fail_point
from shardproxy.rebalance.sequences import advance_sequences
from shardproxy.rebalance.stream import SHORTEST, Stream, StreamLost
from shardproxy.rebalance.tables import files_of
from shardproxy.rebalance.what import flipped, listed, named
from shardproxy.replication import subscription

FIRST_HOLD: Final = 0.2
"""Seconds that the first try may hold up transactions on the rows; later ones are longer, up to max_pause."""

COMMIT_WITHIN: Final = 2.0
"""Seconds for a commit in the pause: of the fence on the source, of the map in the catalog."""

BETWEEN_TRIES: Final = 0.5
VANISHED: Final = 5.0
"""Seconds for which a connection may hold the rows outside of a transaction."""

LONGEST_SNAPSHOT: Final = 3600
"""Seconds that the target's snapshot outlives a driver that dies."""

_SET: Final = "SELECT set_config('lock_timeout', $1, true), set_config('synchronous_commit', 'on', true)"
_DRAIN: Final = "SELECT pg_advisory_xact_lock($1, $2)"
_FENCE: Final = """
WITH fenced AS (UPDATE shardproxy.moving SET state = 'fenced' WHERE move = $1 RETURNING move)
INSERT INTO shardproxy.marker (move, mark) SELECT $3, $2::uuid FROM fenced RETURNING move
"""
_UNFENCE: Final = (
    "UPDATE shardproxy.moving SET state = 'moving' WHERE move = $1 AND state = 'fenced' RETURNING move"
)
_OPEN: Final = "UPDATE shardproxy.moving SET state = 'moving' WHERE move = $1"
_MOVED: Final = "UPDATE shardproxy.moving SET state = 'moved', epoch = $2 WHERE move = $1"
_HOLDERS: Final = """
SELECT a.pid, COALESCE(a.usename, '') AS "user", a.application_name AS name, a.state,
       COALESCE(EXTRACT(EPOCH FROM
           clock_timestamp() - COALESCE(a.xact_start, a.state_change)), 0)::float8 AS age
FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.classid::int8 = $1 AND l.objid::int8 = $2 AND l.objsubid = 2 AND l.granted
ORDER BY a.xact_start LIMIT 3
"""
_END_IDLE: Final = """
SELECT count(pg_terminate_backend(a.pid))
FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.classid::int8 = $1 AND l.objid::int8 = $2 AND l.objsubid = 2 AND l.granted
  AND a.state = 'idle' AND a.state_change < clock_timestamp() - make_interval(secs => $3)
"""
_WRITTEN: Final = "SELECT pg_current_wal_insert_lsn()::text"
# A commit that waits for the disk, and for synchronous standbys: what the apply worker committed before is
# safe then.
_FLUSH: Final = "SELECT pg_logical_emit_message(true, 'shardproxy', '')::text"
_HAS: Final = "SELECT pg_last_wal_receive_lsn() >= $1::text::pg_lsn"
_EXPORT: Final = "SELECT pg_export_snapshot(), pg_current_snapshot()::text"


class CutOverFailed(ShardproxyError):
    """The rows could not be taken from their users in any of the tries; the source owns them as before."""

    sqlstate = "55P03"


class TakenBack(ShardproxyError):
    """One try took too long and was taken back."""


@dataclass(slots=True)
class CutOver:
    """One try after the other.

    Mutable: ``tries``; ``arrived``: what is known once all has arrived: ``snapshot``, the target's, as the
    verification needs it, and ``position`` in the target's WAL: all that came from the source is behind it,
    and nothing of the rows' new users. Of the try under way: ``_mark``, ``_began`` (the loop's time),
    ``_written`` (the source's position behind the fence). ``_keeper``: the session that keeps the snapshot,
    and ``_asleep``, what it does meanwhile. ``_replicas``: connections to the shards' replicas.
    """

    drive: Drive
    tries: int = 0
    arrived: dict[str, Any] = field(default_factory=dict)
    _mark: UUID = field(default_factory=uuid4)
    _began: float = 0.0
    _written: str = ""
    _keeper: asyncpg.Connection | None = None
    _asleep: "asyncio.Task[str] | None" = None
    _replicas: dict[str, list[asyncpg.Connection]] = field(default_factory=dict)

    # -- fence -------------------------------------------------------------------------------------------

    async def fence(self) -> None:
        """Take the rows from their users. Raises CutOverFailed when that cannot be done in any of the
        tries.
        """
        await self._prepare()
        await self._take()
        await self._check_files()
        self._written = await self.drive.at.source.fetchval(_WRITTEN)

    async def hold(self) -> None:
        """The same for rows that no stream follows: they stay held until the flip, or until they are given
        back.
        """
        await self._open_replicas()
        await self._take()

    async def _take(self) -> None:
        drive = self.drive
        clock = asyncio.get_running_loop().time
        while True:
            self.tries += 1
            self._mark = uuid4()
            self._began = clock()
            try:
                hold = self._hold()
                async with asyncio.timeout(hold + COMMIT_WITHIN):
                    await self._drain_and_fence(hold)
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                who = await self._holders()
                await self._end_vanished()
                if self.tries >= drive.options.cut_over_attempts:
                    raise CutOverFailed(
                        f"move {drive.move.number}: the rows were in use in each of {self.tries} tries",
                        detail=who,
                        hint="End these transactions, then resume the move; or allow a longer pause.",
                    ) from None
                drive.tell(f"the rows are in use, trying again: {who}")
                await asyncio.sleep(BETWEEN_TRIES)
            else:
                return

    async def _end_vanished(self) -> None:
        """A sidecar holds a move up around its transactions only: one that does so outside of them for long
        was stopped, or its machine is gone, and its connection may be ended.
        """
        ended = await self.drive.at.source.fetchval(_END_IDLE, CLASS_GUARD, self.drive.move.number, VANISHED)
        if ended:
            self.drive.tell(
                f"ended {ended} idle connections that held the rows: their sidecar does not answer"
            )

    async def _check_files(self) -> None:
        """TRUNCATE does not go through the stream, for it would empty the tables of others. Raises
        StreamLost.
        """
        drive = self.drive
        if await files_of(drive.at.source, drive.tables) != drive.move.facts.get("files"):
            raise StreamLost(f"a table was truncated or rewritten on {drive.move.source} since it was copied")

    def _hold(self) -> float:
        """Seconds to wait for the users of the rows; the other half of the longest pause is for the rest."""
        return min(self.drive.options.max_pause / 2, FIRST_HOLD * 1.5 ** (self.tries - 1))

    async def _drain_and_fence(self, hold: float) -> None:
        source, number, mark = self.drive.at.source, self.drive.move.number, self.drive.mark
        async with source.transaction(isolation="read_committed"):
            await source.execute(_SET, f"{max(1, round(hold * 1000))}ms")
            await source.execute(_DRAIN, CLASS_GUARD, number)
            if await source.fetchval(_FENCE, number, self._mark, mark) is None:
                raise ShardproxyError(
                    f"shard {self.drive.move.source} does not know of move {number} any more"
                )
            fail_point("fence.drained")

    async def _holders(self) -> str:
        rows = await self.drive.at.source.fetch(_HOLDERS, CLASS_GUARD, self.drive.move.number)
        return "; ".join(
            f"pid {row['pid']}, {row['user']} ({row['name']}), {row['state']}, for {row['age']:.1f} s"
            for row in rows
        )

    async def _prepare(self) -> None:
        """Open beforehand what is needed in the pause."""
        await self._forget_snapshot()
        drive = self.drive
        self._keeper = await drive.at.helper(
            drive.move.target,
            application_name=snapshot_name(drive.move.number),
            settings={"client_connection_check_interval": "0"},
        )
        await self._open_replicas()

    async def _open_replicas(self) -> None:
        for shard in (self.drive.source, self.drive.target):
            if shard.name not in self._replicas:
                self._replicas[shard.name] = await self._connect_replicas(shard)

    async def _connect_replicas(self, shard: ShardSpec) -> list[asyncpg.Connection]:
        found = []
        for server in shard.replicas:
            try:
                found.append(await self.drive.at.replica(server))
            except FAULTS:
                # It is not waited for: it lacks more than this move if it should be promoted now.
                self.drive.tell(f"the replica {server.address} of shard {shard.name} cannot be reached")
        return found

    # -- arrive ------------------------------------------------------------------------------------------

    async def arrive(self) -> None:
        """Return when all that the source has acknowledged is on the target, and stays there. Raises
        TakenBack when that takes too long.
        """
        drive = self.drive
        try:
            async with asyncio.timeout_at(self._began + drive.options.max_pause):
                async with asyncio.TaskGroup() as group:
                    group.create_task(Stream(drive).arrival(self._mark, began=self._began, hurry=True))
                    group.create_task(self._reached(drive.source, self._written))
                fail_point("arrive.arrived")
                snapshot = await self._take_snapshot()
                await advance_sequences(drive)
                flushed = await drive.at.target.fetchval(_FLUSH)
                self.arrived = {"snapshot": snapshot, "position": flushed}
                await subscription.disable(drive.at.target, drive.name)
                await self._reached(drive.target, flushed)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        except TimeoutError:
            await self.take_back()
            raise TakenBack(
                f"move {drive.move.number}: the last changes were not on {drive.move.target} in time"
            ) from None

    async def _take_snapshot(self) -> dict[str, str]:
        """The target's state before anybody writes there; its session keeps it also if this process dies."""
        connection = self._keeper
        assert connection is not None
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        name, xids = await connection.fetchrow(_EXPORT)
        self._asleep = asyncio.create_task(connection.execute(f"SELECT pg_sleep({LONGEST_SNAPSHOT})"))
        return {"name": name, "xids": xids}

    async def make_safe(self) -> None:
        """Return when what the target has is on its disk, and on every replica that may be promoted."""
        await self._reached(self.drive.target, await self.drive.at.target.fetchval(_FLUSH))

    async def _reached(self, shard: ShardSpec, position: str) -> None:
        """Return when every replica of a shard, which may be promoted, has what its primary wrote up to
        there.
        """
        for connection in self._replicas.get(shard.name, ()):
            while not await connection.fetchval(_HAS, position):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(SHORTEST)

    # -- flip --------------------------------------------------------------------------------------------

    async def flip(self) -> None:
        """The commit point, unless it is behind us, in an earlier attempt; then the source says so too.

        Raises whatever maps.publish raises: nobody knows then whether it has happened, until the map is read.
        """
        drive = self.drive
        if not self._began:
            shard_map = await maps.read(drive.at.catalog)
            await tell_source(drive, shard_map.shard_epochs[drive.moving.target])
            return
        if drive.reverses is not None:  # what fences the rows on the target is the first move's
            await drive.at.target.execute(_OPEN, drive.reverses)
        why = f"move {drive.move.number}: on {drive.move.target} now: {named(drive.move.what)}"
        async with asyncio.timeout(COMMIT_WITHIN):
            shard_map = await maps.publish(
                drive.at.catalog, lambda shard_map: flipped(shard_map, drive.moving), why, drive.shards
            )
        pause = asyncio.get_running_loop().time() - self._began
        fail_point("flip.published")
        await tell_source(drive, shard_map.epoch)
        await drive.note(f"flipped in epoch {shard_map.epoch}", pause=round(pause, 4), tries=self.tries)
        drive.tell(f"{drive.move.target} owns the rows; they paused for {pause * 1000:.0f} ms")

    # -- the way back ------------------------------------------------------------------------------------

    async def take_back(self) -> None:
        """Give the rows back to their users on the source, and let the stream go on."""
        await take_back(self.drive)
        await self._forget_snapshot()

    async def close(self) -> None:
        """Let go of the session that keeps the snapshot. It lives on, for who goes on with the move."""
        if self._keeper is not None:
            self.drive.at.give_back(self._keeper)
            self._keeper = None
        if self._asleep is not None:
            with suppress(*FAULTS):
                await self._asleep
            self._asleep = None

    async def _forget_snapshot(self) -> None:
        self.arrived = {}
        await self.close()
        await end_others(self.drive.at.target, snapshot_name(self.drive.move.number))


async def take_back(drive: Drive) -> None:
    """Give fenced rows back to their users on the source; only before the flip. Sidecars hear of it as of a
    map.
    """
    if await drive.at.source.fetchval(_UNFENCE, drive.move.number) is not None:
        why = f"move {drive.move.number}: the cut-over is taken back"
        await maps.publish(drive.at.catalog, lambda shard_map: shard_map, why, {})


async def tell_source(drive: Drive, epoch: int) -> None:
    """Let the source say where the rows are."""
    await drive.at.source.execute(_MOVED, drive.move.number, epoch)


async def has_flipped(drive: Drive) -> bool:
    """Whether the commit point is behind us, by the map."""
    found = listed(await maps.read(drive.at.catalog), drive.move.number)
    return found is not None and found.moved

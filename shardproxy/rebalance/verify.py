"""The step ``verify``: what the target had at the cut-over is exactly what the source has kept.

The source's rows are frozen. The target's are compared as of the snapshot that was taken when the last change
had arrived and nobody else had written yet; writes go on meanwhile. Where that snapshot is lost (the target's
server was restarted), rows that were changed since are told apart by their transaction and set aside; a row
that is gone may have been deleted since, or lost, and counts as a difference.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from shardproxy.errors import ShardproxyError
from shardproxy.rebalance.connections import end_others, snapshot_name
from shardproxy.rebalance.drive import Drive
from shardproxy.rebalance.fail_points import fail_point
from shardproxy.rebalance.tables import MovingTable
from shardproxy.replication.quoting import identifier, literal

# Order does not matter to a sum; it is numeric, which cannot overflow.
_SUMS: Final = """
SELECT count(*) AS rows, COALESCE(sum(hashtextextended(r::text, 0)), 0)::text AS checksum
FROM (SELECT {columns} FROM {table} WHERE {condition}) AS r
"""
_ROWS: Final = """
SELECT hashtextextended(ROW({identity})::text, 0) AS key, hashtextextended(ROW({columns})::text, 0) AS content
FROM {table} WHERE {condition}
"""
# touched: by a transaction that was not there yet at the cut-over. xmin is the lower half of its number.
_ROWS_SINCE: Final = """
SELECT hashtextextended(ROW({identity})::text, 0) AS key,
       hashtextextended(ROW({columns})::text, 0) AS content,
       ({following} - (({following} - xmin::text::int8) & 4294967295)) >= {since} AS touched
FROM {table} WHERE {condition}
"""
_FOLLOWING: Final = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::int8"
_LOST: Final = (asyncpg.UndefinedObjectError, asyncpg.InvalidParameterValueError)


@dataclass(frozen=True, slots=True)
class Difference:
    """One table. ``missing``: rows of the source that the target does not have; ``wrong``: rows of the target
    that are not as they were on the source, and were not changed since.
    """

    table: str
    source_rows: int
    target_rows: int
    missing: int
    wrong: int


class VerificationFailed(ShardproxyError):
    """The two sides differ. Nothing was deleted; the target owns the rows, unless the move is offline, and
    the source still has its own.
    """

    sqlstate = "XX001"

    def __init__(self, drive: Drive, found: list[Difference], *, exact: bool) -> None:
        number, source, target = drive.move.number, drive.move.source, drive.move.target
        gone = "missing" if exact else "missing (deleted since, or lost)"
        super().__init__(
            f"move {number}: shard {target} does not have what shard {source} had at the cut-over",
            detail="\n".join(
                f"- {each.table}: {each.source_rows} rows on {source}, {each.target_rows} on {target}; there "
                f"{each.missing} are {gone} and {each.wrong} are wrong"
                for each in found
            ),
            hint=_before(drive) if drive.options.offline else _after(drive),
        )
        self.found = tuple(found)


def _before(drive: Drive) -> str:
    return (
        f"{drive.move.source} owns the rows as before. Find out who else writes there, and then go on with: "
        f"shardproxy moves resume {drive.move.number}"
    )


def _after(drive: Drive) -> str:
    return (
        f"Nothing was deleted: {drive.move.source} keeps its rows, {drive.move.target} owns them. Compare "
        f"and mend them, and go on with: shardproxy moves resume {drive.move.number} --accept-differences"
    )


async def verify(drive: Drive) -> None:
    """Compare every table. Raises VerificationFailed, unless they are accepted."""
    theirs = await drive.at.helper(drive.move.source)
    mine = await drive.at.helper(drive.move.target)
    snapshot: dict[str, Any] = drive.move.facts.get("snapshot") or {}
    exact = await _adopt(mine, snapshot) or drive.options.offline  # nobody writes there yet
    found: list[Difference] = []
    rows = 0
    async with theirs.transaction(isolation="repeatable_read", readonly=True):
        for table in drive.tables:
            sums = await asyncio.gather(_sums(theirs, table), _sums(mine, table))
            rows += sums[0][0]
            drive.tell(f"comparing {table.label}", rows=rows, total_rows=drive.move.facts.get("rows"))
            fail_point("verify.table")
            if sums[0] != sums[1]:
                since = None if exact else _since(snapshot)
                difference = await _compare(theirs, mine, table, since)
                if exact or difference.missing or difference.wrong:
                    found.append(difference)
    drive.at.give_back(theirs, mine)
    if found and not drive.accept_differences:
        raise VerificationFailed(drive, found, exact=exact)
    how = "differences were accepted" if found else "exact" if exact else "without what was changed since"
    await drive.note(f"verified {rows} rows: {how}", verified=how, verified_rows=rows)
    await end_others(drive.at.target, snapshot_name(drive.move.number))


async def _adopt(connection: asyncpg.Connection, snapshot: dict[str, Any]) -> bool:
    """Begin a transaction that sees the target as of the cut-over; or, if that is lost, as it is now:
    False.
    """
    for _ in range(2):
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if not snapshot.get("name"):
            return False
        try:
            await connection.execute(f"SET TRANSACTION SNAPSHOT {literal(snapshot['name'])}")
        except _LOST:
            await connection.execute("ROLLBACK")
            snapshot = {}
        else:
            return True
    return False


def _since(snapshot: dict[str, Any]) -> int:
    """The first transaction after the snapshot whose text (pg_snapshot's) was kept; all, if none was."""
    xids = str(snapshot.get("xids") or "")
    return int(xids.split(":")[1]) if xids else 0


async def _sums(connection: asyncpg.Connection, table: MovingTable) -> tuple[int, str]:
    row = await connection.fetchrow(
        _SUMS.format(columns=table.column_list, table=table.sql, condition=table.condition)
    )
    return row["rows"], row["checksum"]


async def _compare(
    theirs: asyncpg.Connection, mine: asyncpg.Connection, table: MovingTable, since: int | None
) -> Difference:
    """Row by row; rows of the target that transactions from ``since`` on have written are set aside."""
    words = {
        "identity": ", ".join(map(identifier, table.identity)),
        "columns": table.column_list,
        "table": table.sql,
        "condition": table.condition,
    }
    left: dict[int, int] = {}
    async for row in theirs.cursor(_ROWS.format(**words), prefetch=5000):
        left[row["key"]] = row["content"]
    source_rows, target_rows, wrong = len(left), 0, 0
    query = _ROWS.format(**words)
    if since is not None:
        following = await mine.fetchval(_FOLLOWING)
        query = _ROWS_SINCE.format(**words, since=since, following=following)
    async for row in mine.cursor(query, prefetch=5000):
        target_rows += 1
        was = left.pop(row["key"], None)
        if was != row["content"] and not (since is not None and row["touched"]):
            wrong += 1
    return Difference(table.label, source_rows, target_rows, len(left), wrong)

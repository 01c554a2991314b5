"""The stream of changes from the source to the target: is it there, and how late is it?"""

import asyncio
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from shardproxy.errors import ShardproxyError
from shardproxy.rebalance.drive import Drive
from shardproxy.replication import publication, slot, subscription

SHORTEST: Final = 0.001
LONGEST: Final = 0.02
"""Seconds between two looks for a mark; the pauses grow."""

CHECK_EVERY: Final = 0.5
"""Seconds between two looks at the stream's health while a mark does not come."""

REPAIRS: Final = 5
"""How often a subscription that disabled itself is enabled again before a mark arrives."""

_MARK: Final = "INSERT INTO shardproxy.marker (move, mark) VALUES ($1, $2)"
_FORGET: Final = "DELETE FROM shardproxy.marker WHERE move = $1"
_ARRIVED: Final = "SELECT EXISTS (SELECT FROM shardproxy.marker WHERE move = $1 AND mark = $2)"


class StreamLost(ShardproxyError):
    """The slot, the publication or the subscription is not there, or the slot has lost what it needs: the
    copy has to begin anew.
    """

    sqlstate = "55000"


class ApplyFailed(ShardproxyError):
    """The target's server cannot apply the changes."""

    sqlstate = "55000"

    def __init__(self, target: str) -> None:
        super().__init__(
            f"shard {target} cannot apply the changes that come from the source",
            hint="Its log says which row and why. Mend it and resume the move, or abort it.",
        )


@dataclass(slots=True)
class Stream:
    """The stream of one move. Mutable: ``_repairs``, how often it was enabled since a mark arrived."""

    drive: Drive
    _repairs: int = 0

    async def check(self) -> int:
        """Enable it if it is disabled; bytes of WAL on the source that are not confirmed yet.

        Raises StreamLost and ApplyFailed.
        """
        drive = self.drive
        made = await slot.look(drive.at.source, drive.slot)
        state = await subscription.look(drive.at.target, drive.name)
        if made is None or state is None or not await publication.exists(drive.at.source, drive.name):
            raise StreamLost(f"the stream of move {drive.move.number} is not there any more")
        if not made.usable:
            raise StreamLost(
                f'slot "{drive.slot}" has lost WAL that it needs', hint="Raise max_slot_wal_keep_size."
            )
        if not state.enabled:
            self._repairs += 1
            if self._repairs > REPAIRS:
                raise ApplyFailed(drive.move.target)
            await subscription.enable(drive.at.target, drive.name)
        return made.behind

    async def lag(self) -> float:
        """Seconds that a change needs now from the source's commit to the target's."""
        drive, mark = self.drive, uuid4()
        clock = asyncio.get_running_loop().time
        await drive.at.source.execute(_MARK, drive.mark, mark)
        began = clock()
        await self.arrival(mark, began=began)
        lag = clock() - began
        await drive.at.source.execute(_FORGET, drive.mark)
        return lag

    async def arrival(self, mark: UUID, *, began: float, hurry: bool = False) -> None:
        """Return when a mark is on the target that was made at ``began``. In a ``hurry`` it is looked for
        without pauses worth the name. Raises StreamLost and ApplyFailed.
        """
        drive = self.drive
        clock = asyncio.get_running_loop().time
        pause, check = SHORTEST, clock() + CHECK_EVERY
        while not await drive.at.target.fetchval(_ARRIVED, drive.mark, mark):
            now = clock()
            if now > check:
                behind = await self.check()
                check = now + CHECK_EVERY
                drive.tell("waiting for the stream", lag=now - began, lag_bytes=behind)
            await asyncio.sleep(pause)
            pause = SHORTEST if hurry else min(LONGEST, pause * 1.3)
        self._repairs = 0

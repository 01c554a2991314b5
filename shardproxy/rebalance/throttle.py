"""Keeping copies and deletions below a rate."""

import asyncio


class Throttle:
    """At most ``rows`` and ``bytes`` a second, 0 for no limit, over all who share it.

    Mutable: ``_free``, when the next piece may go, in the loop's time.
    """

    def __init__(self, rows: int = 0, bytes: int = 0) -> None:
        self._rows = rows
        self._bytes = bytes
        self._free = 0.0

    async def take(self, rows: float = 0, bytes: int = 0) -> None:
        """Wait until that many may go."""
        seconds = max(
            rows / self._rows if self._rows else 0.0,
            bytes / self._bytes if self._bytes else 0.0,
        )
        if not seconds:
            return
        now = asyncio.get_running_loop().time()
        wait = self._free - now
        self._free = max(now, self._free) + seconds
        if wait > 0:
            await asyncio.sleep(wait)

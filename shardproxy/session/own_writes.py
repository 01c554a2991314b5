"""When a session last wrote on each shard, so that its causal reads see that.

The monitor knows up to which time a replica has all that its primary acknowledged (``ServerState.complete``).
So a session needs to remember a time only, and nothing is asked of a server.
"""


class OwnWrites:
    """``since`` stands in for the shards of which nothing is known: what was written before counts there.

    Mutable: ``_latest``, the event loop's time of the last answer to what may have written, by shard's name.
    """

    __slots__ = ("_latest", "_since")

    def __init__(self, since: float | None = None) -> None:
        self._since = since
        self._latest: dict[str, float] = {}

    def note(self, shard: str, now: float) -> None:
        """The session may have written there up to ``now``."""
        self._latest[shard] = now

    def on(self, shard: str) -> float | None:
        """The time of the last write there; None: it has not written."""
        return self._latest.get(shard, self._since)

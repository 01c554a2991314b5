"""Waiting for a newer shard map: what statements do whose rows are moving at this moment."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from shardproxy.errors import RouteAgain

if TYPE_CHECKING:
    from shardproxy.session.session import Session


class MapNews:
    """Who waits for a newer map. ``hurry`` asks the catalog for it; ``waiting`` are those who wait."""

    def __init__(self) -> None:
        self.hurry: Callable[[], None] = lambda: None
        self.waiting: set[asyncio.Future[None]] = set()

    def published(self) -> None:
        """There is a newer map."""
        waiting, self.waiting = self.waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)


async def newer_map(session: "Session", epoch: int) -> None:
    """Return when a map newer than ``epoch`` is in force.

    Raises RouteAgain when there is none after ``move_wait`` seconds, and what cancels the session's wait.
    """
    shared, link = session.shared, session.link
    news = shared.news
    while shared.shard_map.epoch <= epoch:
        future: asyncio.Future[None] = session.loop.create_future()
        news.waiting.add(future)
        news.hurry()
        timer = session.loop.call_later(shared.options.move_wait, _give_up, future)
        link.waiting = future
        try:
            await future
        finally:
            link.waiting = None
            timer.cancel()
            news.waiting.discard(future)


def _give_up(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_exception(RouteAgain())

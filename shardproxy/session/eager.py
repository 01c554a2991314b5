"""Work that most often is done at once, and now and then has to wait.

Most requests never wait: their plan is cached and a connection is idle. A coroutine for each would cost as
much as the request, and a task more. So what may have to wait is a plain function that gives its result, or
a coroutine for the rest (:data:`Outcome`). A coroutine that waits for a place in a pool's queue is continued
by who frees a connection; at any other wait it becomes a task (:class:`Work`). Until then it runs inside of
others, so ``asyncio.current_task()`` (and with it ``asyncio.timeout``) must not be used before that.
"""

import asyncio
import logging
import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any

from shardproxy.backend.place import Place

Outcome = bool | Coroutine[Any, Any, bool]
"""Whether a request was answered, or what has to be awaited to know: exactly once, else it never happens."""

log = logging.getLogger(__name__)


async def settled(outcome: Outcome) -> bool:
    """Wait for an outcome, if need be."""
    return outcome if isinstance(outcome, bool) else await outcome


class Work:
    """The work of one coroutine. ``on_end`` is told of its end, unless that comes in :meth:`begin`.

    ``_runs``: the coroutine is not waiting now. ``_stops``: it was cancelled meanwhile.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, None], on_end: "Callable[[Work], object]") -> None:
        self._coroutine = coroutine
        self._on_end = on_end
        self._task: asyncio.Task[None] | None = None
        self._ended = False
        self._runs = False
        self._stops = False

    @property
    def ended(self) -> bool:
        """It has come to its end, of which ``on_end`` may not have been told yet."""
        return self._ended or (self._task is not None and self._task.done())

    def begin(self) -> bool:
        """Run the coroutine up to its first wait. True: it has come to its end."""
        self._runs = True
        try:
            waited_for = self._coroutine.send(None)
        except BaseException as error:
            self._ended = True
            if isinstance(error, StopIteration):
                return True
            raise
        finally:
            self._runs = False
        if self._stops:
            self._ended = True
            _abandon(self._coroutine)
        elif isinstance(waited_for, Place):
            waited_for.wake = self._go_on
        else:
            self._become_task(waited_for)
        return self._ended

    def _go_on(self) -> None:
        try:
            self.begin()
        except Exception:  # nothing of it may reach whoever freed the connection
            log.exception("internal error in a session")
        if self._ended:
            self._on_end(self)

    def _become_task(self, waited_for: Any) -> None:
        rest = _Rest(self._coroutine, waited_for)
        self._task = asyncio.get_running_loop().create_task(rest.run())
        self._task.add_done_callback(rest.ended)
        self._task.add_done_callback(lambda _: self._on_end(self))

    def cancel(self) -> None:
        """Throw CancelledError into the coroutine where it waits, or will wait next."""
        if self._task is not None:
            self._task.cancel()
        elif self._runs:
            self._stops = True
        elif not self._ended:
            self._ended = True
            _abandon(self._coroutine)


class _Rest:
    """The rest of ``coroutine``, which has just yielded ``waited_for``, as a coroutine for a task.

    ``begun``: the task has run, and tells ``coroutine`` of everything.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, None], waited_for: Any) -> None:
        self.coroutine = coroutine
        self.waited_for = waited_for
        self.begun = False

    async def run(self) -> None:
        self.begun = True
        await self._pass_on()

    @types.coroutine
    def _pass_on(self) -> Generator[Any, Any, None]:
        coroutine, waited_for = self.coroutine, self.waited_for
        value: Any = None
        while True:
            try:
                if isinstance(waited_for, Place):
                    yield from _end_of(waited_for)
                else:
                    value = yield waited_for
            except GeneratorExit:
                coroutine.close()
                raise
            except BaseException as error:  # cancellation, or the failure of what was waited for
                try:
                    waited_for = coroutine.throw(error)
                except StopIteration:
                    return
            else:
                try:
                    waited_for = coroutine.send(value)
                except StopIteration:
                    return

    def ended(self, task: "asyncio.Task[None]") -> None:
        """Cancelled before its first step, the task has not told ``coroutine``: what that waits for would
        come to nobody.
        """
        if not self.begun:
            if self.waited_for is not None:
                self.waited_for.cancel()
            _abandon(self.coroutine)


def _end_of(place: Place) -> "asyncio.Future[None]":
    """A future, which a task can wait for, for the end of ``place``."""
    end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    place.wake = lambda: None if end.done() else end.set_result(None)
    return end


def _abandon(coroutine: Coroutine[Any, Any, None]) -> None:
    """Cancel a coroutine that waits, of which no task knows."""
    with suppress(asyncio.CancelledError, StopIteration):
        coroutine.throw(asyncio.CancelledError())
    coroutine.close()

"""Running a coroutine at once, and as a task only if it has to wait.

Most requests never wait: their plan is cached and a connection is idle. A task for each would cost more
than the request. Until its first real wait the coroutine runs inside the caller, so
``asyncio.current_task()`` (and with it ``asyncio.timeout``) must not be used before that.
"""

import asyncio
import inspect
import types
from collections.abc import Coroutine, Generator
from contextlib import suppress
from typing import Any


@types.coroutine
def _rest(coroutine: Coroutine[Any, Any, None], waited_for: Any) -> Generator[Any, Any, None]:
    """The rest of ``coroutine``, which has just yielded ``waited_for``."""
    while True:
        try:
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


async def _as_coroutine(coroutine: Coroutine[Any, Any, None], waited_for: Any) -> None:
    await _rest(coroutine, waited_for)


def start(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
    """Run ``coroutine`` up to its first wait; None if it finished, else the task that runs its rest."""
    try:
        waited_for = coroutine.send(None)
    except StopIteration:
        return None
    task = asyncio.get_running_loop().create_task(_as_coroutine(coroutine, waited_for))
    task.add_done_callback(lambda _: _cancel(coroutine, waited_for))
    return task


def _cancel(coroutine: Coroutine[Any, Any, None], waited_for: Any) -> None:
    """A task that was cancelled before its first step has not told ``coroutine``: what it waits for would
    come to nobody.
    """
    if inspect.getcoroutinestate(coroutine) != inspect.CORO_SUSPENDED:
        return
    if waited_for is not None:
        waited_for.cancel()
    with suppress(asyncio.CancelledError, StopIteration):
        coroutine.throw(asyncio.CancelledError())
    coroutine.close()

"""Ctrl-C and SIGTERM: both end what runs by KeyboardInterrupt, wherever it is."""

import asyncio
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import Any, Final, TypeVar

T = TypeVar("T")

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def catch() -> None:
    """From now on either signal raises KeyboardInterrupt (SIGINT too: a shell starts background jobs
    without it).
    """
    for number in _SIGNALS:
        signal.signal(number, _raise)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run``, in which a signal cancels the coroutine. :raises KeyboardInterrupt: it was cancelled.

    An exception that a signal raised in the middle of a driver's callback would be lost there, and the
    coroutine would wait for ever for what the callback was about to bring.
    """
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(coroutine)

        def cancel(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(task.cancel)

        before = {number: signal.signal(number, cancel) for number in _SIGNALS}
        try:
            return loop.run_until_complete(task)
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _raise(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt

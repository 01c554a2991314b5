"""Ctrl-C while coroutines run."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest

from shardproxy.demo import interrupt

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The program's handlers for a test, and those of pytest afterwards."""
    before = [signal.getsignal(number) for number in SIGNALS]
    interrupt.catch()
    yield
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_a_callback_that_loses_exceptions_ends_the_coroutine(number: signal.Signals) -> None:
    cleaned = []

    def callback() -> None:  # as the compiled callbacks of drivers do
        with suppress(BaseException):
            os.kill(os.getpid(), number)

    async def waits() -> None:
        asyncio.get_running_loop().call_soon(callback)
        try:
            async with asyncio.timeout(10):
                await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    with pytest.raises(KeyboardInterrupt):
        interrupt.run(waits())
    assert cleaned == [True]


def test_outside_of_coroutines_a_signal_raises_before_and_after() -> None:
    async def answers() -> int:
        return 7

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        assert interrupt.run(answers()) == 7

"""Runs one coroutine of a test to its end, on uvloop as the proxy does."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T], timeout: float = 30.0) -> T:
    """The coroutine's result. TimeoutError after ``timeout`` seconds; tasks left over are cancelled."""

    async def limited() -> T:
        async with asyncio.timeout(timeout):
            return await coroutine

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(limited())

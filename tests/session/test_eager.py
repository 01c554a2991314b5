"""A coroutine runs at once, becomes a task only when it waits, and is told when that task is cancelled."""

import asyncio

import pytest

from shardproxy.session.eager import start
from tests.support import aio


async def waits(place: "asyncio.Future[int]", log: list[object]) -> None:
    log.append("begun")
    try:
        log.append(await place)
    except BaseException as error:
        log.append(type(error))
        raise
    finally:
        log.append("ended")


def test_what_does_not_wait_is_done_at_once() -> None:
    async def at_once(log: list[object]) -> None:
        log.append("done")

    async def scene() -> None:
        log: list[object] = []
        assert start(at_once(log)) is None
        assert log == ["done"]

    aio.run(scene())


def test_what_waits_goes_on_in_a_task() -> None:
    async def scene() -> None:
        log: list[object] = []
        place: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        task = start(waits(place, log))
        assert task is not None
        assert log == ["begun"]
        place.set_result(7)
        await task
        assert log == ["begun", 7, "ended"]

    aio.run(scene())


@pytest.mark.parametrize("outcome", [None, 7])
@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_cancelled_task_leaves_nobody_in_the_queue(steps: int, outcome: int | None) -> None:
    """Cancelled before its first step or later, with what it waits for come or not."""

    async def scene() -> None:
        log: list[object] = []
        place: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        task = start(waits(place, log))
        assert task is not None
        for _ in range(steps):
            await asyncio.sleep(0)
        if outcome is not None:
            place.set_result(outcome)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0)
        assert log == ["begun", asyncio.CancelledError, "ended"]
        assert place.done()

    aio.run(scene())


def test_an_error_is_the_tasks() -> None:
    async def scene() -> None:
        place: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        task = start(waits(place, []))
        assert task is not None
        place.set_exception(KeyError("why"))
        with pytest.raises(KeyError):
            await task

    aio.run(scene())

"""A coroutine runs at once, goes on when its place in a queue has come, and becomes a task at any other wait."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shardproxy.backend.connection import ServerConnection
from shardproxy.backend.place import Place
from shardproxy.errors import ShardproxyError
from shardproxy.session.eager import Work
from tests.support import aio

Log = list[object]


class Queue:
    """A pool as its places see it."""

    name = "a pool"

    def __init__(self) -> None:
        self.forgotten: list[Place] = []
        self.released: list[ServerConnection] = []

    def forget_place(self, place: Place) -> None:
        self.forgotten.append(place)

    def release(self, connection: ServerConnection) -> None:
        self.released.append(connection)

    def place(self) -> Place:
        return Place(self, 0.0)  # type: ignore[arg-type]


def a_connection() -> ServerConnection:
    return ServerConnection(1, b"", {}, None)


async def waits(what: Awaitable[Any], log: Log) -> None:
    log.append("begun")
    try:
        log.append(await what)
    except BaseException as error:
        log.append(type(error))
        raise
    finally:
        log.append("ended")


async def waits_twice(
    first: Awaitable[Any], second: Awaitable[Any], log: Log, at_second: asyncio.Event
) -> None:
    await waits(first, log)
    at_second.set()
    await waits(second, log)


def future() -> "asyncio.Future[int]":
    return asyncio.get_running_loop().create_future()


def begun(coroutine: Any, log: Log) -> tuple[Work, asyncio.Event]:
    """``coroutine`` at its first wait, and the event of its end."""
    told = asyncio.Event()

    def on_end(work: Work) -> None:
        log.append(work)
        told.set()

    work = Work(coroutine, on_end)
    assert not work.begin()
    return work, told


def in_a_loop(scene: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await scene()

    aio.run(main())


def test_what_does_not_wait_is_done_at_once() -> None:
    async def at_once(log: Log) -> None:
        log.append("done")

    async def scene() -> None:
        log: Log = []
        assert Work(at_once(log), log.append).begin()
        assert log == ["done"]

    in_a_loop(scene)


def test_what_has_its_place_in_a_queue_goes_on_inside_of_who_frees_a_connection() -> None:
    async def scene() -> None:
        log: Log = []
        place, connection = Queue().place(), a_connection()
        work, _ = begun(waits(place, log), log)
        assert log == ["begun"]
        place.end(connection, None)
        assert log == ["begun", connection, "ended", work]
        assert len(asyncio.all_tasks()) == 1

    in_a_loop(scene)


def test_who_frees_a_connection_never_meets_the_errors_of_who_gets_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene() -> None:
        log: Log = []
        place = Queue().place()
        work, _ = begun(waits(place, log), log)
        place.set_exception(ShardproxyError("enough"))
        assert log == ["begun", ShardproxyError, "ended", work]
        assert "internal error" in caplog.text

    in_a_loop(scene)


@pytest.mark.parametrize("has_come", [False, True])
def test_cancelled_in_the_queue_it_leaves_its_place(has_come: bool) -> None:
    async def scene() -> None:
        log: Log = []
        queue, connection = Queue(), a_connection()
        place = queue.place()
        work, _ = begun(waits(place, log), log)
        if has_come:
            place.wake = None
            place.end(connection, None)
        work.cancel()
        assert log == ["begun", asyncio.CancelledError, "ended"]
        assert queue.released == ([connection] if has_come else [])
        assert queue.forgotten == ([] if has_come else [place])
        place.leave()
        work.cancel()
        assert len(queue.released + queue.forgotten) == 1, "once is enough"

    in_a_loop(scene)


def test_cancelled_by_itself_it_ends_at_its_next_wait() -> None:
    async def scene() -> None:
        log: Log = []
        queue = Queue()
        place = queue.place()

        async def gives_up() -> None:
            work.cancel()
            await waits(place, log)

        work = Work(gives_up(), log.append)
        assert work.begin()
        assert log == ["begun", asyncio.CancelledError, "ended"]
        assert queue.forgotten == [place]

    in_a_loop(scene)


def test_what_waits_for_anything_else_goes_on_in_a_task() -> None:
    async def scene() -> None:
        log: Log = []
        place = future()
        work, told = begun(waits(place, log), log)
        assert log == ["begun"]
        place.set_result(7)
        await told.wait()
        assert work.ended
        assert log == ["begun", 7, "ended", work]

    in_a_loop(scene)


@pytest.mark.parametrize("come", [True, False])
def test_in_a_task_it_has_its_place_in_a_queue_too(come: bool) -> None:
    async def scene() -> None:
        log: Log = []
        queue, connection = Queue(), a_connection()
        first, place = future(), queue.place()
        at_second = asyncio.Event()
        work, told = begun(waits_twice(first, place, log, at_second), log)
        first.set_result(7)
        await at_second.wait()
        if come:
            place.end(connection, None)
        else:
            work.cancel()
        await told.wait()
        assert work.ended
        last = connection if come else asyncio.CancelledError
        assert log == ["begun", 7, "ended", "begun", last, "ended", work]
        assert queue.forgotten == ([] if come else [place])

    in_a_loop(scene)


@pytest.mark.parametrize("outcome", [None, 7])
@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_cancelled_task_leaves_nobody_in_the_queue(steps: int, outcome: int | None) -> None:
    """Cancelled before its first step or later, with what it waits for come or not."""

    async def scene() -> None:
        log: Log = []
        place = future()
        work, told = begun(waits(place, log), log)
        for _ in range(steps):
            await asyncio.sleep(0)
        if outcome is not None:
            place.set_result(outcome)
        work.cancel()
        await told.wait()
        assert work.ended
        assert log == ["begun", asyncio.CancelledError, "ended", work]
        assert place.done()

    in_a_loop(scene)

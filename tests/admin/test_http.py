"""The HTTP server over real sockets: what it answers, what it refuses, and that it always lets go."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from shardproxy.admin import http, pages
from shardproxy.admin.http import HttpOptions, HttpServer
from shardproxy.admin.pages import Answer, Page
from shardproxy.admin.status import Status
from tests.admin.moments import moment
from tests.support import aio


class Source:
    """A proxy that always shows the same moment."""

    def status(self) -> Status:
        return moment()


@asynccontextmanager
async def served(options: HttpOptions | None = None) -> AsyncIterator[HttpServer]:
    server = HttpServer(Source(), options)
    await server.start("127.0.0.1", 0)
    try:
        yield server
    finally:
        await server.stop()


def exchange(request: bytes, options: HttpOptions | None = None) -> tuple[int, dict[str, str], bytes]:
    """Send ``request``; status, fields and body of all that comes until the server closes."""

    async def once() -> bytes:
        async with served(options) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request)
            answer = await reader.read()
            writer.close()
            return answer

    head, _, body = aio.run(once()).partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    return int(line.split()[1]), dict(field.split(": ", 1) for field in fields), body


def get(path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    return exchange(f"{method} {path} HTTP/1.1\r\nHost: sidecar\r\n\r\n".encode())


@pytest.mark.parametrize("path", list(pages.PAGES))
def test_every_page_is_served_whole_and_the_connection_closed(path: str) -> None:
    status, fields, body = get(path)
    assert status == 200
    assert int(fields["Content-Length"]) == len(body) > 0
    assert fields["Connection"] == "close"
    assert fields["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", list(pages.PAGES))
def test_head_is_get_without_the_body(path: str) -> None:
    status, fields, body = get(path, "HEAD")
    assert (status, body) == (200, b"")
    assert int(fields["Content-Length"]) > 0


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /healthz?verbose=1 HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
        (b"GET http://sidecar:9187/healthz HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 200),
        (b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"GET /metrics/ HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"GET /../healthz HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"DELETE /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n", 400),
        (b"GET  /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /healthz\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431),
        (b"x" * 1_000_000, 431),
    ],
)
def test_status_of_good_and_bad_requests(request_: bytes, status: int) -> None:
    assert exchange(request_)[0] == status


def test_a_refused_method_is_told_which_are_allowed() -> None:
    assert get("/metrics", "POST")[1]["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: a\r\n"])
def test_a_client_that_does_not_finish_its_request_is_let_go(sent: bytes) -> None:
    async def wait_for_the_end() -> bytes:
        async with served(HttpOptions(timeout=0.2)) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(sent)
            answer = b""
            try:
                answer = await reader.read()
            except ConnectionResetError:
                pass
            writer.close()
            return answer

    assert aio.run(wait_for_the_end(), timeout=5.0) == b""


def test_a_client_that_leaves_in_the_middle_harms_nobody() -> None:
    async def leave_and_ask_again() -> bytes:
        async with served() as server:
            _, leaving = await asyncio.open_connection("127.0.0.1", server.port)
            leaving.write(b"GET /metr")
            leaving.transport.abort()
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
            answer = await reader.read()
            writer.close()
            return answer

    assert aio.run(leave_and_ask_again()).endswith(b"ok\n")


def test_above_the_limit_of_connections_new_ones_are_closed_and_old_ones_served() -> None:
    async def crowd() -> tuple[bytes, bytes]:
        async with served(HttpOptions(max_connections=1)) as server:
            first_reader, first = await asyncio.open_connection("127.0.0.1", server.port)
            first.write(b"GET /healthz ")
            reader, second = await asyncio.open_connection("127.0.0.1", server.port)
            refused = b""
            try:
                refused = await reader.read()
            except ConnectionResetError:
                pass
            first.write(b"HTTP/1.0\r\n\r\n")
            answer = await first_reader.read()
            first.close()
            second.close()
            return refused, answer

    refused, answer = aio.run(crowd())
    assert refused == b""
    assert answer.endswith(b"ok\n")


@pytest.fixture
def slow_page(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """A page "/slow" that is being made from the first event to the second."""
    began, may_end = threading.Event(), threading.Event()

    def make(status: Status) -> Answer:
        began.set()
        may_end.wait(10)
        return pages.healthz(status)

    monkeypatch.setattr(http, "PAGES", {**pages.PAGES, "/slow": Page(make, slow=True)})
    return began, may_end


async def ask(server: HttpServer, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    try:
        return await reader.read()
    finally:
        writer.close()


def test_a_slow_page_does_not_hold_up_the_others(slow_page: tuple[threading.Event, threading.Event]) -> None:
    began, may_end = slow_page

    async def look() -> None:
        async with served() as server:
            slow = asyncio.create_task(ask(server, "/slow"))
            await asyncio.to_thread(began.wait, 10)
            assert (await ask(server, "/healthz")).endswith(b"ok\n")
            assert not slow.done()
            may_end.set()
            assert (await slow).endswith(b"ok\n")

    aio.run(look())


def test_stop_ends_connections_in_every_state(slow_page: tuple[threading.Event, threading.Event]) -> None:
    began, may_end = slow_page

    async def look() -> None:
        server = HttpServer(Source())
        await server.start("127.0.0.1", 0)
        port = server.port
        _, silent = await asyncio.open_connection("127.0.0.1", port)
        slow = asyncio.create_task(ask(server, "/slow"))
        await asyncio.to_thread(began.wait, 10)
        async with asyncio.timeout(5):
            await server.stop()
            await server.stop()
        await asyncio.wait((slow,), timeout=5)
        assert slow.done()
        slow.exception()
        silent.close()
        may_end.set()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises(RuntimeError):
            _ = server.port

    aio.run(look())


def test_an_address_in_use_is_an_error() -> None:
    async def twice(second: Callable[[], HttpServer]) -> None:
        async with served() as server:
            with pytest.raises(OSError, match="in use"):
                await second().start("127.0.0.1", server.port)

    aio.run(twice(lambda: HttpServer(Source())))

"""A small HTTP/1.1 server for GET and HEAD of a few pages: one request a connection, everything bounded.

It faces whoever reaches its address, so it reads at most ``max_header`` bytes, waits at most ``timeout``
seconds for a request and for its answer to be taken, ignores bodies, and closes. (RFC 9112; status codes
of RFC 9110)
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from shardproxy.admin.pages import PAGES, Answer, plain
from shardproxy.admin.status import StatusSource

END_OF_HEADER: Final = b"\r\n\r\n"
LINGER: Final = 1.0
"""Seconds to wait for the client to close first, so that a reset does not overtake the answer."""


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """Bytes of a request's header; seconds for a request with its answer; connections at a time."""

    max_header: int = 8192
    timeout: float = 10.0
    max_connections: int = 64


class _BadRequest(Exception):
    """The request is answered with ``status`` instead of a page."""

    def __init__(self, status: HTTPStatus, **headers: str) -> None:
        super().__init__(status.phrase)
        self.status = status
        self.headers = headers


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str


class HttpServer:
    """Serves the pages of :mod:`shardproxy.admin.pages`.

    Mutable: ``_server`` listens, None while stopped; ``_connections`` are the tasks that each serve one.
    Pages that take long are made in ``_thread``, one at a time.
    """

    def __init__(self, source: StatusSource, options: HttpOptions | None = None) -> None:
        self._source = source
        self._options = options or HttpOptions()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._thread: ThreadPoolExecutor | None = None

    @property
    def port(self) -> int:
        """The TCP port it listens on, also when the system chose it. :raises RuntimeError: it is stopped."""
        if self._server is None:
            raise RuntimeError("the HTTP server is stopped")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 lets the system choose. :raises OSError: the address cannot be had."""
        self._server = await asyncio.start_server(self._connected, host, port, limit=self._options.max_header)
        self._thread = ThreadPoolExecutor(1, "metrics")

    async def stop(self) -> None:
        """Stop listening and end every connection. Idempotent."""
        server, self._server = self._server, None
        thread, self._thread = self._thread, None
        if server is not None:
            server.close()
        for connection in self._connections:
            connection.cancel()
        if self._connections:
            await asyncio.wait(self._connections)
        if thread is not None:
            thread.shutdown(wait=False, cancel_futures=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if len(self._connections) <= self._options.max_connections:
                with suppress(OSError, TimeoutError):
                    async with asyncio.timeout(self._options.timeout):
                        await self._serve(reader, writer)
        except asyncio.CancelledError:  # by stop(); the streams would report it as an error
            pass
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with_body = True
        try:
            request = _parsed(await _header(reader))
            with_body = request.method != "HEAD"
            answer = await self._answer(request)
        except _BadRequest as bad:
            answer = plain(bad.status, bad.status.phrase, headers=bad.headers)
        except asyncio.IncompleteReadError:
            return
        writer.write(_encoded(answer, with_body=with_body))
        await writer.drain()
        writer.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while await reader.read(65_536):
                    pass

    async def _answer(self, request: _Request) -> Answer:
        page = PAGES.get(request.path)
        if page is None:
            raise _BadRequest(HTTPStatus.NOT_FOUND)
        if request.method not in ("GET", "HEAD"):
            raise _BadRequest(HTTPStatus.METHOD_NOT_ALLOWED, Allow="GET, HEAD")
        status = self._source.status()
        if not page.slow:
            return page.make(status)
        return await asyncio.get_running_loop().run_in_executor(self._thread, page.make, status)


async def _header(reader: asyncio.StreamReader) -> str:
    try:
        header = await reader.readuntil(END_OF_HEADER)
    except asyncio.LimitOverrunError:
        raise _BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE) from None
    return header.removesuffix(END_OF_HEADER).decode("latin-1")


def _parsed(header: str) -> _Request:
    """The request line; of the fields only whether they are fields, and whether 1.1 has its Host."""
    line, *fields = header.split("\r\n")
    words = line.split(" ")
    if len(words) != 3 or not words[0].isalpha():
        raise _BadRequest(HTTPStatus.BAD_REQUEST)
    method, target, version = words
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        if version.startswith("HTTP/"):
            raise _BadRequest(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
        raise _BadRequest(HTTPStatus.BAD_REQUEST)
    names = [field.partition(":")[0].lower() for field in fields]
    if not all(":" in field for field in fields) or (version == "HTTP/1.1" and names.count("host") != 1):
        raise _BadRequest(HTTPStatus.BAD_REQUEST)
    if target.startswith("http://"):  # the absolute form, which a server must understand
        target = "/" + target.removeprefix("http://").partition("/")[2]
    return _Request(method, target.partition("?")[0])


def _encoded(answer: Answer, *, with_body: bool) -> bytes:
    fields = {
        "Content-Type": answer.content_type,
        "Content-Length": str(len(answer.body)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        "Connection": "close",
        **answer.headers,
    }
    head = f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return head.encode("latin-1") + b"\r\n" + (answer.body if with_body else b"")

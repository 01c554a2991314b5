"""A client that sends protocol messages as a test writes them, and reads the answers as a transcript.

It knows no driver's habits: what is sent is what the test says, and everything that comes back is seen.
"""

import socket
import struct
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from shardproxy.secret import Secret
from shardproxy.wire import client_messages as client
from shardproxy.wire.frames import FrameReader
from shardproxy.wire.login import LoginOptions, login_script
from shardproxy.wire.server_messages import parse_parameter_status
from tests.support import transcript

Message = tuple[int, bytes]
CLOSED = "connection closed"
TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Step:
    """Messages to send at once, and where to stop reading: after these message types were seen, in order.

    ``until`` None: after as many ReadyForQuery as ``data`` has Query and Sync messages. Reading ends at an
    ErrorResponse too where no ReadyForQuery is waited for, and always at the end of the connection.
    """

    data: bytes
    until: str | None = None

    @property
    def ends(self) -> str:
        """The message types that end it."""
        if self.until is not None:
            return self.until
        return "Z" * sum(kind in b"QS" for kind, _ in FrameReader(1 << 30).feed(self.data))


class WireClient:
    """One logged-in connection to the server, or the proxy, at ``dsn`` (a URL with host and port).

    ``parameters`` is every setting as the server reported it last. ``minor``: the version 3 asked for.
    """

    def __init__(self, dsn: str, *, minor: int = 0, settings: Mapping[str, str] | None = None) -> None:
        url = urlsplit(dsn)
        self.address = (url.hostname or "127.0.0.1", url.port or 5432)
        self.socket = socket.create_connection(self.address, timeout=TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = FrameReader(1 << 30)
        self._messages: deque[Message] = deque()
        self.parameters: dict[str, str] = {}
        password = Secret(unquote(url.password)) if url.password else None
        options = LoginOptions(settings=dict(settings or {}), minor=minor, allow_cleartext=True)
        script = login_script(url.username or "", url.path.lstrip("/"), password, options)
        try:
            data = next(script)
            while True:
                if data:
                    self.socket.sendall(data)
                data = script.send(self.next())
        except StopIteration as stop:
            self.login = stop.value
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye and hang up. Idempotent."""
        try:
            self.socket.sendall(client.TERMINATE)
        except OSError:
            pass
        self.socket.close()

    def abort(self) -> None:
        """Hang up without a goodbye, with a reset where bytes are unread."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send messages."""
        self.socket.sendall(data)

    def next(self) -> Message:
        """The next message; ConnectionError when the server hung up, TimeoutError after ten seconds."""
        while not self._messages:
            data = self.socket.recv(1 << 18)
            if not data:
                raise ConnectionError(CLOSED)
            self._messages.extend(self._reader.feed(data))
        message = self._messages.popleft()
        if message[0] == ord("S"):
            name, value = parse_parameter_status(message[1])
            self.parameters[name] = value
        return message

    def read(self, ends: str, found: list[Message] | None = None) -> list[Message]:
        """The messages until those types were seen, in order; ``found`` keeps what came before a failure."""
        found = [] if found is None else found
        waited = deque(ends.encode())
        gives_up = b"E" if "Z" not in ends else b""
        while waited:
            found.append(self.next())
            if found[-1][0] == waited[0]:
                waited.popleft()
            elif found[-1][0] in gives_up:
                break
        return found

    def play(self, *steps: Step | bytes) -> list[str]:
        """The transcript of some steps; the last line says so where the connection ended or fell silent."""
        seen: list[str] = []
        for step in steps:
            each = step if isinstance(step, Step) else Step(step)
            found: list[Message] = []
            end = ""
            try:
                self.send(each.data)
                self.read(each.ends, found)
            except TimeoutError:
                end = "SILENCE"
            except OSError:
                end = CLOSED
            seen += transcript.lines(found)
            if end:
                return [*seen, end]
        return seen

    def query(self, sql: str) -> list[str]:
        """The transcript of a simple query."""
        return self.play(client.query(sql.encode()))

    def cancel(self) -> None:
        """Send a cancel request for this connection and wait until the server has taken it."""
        with socket.create_connection(self.address, timeout=TIMEOUT) as other:
            other.sendall(client.cancel_request(self.login.pid, self.login.secret))
            other.recv(1)

"""The smallest shell around the scripts of wire: one blocking socket."""

import socket
from types import TracebackType
from typing import Self

from shardproxy.wire.frames import FrameReader
from shardproxy.wire.login import MAX_LOGIN_MESSAGE, LoggedIn, LoginScript, Message


class Wire:
    """A connection to a server on loopback that speaks in whole messages."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._reader = FrameReader(MAX_LOGIN_MESSAGE)
        self._messages: list[Message] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def next(self) -> Message:
        """The next message; ConnectionError when the server hangs up."""
        while not self._messages:
            data = self.socket.recv(65_536)
            if not data:
                raise ConnectionError("the server closed the connection")
            self._messages = self._reader.feed(data)
        return self._messages.pop(0)

    def log_in(self, script: LoginScript) -> LoggedIn:
        data = next(script)
        try:
            while True:
                if data:
                    self.socket.sendall(data)
                data = script.send(self.next())
        except StopIteration as stop:
            return stop.value

    def until(self, kind: int) -> list[Message]:
        """The messages up to the first of type ``kind``, which is the last one returned."""
        messages = [self.next()]
        while messages[-1][0] != kind:
            messages.append(self.next())
        return messages

"""A network in front of one server that can be cut at a given byte of what the server says."""

import socket
from contextlib import suppress
from threading import Thread
from typing import Self


class Relay:
    """Passes connections on to ``port`` on the loopback interface; listens on :attr:`port` while it is entered.

    Once ``cut_behind`` is set, the connection on which the server says those bytes ends right behind them, and
    ``cuts`` counts it.
    """

    def __init__(self, port: int) -> None:
        self.cut_behind: bytes | None = None
        self.cuts = 0
        self._to = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._to)
                Thread(target=self._pass, args=(client, server, False), daemon=True).start()
                Thread(target=self._pass, args=(server, client, True), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, says: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                at = data.find(self.cut_behind) if says and self.cut_behind else -1
                if at >= 0 and self.cut_behind:
                    target.sendall(data[: at + len(self.cut_behind)])
                    self.cuts += 1
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

"""A network in front of one server that can be cut, at a given byte of what the server says or as a whole, and counts
bytes.
"""

import socket
from contextlib import suppress
from threading import Event, Thread
from typing import Self


class Relay:
    """Passes connections on to ``port`` on the loopback interface; listens on :attr:`port` while it is entered.

    Once ``cut_behind`` is set, the connection on which the server says those bytes ends right behind them, and
    ``cuts`` counts it. ``to`` is where new connections lead. ``heard`` and ``said`` count the bytes to and from the
    server on the connections whose first bytes contain ``counted``. While it is ``hanging``, nothing passes, and
    nobody is told.
    """

    def __init__(self, port: int, *, counted: bytes | None = None) -> None:
        self.cut_behind: bytes | None = None
        self.cuts = 0
        self.heard = 0
        self.said = 0
        self._counted = counted
        self.to = ("127.0.0.1", port)
        self._passes = Event()
        self._passes.set()
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hanging = False
        self.stop()

    @property
    def hanging(self) -> bool:
        """Whether nothing passes."""
        return not self._passes.is_set()

    @hanging.setter
    def hanging(self, wanted: bool) -> None:
        if wanted:
            self._passes.clear()
        else:
            self._passes.set()

    def stop(self) -> None:
        """End every connection, and take no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()

    def reset(self) -> None:
        """End every connection that there is."""
        ends, self._ends = self._ends, []
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self.to)
                self._ends += [client, server]
                Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        counts = False
        with suppress(OSError):
            first = client.recv(1 << 16)
            counts = self._counted is not None and self._counted in first
            self._passes.wait()
            server.sendall(first)
        Thread(target=self._pass, args=(server, client, True, counts), daemon=True).start()
        self._pass(client, server, False, counts)

    def _pass(self, source: socket.socket, target: socket.socket, says: bool, counts: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self._passes.wait()
                if counts and says:
                    self.said += len(data)
                elif counts:
                    self.heard += len(data)
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

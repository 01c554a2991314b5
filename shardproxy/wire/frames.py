# cython: annotation_typing=False
"""Cuts a byte stream into protocol messages (manual, "Message Formats"). A compiled leaf; no I/O.

Every message after the start-up phase is a type byte, an int32 length that counts itself, and a body. The
announced length is checked before it is used for anything, and nothing is allocated by it: a message is
handed out when its last byte is here, so memory grows only with bytes that really arrived. C types are in
``frames.pxd``.
"""

from shardproxy.errors import ProtocolViolation

HEADER_SIZE = 5


class FrameReader:
    """Collects what a client sends into whole messages.

    ``limit`` bounds one message in bytes (its length field). A length below 4 or above the limit raises
    ProtocolViolation; the connection cannot be used afterwards.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._parts: list[bytes] = []
        self._have = 0
        self._need = HEADER_SIZE

    @property
    def buffered(self) -> int:
        """Bytes of an unfinished message that wait for their rest."""
        return self._have

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The messages that ``data`` completes, as (type byte, body), in order."""
        if self._have:
            self._parts.append(data)
            self._have += len(data)
            if self._have < self._need:
                return []
            data = b"".join(self._parts)
            self._parts.clear()
            self._have = 0
        return self._split(data)

    def _split(self, data: bytes) -> list[tuple[int, bytes]]:
        messages: list[tuple[int, bytes]] = []
        view = data
        size = len(data)
        limit = self.limit
        at = 0
        while size - at >= HEADER_SIZE:
            length = view[at + 1]
            length = (length << 8) | view[at + 2]
            length = (length << 8) | view[at + 3]
            length = (length << 8) | view[at + 4]
            if length < 4 or length > limit:
                raise ProtocolViolation("invalid message length")
            if length > size - at - 1:
                self._need = length + 1
                break
            messages.append((view[at], view[at + 5 : at + 1 + length]))
            at += 1 + length
        else:
            self._need = HEADER_SIZE
        if at < size:
            self._parts.append(data[at:] if at else data)
            self._have = size - at
        return messages

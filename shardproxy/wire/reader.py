"""Reading the fields of one message's body, in order, with every bound checked before anything is taken.

The wording of the errors is PostgreSQL's (``pqformat.c``), so that a client sees what the server would have
said.
"""

import struct

from shardproxy.errors import Blame, ProtocolViolation

INT16 = struct.Struct("!H")
INT32 = struct.Struct("!i")
UINT32 = struct.Struct("!I")

INSUFFICIENT_DATA = "insufficient data left in message"
INVALID_FORMAT = "invalid message format"
INVALID_STRING = "invalid string in message"
NO_DATA_LEFT = "no data left in message"


def violation(message: str, blame: Blame = Blame.CLIENT) -> ProtocolViolation:
    """An 08P01 error that says which side sent the malformed message."""
    error = ProtocolViolation(message)
    error.blame = blame
    return error


class Reader:
    """A cursor over a message's body (the bytes after type and length).

    Each method takes the next field or raises :class:`~shardproxy.errors.ProtocolViolation`, blamed on the
    sender; ``at`` is the offset of the first byte not yet taken.
    """

    __slots__ = ("_blame", "_body", "at")

    def __init__(self, body: bytes, sender: Blame = Blame.CLIENT) -> None:
        self._body = body
        self._blame = sender
        self.at = 0

    def fail(self, message: str) -> ProtocolViolation:
        """The error to raise for a field whose value is wrong."""
        return violation(message, self._blame)

    def byte(self) -> int:
        """One byte, 0 to 255."""
        if self.at >= len(self._body):
            raise self.fail(NO_DATA_LEFT)
        self.at += 1
        return self._body[self.at - 1]

    def int16(self) -> int:
        """An unsigned 16-bit count; the protocol's counts reach 65,535."""
        return INT16.unpack(self.take(2))[0]  # type: ignore[no-any-return]

    def int32(self) -> int:
        """A signed 32-bit integer."""
        return INT32.unpack(self.take(4))[0]  # type: ignore[no-any-return]

    def oids(self, count: int) -> tuple[int, ...]:
        """``count`` unsigned 32-bit object identifiers."""
        return struct.unpack(f"!{count}I", self.take(4 * count))

    def int16s(self, count: int) -> tuple[int, ...]:
        """``count`` unsigned 16-bit integers, such as format codes."""
        return struct.unpack(f"!{count}H", self.take(2 * count))

    def take(self, count: int) -> bytes:
        """Exactly ``count`` bytes; a negative count is as wrong as one that is too large."""
        end = self.at + count
        if count < 0 or end > len(self._body):
            raise self.fail(INSUFFICIENT_DATA)
        chunk = self._body[self.at : end]
        self.at = end
        return chunk

    def string(self) -> bytes:
        """A NUL-terminated string, without its NUL."""
        end = self._body.find(0, self.at)
        if end < 0:
            raise self.fail(INVALID_STRING)
        text = self._body[self.at : end]
        self.at = end + 1
        return text

    def rest(self) -> bytes:
        """All that is left, possibly nothing."""
        chunk = self._body[self.at :]
        self.at = len(self._body)
        return chunk

    def more(self) -> bool:
        """Whether any byte is left."""
        return self.at < len(self._body)

    def end(self) -> None:
        """Nothing may be left over."""
        if self.at != len(self._body):
            raise self.fail(INVALID_FORMAT)

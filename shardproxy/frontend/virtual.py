"""A database that the proxy itself answers for, beside the applications' one: the console."""

from collections.abc import Mapping
from typing import Protocol

from shardproxy.wire.startup import Startup


class Peer(Protocol):
    """The client, as a conversation needs it."""

    def write(self, data: bytes) -> None:
        """Send bytes to it."""

    def close(self) -> None:
        """End the connection once everything written has gone out."""


class Conversation(Protocol):
    """One client's, from its login to its end."""

    def receive(self, messages: list[tuple[int, bytes]]) -> None:
        """Messages from the client, in order. Raises ProtocolViolation."""

    def close(self) -> None:
        """The client has gone, or has to."""

    async def cancel(self) -> bool:
        """Cancel what runs; False when nothing does."""


class VirtualDatabase(Protocol):
    """``name`` is what clients connect to."""

    name: str

    def open(self, startup: Startup, peer: Peer) -> tuple[Conversation, Mapping[str, str]]:
        """A conversation with a client that has logged in, and the ParameterStatus to tell it.

        Raises LoginFailed for a user who may not.
        """

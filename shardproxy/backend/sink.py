"""Who receives what a server connection brings while it is checked out."""

from typing import TYPE_CHECKING, Protocol

from shardproxy.errors import ShardproxyError

if TYPE_CHECKING:
    from shardproxy.backend.connection import ServerConnection


class Sink(Protocol):
    """The holder of a checked-out connection: a session's relay, one arm of a fan-out, or a request of our
    own.
    """

    def reply(self, connection: "ServerConnection", data: bytes) -> None:
        """Bytes for the client, in order; they may end inside a row."""

    def ready(self, connection: "ServerConnection", status: int) -> None:
        """A ReadyForQuery that was owed has come; ``status`` is its byte. The connection may be released
        here.
        """

    def copy_in(self, connection: "ServerConnection") -> None:
        """The server waits for COPY data."""

    def lost(self, connection: "ServerConnection", error: ShardproxyError) -> None:
        """The connection is gone with replies owed or a transaction open; nothing more will come."""

    def pause(self) -> None:
        """The server does not take bytes as fast as they are written."""

    def resume(self) -> None:
        """The server takes bytes again."""

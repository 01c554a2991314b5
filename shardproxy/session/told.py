"""What a client was told of a prepared statement stays so, or the statement fails.

PostgreSQL fixes the parameters and columns of a statement at Parse. When a table is altered so that they
would be others, Bind fails with "cached plan must not change result type", until the client parses it again;
drivers count on it, for they read rows by what Describe once told them. Here statements of a client are
prepared on server connections much later and many times, so the rule is kept by what was told:

- A statement that the client has had described (Describe of the statement, not of a portal) returns rows of
  that shape on every connection, or the client gets PostgreSQL's error. A connection that has not prepared
  it, or with another outcome, prepares it and says what it is before Bind goes out (:func:`hold_to`); one
  that only reads goes out at once, and the client sees nothing of the answer if it is another
  (:class:`Guard`).
- Of any other statement the client knows nothing that could be wrong, though a server connection may: the
  statement is prepared anew, and the request repeated once, unseen. PostgreSQL finds out at Bind, before it
  has done anything. It is repeated only where it is alone: outside a transaction block, on a connection that
  is not the session's own, in a group of one statement that came together. Elsewhere the error goes out, as
  it would for a statement parsed before the change.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shardproxy.backend.connection import ServerConnection
from shardproxy.backend.request import ServerError
from shardproxy.session.prepared import Prepared, described
from shardproxy.wire.replies import Learn

if TYPE_CHECKING:
    from shardproxy.session.extended import Extended

BIND: Final = 0x42
REPEATABLE: Final = re.compile(rb"[PDC]*BD?ES")
"""The messages of a group of one statement. What comes before Bind was answered here, and is not repeated."""


def repeatable(group: Sequence[tuple[int, bytes]]) -> Sequence[tuple[int, bytes]] | None:
    """What has to be sent again of a group; None where it is not of one statement."""
    kinds = bytes(kind for kind, _ in group)
    return group[kinds.index(BIND) :] if REPEATABLE.fullmatch(kinds) else None


def changed() -> ServerError:
    """PostgreSQL's error; drivers know it by the name of the function that raises it."""
    return ServerError(
        b"SERROR\0VERROR\0C0A000\0Mcached plan must not change result type\0RRevalidateCachedQuery\0\0"
    )


@dataclass(frozen=True, slots=True)
class Guard:
    """What the request under way depends on: that ``prepared``, of which ``text`` was made, is on the server
    what the client was told. The server's answer is in ``learned``, and nothing of the rest is handed on
    where it is not.
    """

    prepared: Prepared
    text: bytes
    learned: Learn


async def hold_to(
    told: bytes,
    extended: "Extended",
    connection: ServerConnection,
    prepared: Prepared,
    name: bytes,
    text: bytes,
) -> None:
    """Make sure that ``prepared``, which is ``text`` under ``name`` on servers, is what the client was
    ``told`` on ``connection`` too. Raises :func:`changed`.
    """
    if connection.prepared.get(name) != told:
        learned = await extended.describer.ask_on(connection, prepared, name, text)
        if described(learned).shape != told:
            raise broken(extended, Guard(prepared, text, learned))


def broken(extended: "Extended", guard: Guard) -> ServerError:
    """The error for a statement that is not what the client was told. What is known of it is forgotten."""
    found, prepared = described(guard.learned), guard.prepared
    prepared.description = None
    if not prepared.statement.private:
        shared, key = extended.session.shared, extended.describer.key(prepared, guard.text)
        known = shared.descriptions.get(key)
        if known is None or known.shape != found.shape:  # the first to find out
            extended.session.forget_stale()
            shared.descriptions.put(key, found)
    return changed()

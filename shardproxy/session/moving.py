"""A block that moves: begun on the shard of a statement that any shard could answer, it goes on where the
first statement of a tenant belongs.

It may as long as nobody can tell: all that it ran is ``Statement.movable``, no error came, and nothing of it
is open on the server. It is rolled back where it is and is again what it was before it had a shard: begun
here, with the statements that open it (``Transaction.script``).

Only the server knows the isolation level, which defaults of the role or the database may set. Above READ
COMMITTED a block has one snapshot from its first query on, and what others committed since tells it from a
later one. So the server is asked to change the level to READ COMMITTED: it refuses that once there is a
snapshot, unless it is the level already.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from shardproxy.backend.request import ServerError, command
from shardproxy.errors import Unavailable
from shardproxy.routing.parameters import BindValues, Values
from shardproxy.session.settings import resolved, set_statement
from shardproxy.session.transaction import Block
from shardproxy.sql.statement import Kind, Statement

if TYPE_CHECKING:
    from shardproxy.session.session import Session

LEAVE: Final = b"SET TRANSACTION ISOLATION LEVEL READ COMMITTED; ROLLBACK"
HAS_SNAPSHOT: Final = "25001"
SCRIPT_LIMIT: Final = 100
"""Statements to repeat; a block that has more stays where it is."""

_MOMENT: Final = re.compile(
    rb"(?<![a-z])(?:now|today|tomorrow|yesterday)(?![a-z])"  # dates and times that the clock gives
    rb"|\\|u&"  # which an escape may hide
    rb"|'(?:[^\S\n]*(?:--[^\n]*)?\n\s*)+'",  # or a literal that goes on in another line
    re.IGNORECASE,
)


def follow(
    session: "Session", statement: Statement, values: Values, text: bytes, closing: Sequence[str]
) -> None:
    """Note what ``statement``, about to be sent on the session's link, means for a move of its block, which
    may move so far.

    ``text`` holds it. ``closing`` are the statements of ours that follow it.
    """
    transaction = session.transaction
    script = transaction.script
    assert script is not None
    kind = statement.kind
    if statement.movable and not _names_a_moment(text, values):
        for change in statement.set_config:
            value = resolved(change, values).value
            if value is None:
                transaction.script = None
                return
            script.append(set_statement(change.name, value, local=change.local))
    elif statement.setting is not None and kind in (Kind.SET, Kind.RESET):
        script += [statement.setting.sql, *closing]
    elif kind in _SAVEPOINTS and statement.name is not None:
        quoted = statement.name.replace('"', '""')
        script.append(f'{_SAVEPOINTS[kind]} "{quoted}"')
    else:
        transaction.script = None
    if len(script) > SCRIPT_LIMIT:
        transaction.script = None


_SAVEPOINTS: Final = {
    Kind.SAVEPOINT: "SAVEPOINT",
    Kind.RELEASE: "RELEASE",
    Kind.ROLLBACK_TO: "ROLLBACK TO",
}


def _names_a_moment(text: bytes, values: Values) -> bool:
    """Whether a literal or a value may be a date that is read off the transaction's clock."""
    if _MOMENT.search(text):
        return True
    return isinstance(values, BindValues) and any(value and _MOMENT.search(value) for value in values.values)


async def leave(session: "Session") -> bool:
    """Take the session's open block off its shard, as if it had never had one; False where it has to stay.

    Raises what becomes of the block when the server cannot be asked: its loss, a cancel, a timeout.
    """
    link, transaction = session.link, session.transaction
    connection, script = link.connection, transaction.script
    if (
        connection is None
        or script is None
        or transaction.block is not Block.OPEN
        or link.in_group
        or link.pinned is not None
        or session.extended.has_server_portals
    ):
        return False
    transaction.script = None
    connection.stream.completed = 0
    try:
        await command(connection, LEAVE)
    except ServerError as error:
        if error.sqlstate != HAS_SNAPSHOT:
            raise
        return False
    except Unavailable:
        if not connection.stream.completed:
            raise
        link.drop("lost during the ROLLBACK of a block that moves")
    else:
        link.give_back()
    transaction.leave(script)
    return True

"""What a statement that a server runs changes in the session, once the server has said that it succeeded."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from shardproxy.backend.request import command
from shardproxy.errors import Refused, ShardproxyError
from shardproxy.routing.parameters import Values
from shardproxy.session.link import Link
from shardproxy.session.names import may_fold, may_move
from shardproxy.session.settings import REQUIRED, ServerSettings, Settings, resolved, set_statement
from shardproxy.session.transaction import NO_BLOCK
from shardproxy.sql.statement import Kind, SettingChange, Statement
from shardproxy.wire.server_messages import READY_IDLE, parameter_status

if TYPE_CHECKING:
    from shardproxy.session.session import Session

Effect = Callable[[], object]
UTF8_NAMES = frozenset({"utf8", "utf-8", "unicode"})
OFF = frozenset({"off", "of", "false", "fals", "fal", "fa", "f", "no", "n", "0"})
"""What PostgreSQL's boolean parameters take for off; anything else that it accepts is on."""


def settings_of(statement: Statement, values: Values) -> list[SettingChange]:
    """What ``statement`` sets, with values; refuses what :func:`check_setting` refuses."""
    if statement.setting is not None:
        changes = [statement.setting] if statement.kind in (Kind.SET, Kind.RESET) else []
    else:
        changes = [resolved(change, values) for change in statement.set_config]
    for change in changes:
        check_setting(change)
    return changes


def expect(session: "Session", statement: Statement, values: Values) -> None:
    """Note what follows if ``statement``, about to be sent on the session's link, succeeds.

    Exactly one entry for each statement: as many take effect as the server has completed.
    """
    if statement.plain:
        session.effects.append(None)
        return
    kind = statement.kind
    session.names_move |= may_move(session, statement)
    session.constants_move |= may_fold(session, statement)
    effect: Effect | None = None
    if statement.setting is not None or statement.set_config:
        effect = partial(_change_settings, session, settings_of(statement, values))
    elif statement.changes_schema:
        effect = session.shared.schema_changed
    elif statement.unlocks:
        _check_holds(session)
        effect = partial(_unlock_all, session)
    elif kind is Kind.COMMIT or kind is Kind.ROLLBACK:
        session.ending = kind is Kind.COMMIT and not session.transaction.failed
        effect = partial(_end, session, committed=kind is Kind.COMMIT)
    elif kind is Kind.DEALLOCATE and statement.name is None:
        effect = partial(_deallocate_all, session)
    elif statement.name is not None and kind in _SAVEPOINTS:
        effect = partial(_SAVEPOINTS[kind], session, statement.name)
    session.effects.append(effect)


def _change_settings(session: "Session", changes: list[SettingChange]) -> None:
    connection = session.link.connection
    assert connection is not None
    for change in changes:
        change_setting(session, change, connection.parameters)


def _check_holds(session: "Session") -> None:
    """Refuse to let go of moving rows in the middle of a transaction on them."""
    connection = session.link.connection
    if connection is not None and connection.holds and session.transaction.block is not NO_BLOCK:
        raise Refused(
            "pg_advisory_unlock_all() in a transaction whose rows are moving to another shard",
            hint="Call it outside of the transaction.",
        )


def _unlock_all(session: "Session") -> None:
    """Our own locks of the connection are gone too: it is in no epoch until it enters one again."""
    connection = session.link.connection
    if connection is not None:
        connection.epoch = None
        connection.holds.clear()


def _end(session: "Session", *, committed: bool) -> None:
    session.settings = session.transaction.ended(committed=committed)


def _deallocate_all(session: "Session") -> None:
    """Those that we prepared on the connection are gone too."""
    session.extended.deallocate(None)
    if session.link.connection is not None:
        session.link.connection.prepared.clear()


def _set_savepoint(session: "Session", name: str) -> None:
    session.transaction.savepoint(name, session.settings)


def _release_savepoint(session: "Session", name: str) -> None:
    if any(savepoint.name == name for savepoint in session.transaction.savepoints):
        session.transaction.release(name)


def _roll_back_to(session: "Session", name: str) -> None:
    session.settings = session.transaction.rolled_back_to(name)


_SAVEPOINTS = {
    Kind.SAVEPOINT: _set_savepoint,
    Kind.RELEASE: _release_savepoint,
    Kind.ROLLBACK_TO: _roll_back_to,
}


def check_setting(change: SettingChange) -> None:
    """Refuse a setting under which statements would be read otherwise than we read them."""
    value = (change.value or "").strip("'\" ").lower()
    if change.name == "client_encoding" and change.value is not None and value not in UTF8_NAMES:
        raise Refused(f"client_encoding {change.value}", hint="Use client_encoding = 'UTF8'.")
    required = REQUIRED.get(change.name)
    if required is not None and change.value is not None and (value in OFF) == (required == "on"):
        raise Refused(f"{change.name} = {change.value}", hint="Statements are read as with its default.")
    if change.name == "session_authorization":
        raise Refused("SET SESSION AUTHORIZATION", hint="Connect as that user.")


def change_setting(session: "Session", change: SettingChange, reported: Mapping[str, str]) -> None:
    """A SET or RESET has happened on a server that reports these values; RESET brings back what the
    start-up packet said.
    """
    if change.value is not None and change.name != "search_path":
        for name, value in reported.items():
            if name.lower() == change.name:
                change = replace(change, value=value)
        if change.name == "datestyle":  # SET may have changed one of its two parts
            change = replace(change, sql=set_statement(change.name, change.value or ""))
    session.settings = _changed(session, session.settings, change)
    if not change.local:
        session.transaction.committed = _changed(session, session.transaction.committed, change)


def restoring(session: "Session", statement: Statement, *, alone: bool = True) -> list[str]:
    """What has to follow ``statement`` on a server, so that RESET brings back what the start-up packet
    said. ``alone``: no other statement is in its query.
    """
    change = statement.setting
    if change is None or change.value is not None:
        return []
    initial = session.initial.server.changes
    if not initial:
        return []
    changes = (
        initial.values() if change.name == "all" else [initial[change.name]] if change.name in initial else []
    )
    if not change.local:
        return [sql for sql, _ in changes]
    if alone and session.transaction.block is NO_BLOCK:
        return []  # it does nothing but warn
    return [set_statement(change.name, value, local=True) for _, value in changes]


def told(session: "Session", before: ServerSettings) -> bytes:
    """The ParameterStatus messages for a client whose settings were ``before``, where no server sends
    them.
    """
    now, initial = session.settings.server, session.initial.server
    if now is before:
        return b""
    messages = []
    for name, at_first in session.reported.items():
        old, new = before.value(name.lower()), now.value(name.lower())
        if old != new:
            back = new is None or new == initial.value(name.lower())
            messages.append(parameter_status(name, at_first if back else new or ""))
    return b"".join(messages)


def _changed(session: "Session", settings: Settings, change: SettingChange) -> Settings:
    initial = session.initial
    server: ServerSettings
    if change.name == "all":
        role = settings.server.changes.get("role")  # RESET ALL keeps it
        server = initial.server if role is None else initial.server.changed("role", *role)
        return initial.with_server(server)
    if change.value is not None:
        server = settings.server.changed(change.name, change.sql, change.value)
    elif change.name in initial.server.changes:
        server = settings.server.changed(change.name, *initial.server.changes[change.name])
    else:
        server = settings.server.without(change.name)
    return settings.with_server(server)


async def roll_back(link: Link) -> None:
    """End the block of a session that is gone, and give the connection back."""
    connection = link.connection
    if connection is None:
        return
    try:
        if connection.status != READY_IDLE:
            await command(connection, b"ROLLBACK")
            connection.settings = link.session.transaction.before.server
        link.give_back()
    except ShardproxyError:
        link.drop("ROLLBACK failed")

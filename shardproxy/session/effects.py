"""What a statement that a server runs changes in the session, once the server has said that it succeeded."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from shardproxy.backend.request import command
from shardproxy.errors import Refused, ShardproxyError
from shardproxy.routing.parameters import Values
from shardproxy.session.link import Link
from shardproxy.session.settings import ServerSettings, Settings, resolved
from shardproxy.sql.statement import Kind, SettingChange, Statement
from shardproxy.wire.server_messages import READY_FAILED, READY_IDLE

if TYPE_CHECKING:
    from shardproxy.session.session import Session

UTF8_NAMES = frozenset({"utf8", "utf-8", "unicode"})


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
    """Note what follows if ``statement``, about to be sent on the session's link, succeeds."""
    kind = statement.kind
    if statement.setting is not None or statement.set_config:
        for change in settings_of(statement, values):
            session.effects.append(partial(change_setting, session, change))
    elif statement.changes_schema:
        session.effects.append(session.shared.schema_changed)
    elif kind is Kind.COMMIT:
        connection = session.link.connection
        session.ending = connection is not None and connection.status != READY_FAILED
    elif kind is Kind.ROLLBACK:
        session.ending = False
    elif statement.name is not None and kind in _SAVEPOINTS:
        name, act = statement.name, _SAVEPOINTS[kind]
        session.effects.append(lambda: act(session, name))


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
    if change.name in ("standard_conforming_strings", "backslash_quote") and value in (
        "off",
        "false",
        "no",
        "0",
        "f",
    ):
        raise Refused(f"{change.name} = off", hint="Write E'...' for strings with backslash escapes.")
    if change.name == "session_authorization":
        raise Refused("SET SESSION AUTHORIZATION", hint="Connect as that user.")


def change_setting(session: "Session", change: SettingChange) -> None:
    """A SET or RESET has happened on the server; RESET brings back what the start-up packet said."""
    session.settings = _changed(session, session.settings, change)
    if not change.local:
        session.transaction.committed = _changed(session, session.transaction.committed, change)
    connection = session.link.connection
    if change.value is None and connection is not None and session.initial.server.changes:
        connection.settings = None


def _changed(session: "Session", settings: Settings, change: SettingChange) -> Settings:
    initial = session.initial
    if change.name == "all":
        return replace(initial)
    server: ServerSettings
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

"""Statements that the proxy answers itself: blocks that no shard has yet, its own settings, DISCARD and
DEALLOCATE.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shardproxy.errors import Refused, ShardproxyError
from shardproxy.routing.parameters import Values
from shardproxy.routing.route import ReadPolicy
from shardproxy.session import effects
from shardproxy.session.settings import Settings, resolved
from shardproxy.session.shared import Shared
from shardproxy.session.transaction import BEGUN, BROKEN, NO_BLOCK
from shardproxy.sql.statement import Kind, SettingChange, Statement
from shardproxy.topology.keys import from_text
from shardproxy.version import VERSION
from shardproxy.wire.server_messages import (
    EMPTY_QUERY,
    NO_DATA,
    Column,
    command_complete,
    data_row,
    notice_response,
    row_description,
)

if TYPE_CHECKING:
    from shardproxy.session.session import Session

PREFIX = "shardproxy."


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the proxy: ``tag`` None is EmptyQueryResponse; ``columns`` are of type text.

    ``notice`` goes before it, ``after`` behind it.
    """

    tag: str | None
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    notice: bytes = b""
    after: bytes = b""

    def description(self) -> bytes:
        """The RowDescription or NoData message."""
        return row_description([Column(name) for name in self.columns]) if self.columns else NO_DATA

    def result(self) -> bytes:
        """Rows and CommandComplete, as they answer Execute."""
        rows = b"".join(data_row(row) for row in self.rows)
        tag = EMPTY_QUERY if self.tag is None else command_complete(self.tag)
        return self.notice + rows + tag + self.after

    def whole(self) -> bytes:
        """Everything but ReadyForQuery, as it answers a simple query."""
        return (self.description() if self.columns else b"") + self.result()


def is_local(session: "Session", statement: Statement) -> bool:
    """Whether the proxy answers ``statement`` in the session's present state; a server does otherwise."""
    kind = statement.kind
    if kind is Kind.QUERY or kind is Kind.COPY_IN or kind is Kind.COPY_OUT:
        return bool(statement.set_config) and _sets_own(statement)
    if kind in (Kind.SET, Kind.RESET, Kind.SHOW):
        return is_own(statement)
    if kind is Kind.DEALLOCATE:  # of a pinned session, the server may know other statements than we do
        return session.link.pinned is None or session.extended.knows(statement.name)
    if kind is Kind.DISCARD:
        return session.link.pinned is None or statement.name in (None, "all")
    if kind is Kind.SET_TRANSACTION and session.transaction.block is BEGUN:
        return False
    return kind is Kind.EMPTY or not session.on_server


def is_own(statement: Statement) -> bool:
    """Whether it sets or shows a setting of the proxy's own."""
    name = statement.setting.name if statement.setting is not None else statement.name
    return name is not None and name.startswith(PREFIX)


def _sets_own(statement: Statement) -> bool:
    """Whether set_config() is of the proxy's own settings. Raises Refused for a mixture."""
    own = [change.name.startswith(PREFIX) for change in statement.set_config]
    if any(own) and not all(own):
        raise Refused("set_config() of the proxy's settings together with others", hint="Use two statements.")
    return all(own)


def answer(session: "Session", statement: Statement, sql: str, values: Values) -> Answer:
    """Do what ``statement`` says, for which :func:`is_local` holds; ``sql`` is its text."""
    kind = statement.kind
    if kind is Kind.QUERY:
        changes = [resolved(change, values) for change in statement.set_config]
        for change in changes:
            _change_own(session, change)
        return Answer("SELECT 1", ("set_config",) * len(changes), (tuple(c.value or "" for c in changes),))
    if kind in (Kind.SET, Kind.RESET):
        assert statement.setting is not None
        return _change(session, statement)
    if kind is Kind.SHOW:
        return _show(session, statement.name or "")
    return _ANSWERS[kind](session, statement, sql)


# --- transaction blocks -------------------------------------------------------------------------------------


def _warning(sqlstate: str, message: str) -> bytes:
    return notice_response("WARNING", sqlstate, message)


def _begin(session: "Session", statement: Statement, sql: str) -> Answer:
    if session.transaction.block is not NO_BLOCK:
        return Answer(statement.tag, notice=_warning("25001", "there is already a transaction in progress"))
    session.transaction.begin(sql, settings=session.settings)
    return Answer(statement.tag)


def _end(session: "Session", statement: Statement, sql: str) -> Answer:
    transaction = session.transaction
    commits = statement.kind is Kind.COMMIT and transaction.block is not BROKEN
    tag = "COMMIT" if commits else "ROLLBACK"
    if transaction.block is NO_BLOCK:
        if statement.chain:
            raise ShardproxyError(
                f"{statement.tag} AND CHAIN can only be used in transaction blocks", sqlstate="25P01"
            )
        return Answer(statement.tag, notice=_warning("25P01", "there is no transaction in progress"))
    characteristics = transaction.characteristics
    before = session.settings.server
    session.settings = transaction.end(committed=commits)
    if statement.chain:
        transaction.begin(*characteristics, settings=session.settings)
    return Answer(tag, after=effects.told(session, before))


def _savepoint(session: "Session", statement: Statement, sql: str) -> Answer:
    transaction = session.transaction
    name = statement.name or ""
    before = session.settings.server
    if transaction.block is NO_BLOCK:
        words = _SAVEPOINT_WORDS[statement.kind]
        raise ShardproxyError(f"{words} can only be used in transaction blocks", sqlstate="25P01")
    if statement.kind is Kind.SAVEPOINT:
        transaction.savepoint(name, session.settings)
    elif statement.kind is Kind.RELEASE:
        transaction.release(name)
    else:
        session.settings = transaction.rollback_to(name)
        transaction.block = BEGUN
    transaction.opening.append(sql)
    return Answer(statement.tag, after=effects.told(session, before))


_SAVEPOINT_WORDS = {
    Kind.SAVEPOINT: "SAVEPOINT",
    Kind.RELEASE: "RELEASE SAVEPOINT",
    Kind.ROLLBACK_TO: "ROLLBACK TO SAVEPOINT",
}


def _set_transaction(session: "Session", statement: Statement, sql: str) -> Answer:
    return Answer(
        statement.tag, notice=_warning("25P01", "SET TRANSACTION can only be used in transaction blocks")
    )


def is_set_in_unopened_block(session: "Session", statement: Statement) -> bool:
    """Whether :func:`set_in_unopened_block` answers ``statement``, which :func:`is_local` denies."""
    return (
        statement.kind in (Kind.SET, Kind.RESET, Kind.SET_TRANSACTION)
        and session.transaction.block is BEGUN
        and not session.on_server
    )


async def set_in_unopened_block(session: "Session", statement: Statement, sql: str) -> Answer:
    """SET after BEGIN, before any shard has the block: let a server check it, and keep it for the shard
    to come.
    """
    change = statement.setting
    if change is not None:
        effects.check_setting(change)
    sqls = [sql, *effects.restoring(session, statement)]
    reported = await session.try_out(sqls)
    before = session.settings.server
    if change is not None:
        effects.change_setting(session, change, reported)
    session.transaction.opening += sqls
    if statement.kind is Kind.SET_TRANSACTION:
        session.transaction.characteristics += sqls
    return Answer(statement.tag, after=effects.told(session, before))


# --- the proxy's own settings -------------------------------------------------------------------------------


def _change(session: "Session", statement: Statement) -> Answer:
    change = statement.setting
    assert change is not None
    if change.local and session.transaction.block is NO_BLOCK and not session.on_server:
        return Answer(
            statement.tag, notice=_warning("25P01", "SET LOCAL can only be used in transaction blocks")
        )
    _change_own(session, change)
    return Answer(statement.tag)


def _change_own(session: "Session", change: SettingChange) -> None:
    session.settings = changed_own(session.settings, session.initial, change, session.shared)
    if not change.local:
        committed = session.transaction.committed
        session.transaction.committed = changed_own(committed, session.initial, change, session.shared)


def changed_own(settings: Settings, initial: Settings, change: SettingChange, shared: Shared) -> Settings:
    """``settings`` after a change of one of the proxy's own; the tenant must be a key of the tenant
    group's type.
    """
    name, value = change.name.removeprefix(PREFIX), change.value
    if name == "tenant":
        if value is None:
            return replace(settings, tenant=initial.tenant, tenant_text=initial.tenant_text)
        if value == "":
            return replace(settings, tenant=None, tenant_text=None)
        tables = shared.shard_map.tables
        key = from_text(tables.groups[tables.tenant_group], value)
        return replace(settings, tenant=key, tenant_text=value)
    if name == "read":
        if value is None:
            return replace(settings, read=initial.read)
        try:
            return replace(settings, read=ReadPolicy(value.lower()))
        except ValueError:
            raise ShardproxyError(
                f'invalid value for parameter "shardproxy.read": "{value}"',
                sqlstate="22023",
                hint=f"Available values: {', '.join(ReadPolicy)}.",
            ) from None
    raise _unknown(change.name)


def _unknown(name: str) -> ShardproxyError:
    return ShardproxyError(f'unrecognized configuration parameter "{name}"', sqlstate="42704")


def _show(session: "Session", full_name: str) -> Answer:
    name = full_name.removeprefix(PREFIX)
    values: dict[str, Callable[[], str]] = {
        "tenant": lambda: session.settings.tenant_text or "",
        "read": lambda: session.settings.read.value,
        "version": lambda: VERSION,
        "shards": lambda: ", ".join(session.shared.shard_map.names),
        "pinned": lambda: session.link.pinned or "",
    }
    if name not in values:
        raise _unknown(full_name)
    return Answer("SHOW", (full_name,), ((values[name](),),))


# --- forgetting ---------------------------------------------------------------------------------------------


def _discard(session: "Session", statement: Statement, sql: str) -> Answer:
    if statement.name in (None, "all"):
        if session.transaction.block is not NO_BLOCK:
            raise ShardproxyError("DISCARD ALL cannot run inside a transaction block", sqlstate="25001")
        session.extended.forget()
        before = session.settings.server
        session.settings = session.initial
        session.transaction.start(session.settings)
        session.link.drop("DISCARD ALL of a pinned session")
        return Answer(statement.tag, after=effects.told(session, before))
    return Answer(statement.tag)


def _deallocate(session: "Session", statement: Statement, sql: str) -> Answer:
    session.extended.deallocate(statement.name)
    return Answer(statement.tag)


def _empty(session: "Session", statement: Statement, sql: str) -> Answer:
    return Answer(None)


_ANSWERS: dict[Kind, Callable[["Session", Statement, str], Answer]] = {
    Kind.BEGIN: _begin,
    Kind.COMMIT: _end,
    Kind.ROLLBACK: _end,
    Kind.SAVEPOINT: _savepoint,
    Kind.RELEASE: _savepoint,
    Kind.ROLLBACK_TO: _savepoint,
    Kind.SET_TRANSACTION: _set_transaction,
    Kind.DISCARD: _discard,
    Kind.DEALLOCATE: _deallocate,
    Kind.EMPTY: _empty,
}

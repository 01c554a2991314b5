"""What names mean to a session: its search_path and role decide, and a statement is planned under them.

A plan made before a change must not run behind it. So what follows a change in the same request, before any
server has said that it happened, is refused.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from shardproxy.errors import Refused
from shardproxy.session.settings import FOLDED, Settings, parse_search_path
from shardproxy.sql.statement import Kind, Statement

if TYPE_CHECKING:
    from shardproxy.session.session import Session

DECIDING: Final = frozenset({"search_path", "role", "session_authorization", "all"})
"""The settings on which it depends which table a name means."""

FOLDING: Final = frozenset((*FOLDED, "all"))

ROUTED: Final = frozenset({Kind.QUERY, Kind.COPY_IN, Kind.COPY_OUT})


@lru_cache(maxsize=256)
def expanded(
    search_path: str | tuple[str, ...], user: str, hidden: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """The schemas that a search_path names for ``user``, for whom ``"$user"`` stands, without those that are
    ``hidden`` from it.
    """
    names = parse_search_path(search_path) if isinstance(search_path, str) else search_path
    named = (user if name == "$user" else name for name in names)
    return tuple(name for name in named if name not in hidden)


def may_move(session: "Session", statement: Statement) -> bool:
    """Whether names may mean something else behind ``statement``."""
    return _may_change(session, statement, DECIDING, _deciding)


def may_fold(session: "Session", statement: Statement) -> bool:
    """Whether a statement that is prepared behind ``statement`` may have other constants."""
    return _may_change(session, statement, FOLDING, _folded)


def _may_change(
    session: "Session", statement: Statement, names: frozenset[str], look: Callable[[Settings], object]
) -> bool:
    if statement.setting is not None:
        return statement.setting.name in names
    if statement.set_config:
        return any(change.name in names for change in statement.set_config)
    if statement.kind in ROUTED:
        return False
    transaction, now = session.transaction, look(session.settings)
    match statement.kind:
        case Kind.COMMIT:
            return now not in (look(transaction.committed), look(transaction.before))
        case Kind.ROLLBACK:
            return now != look(transaction.before)
        case Kind.ROLLBACK_TO:
            return any(now != look(savepoint.settings) for savepoint in transaction.savepoints)
    return False


def check_fixed(session: "Session", statements: Sequence[Statement]) -> None:
    """Refuse statements of one query when some of them name tables behind one that moves names."""
    mover: Statement | None = None
    for statement in statements:
        if mover is not None and statement.kind in ROUTED:
            raise behind(f"{mover.tag} in the same query", hint="Send it as a query of its own.")
        if mover is None and may_move(session, statement):
            mover = statement


def behind(what: str, *, hint: str) -> Refused:
    """The refusal of a statement whose names may mean something else than when it was planned."""
    return Refused(f"a statement behind {what}, after which names may mean other tables", hint=hint)


def _folded(settings: Settings) -> str:
    return settings.server.folded


def _deciding(settings: Settings) -> tuple[str | None, str | None]:
    return settings.server.value("search_path"), settings.server.value("role")

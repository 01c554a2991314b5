"""Portals that the proxy answers by itself."""

from typing import TYPE_CHECKING

from shardproxy.errors import Refused
from shardproxy.session import local
from shardproxy.session.prepared import Portal

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from shardproxy.session.extended import Extended


def description(extended: "Extended", portal: Portal) -> bytes:
    """The answer to a Describe of ``portal``."""
    if portal.request is not None:
        return portal.request.explanation(portal.prepared.statement).description()
    return extended.describer.own(portal.prepared).row


def execute(extended: "Extended", portal: Portal) -> "Coroutine[Any, Any, None] | None":
    """Execute ``portal``; what has to be awaited for that, if anything."""
    session = extended.session
    session.shared.counters.proxy.local_answers += 1
    statement, sql = portal.prepared.statement, portal.prepared.text.decode()
    if portal.request is not None:
        answer = portal.request.explanation(statement)
    elif local.is_local(session, statement):
        answer = local.answer(session, statement, sql, portal.values)
    elif local.is_set_in_unopened_block(session, statement):
        return _set_in_unopened_block(extended, portal)
    else:
        raise Refused(
            f"{statement.tag} that was bound before the transaction reached a shard",
            hint="Bind it again.",
        )
    extended.emit(answer.result())
    return None


async def _set_in_unopened_block(extended: "Extended", portal: Portal) -> None:
    sql = portal.prepared.text.decode()
    answer = await local.set_in_unopened_block(extended.session, portal.prepared.statement, sql)
    extended.emit(answer.result())

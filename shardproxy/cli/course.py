"""What the statements of a text leave to those behind them: a block, and the proxy's own settings."""

from dataclasses import replace

from shardproxy.errors import StatementError
from shardproxy.routing.route import ReadPolicy
from shardproxy.routing.router import RoutingContext
from shardproxy.sql.statement import Kind, SettingChange, Statement
from shardproxy.topology.keys import Key, from_text
from shardproxy.topology.shard_map import ShardMap

_BLOCK = {Kind.BEGIN: True, Kind.COMMIT: False, Kind.ROLLBACK: False}
"""Whether a transaction block is open after a statement."""


def tenant_key(shard_map: ShardMap, tenant: str | None) -> Key | None:
    """The key of a named tenant. Raises InvalidKey when it is none of the tenant group's type."""
    if not tenant:
        return None
    return from_text(shard_map.tables.groups[shard_map.tables.tenant_group], tenant)


class Course:
    """Follows a text. ``context`` is what the session would have before the next statement.

    Mutable: ``_committed`` and ``_rolled_back`` are what COMMIT and ROLLBACK would leave of it.
    """

    def __init__(self, shard_map: ShardMap, context: RoutingContext) -> None:
        self.context = context
        self._shard_map = shard_map
        self._session = context
        self._committed = context
        self._rolled_back = context

    def follow(self, statement: Statement) -> None:
        """Take over what ``statement`` changes. Raises StatementError for a value that cannot be set."""
        change = statement.setting
        if statement.kind in _BLOCK:
            self._bound(statement.kind)
        elif change is not None and statement.kind in (Kind.SET, Kind.RESET):
            self.context = self._changed(self.context, change)
            if not change.local:
                self._committed = self._changed(self._committed, change)
                if not self.context.in_transaction:
                    self._rolled_back = self._changed(self._rolled_back, change)

    def _bound(self, kind: Kind) -> None:
        if kind is Kind.BEGIN:
            kept = self.context
        else:
            kept = self._committed if kind is Kind.COMMIT else self._rolled_back
        self._committed = self._rolled_back = kept
        self.context = replace(kept, in_transaction=_BLOCK[kind])

    def _changed(self, context: RoutingContext, change: SettingChange) -> RoutingContext:
        if change.name in ("shardproxy.tenant", "all"):
            context = replace(context, tenant=tenant_key(self._shard_map, change.value))
        if change.name in ("shardproxy.read", "all"):
            context = replace(context, read=self._read(change.value))
        return context

    def _read(self, value: str | None) -> ReadPolicy:
        if value is None:
            return self._session.read
        try:
            return ReadPolicy(value.lower())
        except ValueError:
            raise StatementError(
                f'invalid value for parameter "shardproxy.read": "{value}"',
                sqlstate="22023",
                hint=f"Available values: {', '.join(ReadPolicy)}.",
            ) from None

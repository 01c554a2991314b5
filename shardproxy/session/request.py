"""One request while it is being understood: its text, its values, and what the session and the text itself
add.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from shardproxy.errors import Refused, ShardproxyError
from shardproxy.routing.explain import OF_SESSION, ROUTED, ExplainedKey, Explanation, explain
from shardproxy.routing.parameters import Values
from shardproxy.routing.route import Anywhere, FanOut, OneShard, Role, Route
from shardproxy.routing.router import RoutingContext, route
from shardproxy.session.local import Answer, changed_own
from shardproxy.session.script import script
from shardproxy.session.settings import quote_literal
from shardproxy.session.transaction import NO_BLOCK
from shardproxy.sql.exclusion import without_rows
from shardproxy.sql.hints import NO_SETTINGS, leading_settings
from shardproxy.sql.statement import Kind, Reach, SettingChange, Statement

if TYPE_CHECKING:
    from shardproxy.session.session import Session

EXPLAIN_COLUMNS = ("shards", "role", "reason", "keys")


class Request:
    """A text of ``count`` statements with its values. ``settings`` are the session's with those of a
    leading comment (``own``, which are found here if they are not known yet).
    """

    __slots__ = ("_decoded", "_own", "count", "explains", "session", "settings", "text", "values")

    def __init__(
        self,
        session: "Session",
        text: bytes,
        values: Values,
        count: int = 1,
        own: Mapping[str, str] | None = None,
    ) -> None:
        self.session = session
        self.count = count
        self.text = text
        self.values = values
        self._decoded: str | None = None
        self._own = leading_settings(text) if own is None else own
        self.settings = session.settings
        self.explains = False
        self.refresh()

    def refresh(self) -> None:
        """Take over the session's settings: a statement of the text may have changed them."""
        self.settings = self.session.settings
        if self._own is not NO_SETTINGS:
            self._add_own()

    def _add_own(self) -> None:
        for name, value in self._own.items():
            if name == "shardproxy.explain":
                self.explains = True
            else:
                change = SettingChange(name, value, local=True, sql="")
                self.settings = changed_own(self.settings, self.session.initial, change, self.session.shared)

    def sql(self, statement: Statement) -> str:
        """The text of one statement."""
        if self._decoded is None:
            self._decoded = self.text.decode()
        return self._decoded[statement.start : statement.end]

    def anywhere(self) -> Anywhere:
        """A route for what touches no table."""
        return Anywhere(Role.PRIMARY, "it touches no table")

    def route(self, statement: Statement, primary: bool = False) -> Route:
        """Where ``statement`` goes; ``primary``: not to a replica, whatever the session asks for."""
        found = self._find_route(statement, primary)
        shared = self.session.shared
        if isinstance(found, OneShard):
            shared.counters.proxy.one_shard += 1
        elif isinstance(found, Anywhere):
            shared.counters.proxy.anywhere += 1
        return found

    def _find_route(self, statement: Statement, primary: bool) -> Route:
        session = self.session
        link = session.link
        in_block = link.connection is not None or session.transaction.block is not NO_BLOCK
        context = self.settings.routing[primary or in_block]
        # What any shard can answer, ROLLBACK before all, is answered by the one that has the transaction.
        if context.tenant is not None and statement.reach is Reach.ANYWHERE and session.on_server:
            context = RoutingContext(None, context.read, context.in_transaction)
        if not statement.plain:
            self._check_place(statement)
        return route(statement, self.values, context, session.shared.shard_map)

    def _check_place(self, statement: Statement) -> None:
        session = self.session
        if statement.notifies:
            self._check_notifies_on(session.link.shard if session.link.held else None, statement)
        tenant = self.settings.tenant
        if statement.reveals is not None and tenant is not None and session.shared.options.isolate:
            raise Refused(
                f"{statement.reveals} in a session with a tenant: it shows values of other tenants",
                hint="RESET shardproxy.tenant first.",
            )
        if statement.kind is Kind.COPY_IN and statement.unbound and not self.isolates([statement]):
            raise Refused(
                "COPY FROM into a sharded table, whose rows may belong to several shards",
                hint="SET shardproxy.tenant, with tenant_isolation: enforce, to copy one tenant's rows.",
            )

    def _check_notifies_on(self, shard: int | None, statement: Statement) -> None:
        """LISTEN and NOTIFY have to meet; a transaction on another shard would notify nobody."""
        shard_map = self.session.shared.shard_map
        if shard not in (None, shard_map.designated):
            designated = shard_map.shards[shard_map.designated]
            raise Refused(
                f"{statement.tag} in a transaction on another shard than {designated}",
                hint="Notifications go by that shard: send it outside of the transaction.",
            )

    def explanation(self, *statements: Statement) -> Answer:
        """The answer to a text that begins with ``/* shardproxy.explain */``: where each statement would
        go, and why.
        """
        return Answer("EXPLAIN", EXPLAIN_COLUMNS, tuple(self._explained(each) for each in statements))

    def _explained(self, statement: Statement) -> tuple[str, ...]:
        told = self._explain(statement)
        keys = ", ".join(map(_named, told.keys))
        return ", ".join(told.shards), told.role, told.reason, keys

    def _explain(self, statement: Statement) -> Explanation:
        if statement.kind not in ROUTED:
            return OF_SESSION
        try:
            outcome: Route | ShardproxyError = self._find_route(statement, primary=False)
        except ShardproxyError as error:
            outcome = error
        return explain(statement, outcome, self.session.shared.shard_map, self.values)

    # --- tenant isolation -----------------------------------------------------------------------------------

    def isolates(self, statements: Sequence[Statement]) -> bool:
        """Whether the session's tenant has to be added to the text."""
        if self.settings.tenant is None:
            return False
        shared = self.session.shared
        return shared.options.isolate and any(map(shared.is_of_tenant_group, statements))

    def server_text(self, statements: Sequence[Statement]) -> tuple[bytes, bool]:
        """What is sent for ``statements``, which follow one another, and whether it was rewritten."""
        if self.isolates(statements):
            return script([self._isolated(statement) for statement in statements]).encode(), True
        if len(statements) == self.count:
            return self.text, False
        return script([self.sql(statement) for statement in statements]).encode(), True

    def _isolated(self, statement: Statement) -> str:
        shared = self.session.shared
        if not shared.is_of_tenant_group(statement):
            return self.sql(statement)
        tenant = self.settings.tenant_text
        assert tenant is not None
        return shared.isolator.rewrite(self.sql(statement), quote_literal(tenant), self.session.search_path())


def text_on(session: "Session", route: FanOut, shard: int, text: bytes) -> bytes:
    """``text`` of a fan-out as it runs on ``shard``: without the rows that do not count there."""
    excluded = route.excluded.get(shard)
    if not excluded:
        return text
    shared = session.shared
    return without_rows(
        text.decode(),
        excluded,
        schema=shared.planner.schema,
        rules=shared.shard_map.tables,
        search_path=session.search_path(),
    ).encode()


def _named(key: ExplainedKey) -> str:
    return f"{key.group}={key.text} ({'placed' if key.placed else f'bucket {key.bucket}'})"

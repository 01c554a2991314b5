"""The simple query protocol: one Query message, one or more statements, one ReadyForQuery.

Several statements of one message are one transaction in PostgreSQL. They go to one shard as they are;
where that cannot be, they run one after another if no effect can be half done, and are refused otherwise.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from shardproxy.errors import Refused, RouteAgain
from shardproxy.execute.fan_out import FanOutRun
from shardproxy.routing.parameters import LiteralValues
from shardproxy.routing.route import Anywhere, FanOut, OneShard, Route
from shardproxy.session import effects, local, moving, names
from shardproxy.session.news import newer_map
from shardproxy.session.request import Request, text_on
from shardproxy.session.transaction import Block
from shardproxy.sql.statement import Kind, Statement
from shardproxy.wire.client_messages import parse_query
from shardproxy.wire.replies import NO_READY
from shardproxy.wire.server_messages import ready_for_query

if TYPE_CHECKING:
    from shardproxy.session.session import Session

ROUTED = frozenset({Kind.QUERY, Kind.COPY_IN, Kind.COPY_OUT})
NEEDS_CARE = frozenset({Kind.DISCARD, Kind.DEALLOCATE})


class Simple:
    """Handles Query messages of one session. ``fan_out`` is the one that runs, for cancelling it."""

    def __init__(self, session: "Session") -> None:
        self.session = session
        self.fan_out: FanOutRun | None = None

    async def run(self, body: bytes) -> bool:
        """One Query message. True: answered; False: its replies are on their way."""
        session = self.session
        text = parse_query(body)
        session.extended.forget_unnamed()
        planned = session.shared.planner.simple(text, session.search_path)
        statements = planned.statements
        request = Request(session, text, LiteralValues(planned.literals), len(statements))
        if request.explains:
            session.client.write(request.explanation(*statements).whole())
        elif len(statements) == 1:
            if not await self._one(request, statements[0]):
                return False
        elif not await self._several(request, statements):
            return False
        session.client.write(ready_for_query(session.status))
        return True

    async def _one(self, request: Request, statement: Statement, flags: int = 0) -> bool:
        """One statement. True: answered but for ReadyForQuery; False: its replies are on their way."""
        session = self.session
        session.check_allowed(statement)
        if local.is_local(session, statement):
            session.shared.counters.proxy.local_answers += 1
            session.client.write(
                local.answer(session, statement, request.sql(statement), request.values).whole()
            )
            return True
        if local.is_set_in_unopened_block(session, statement):
            answer = await local.set_in_unopened_block(session, statement, request.sql(statement))
            session.client.write(answer.whole())
            return True
        while True:
            epoch = session.shared.shard_map.epoch
            route = request.route(statement)
            try:
                if isinstance(route, FanOut):
                    await self._fan_out(request, statement, route)
                    return True
                await self._send(request, [statement], route, flags)
            except RouteAgain as again:
                await self.wait_to_route(again, epoch)
            else:
                return False

    async def wait_to_route(self, again: RouteAgain, epoch: int) -> None:
        """A map of ``epoch`` did not do: return when there is a newer one. Raises ``again`` where the
        transaction has begun on a server.
        """
        if self.session.link.is_under_way:
            raise again
        await newer_map(self.session, epoch)

    async def _send(
        self, request: Request, statements: Sequence[Statement], route: OneShard | Anywhere, flags: int
    ) -> None:
        """Send the statements, which follow one another in the text, to one shard. Raises RouteAgain before
        anything was sent.
        """
        session = self.session
        text, rewritten = request.server_text(statements)
        await session.link.take(route)
        await session.link.open_block()
        for statement in statements:
            session.pin(statement)
            effects.expect(session, statement, request.values)
        closing: Sequence[str] = ()
        for i, statement in enumerate(statements, 1):
            closing = effects.restoring(session, statement, alone=len(statements) == 1)
            if closing and i < len(statements):
                raise Refused(
                    f"{statement.tag} before other statements, where the session began with settings",
                    hint="Send it last, or as a query of its own.",
                )
        opening = session.transaction.take_opening()
        if session.transaction.script is not None or len(statements) > 1:
            self._follow(request, statements)
        session.link.send_query(text, opening, flags, rewritten=rewritten, closing=closing)

    def _follow(self, request: Request, statements: Sequence[Statement]) -> None:
        """Note what the statements, about to be sent, mean for a move of their block."""
        session = self.session
        transaction = session.transaction
        begins = statements[0].kind is Kind.BEGIN and transaction.block is Block.NONE
        if begins and not session.link.in_group:
            transaction.script = [request.sql(statements[0])]
            statements = statements[1:]
        for statement in statements:
            if transaction.script is None:
                return
            closing = effects.restoring(session, statement)
            moving.follow(session, statement, request.values, request.text, closing)

    async def _fan_out(self, request: Request, statement: Statement, route: FanOut) -> None:
        session = self.session
        session.shared.counters.proxy.fan_out += 1
        text, _ = request.server_text([statement])
        run = self.begin_fan_out(route)
        try:
            await run.simple({shard: text_on(session, route, shard, text) for shard in route.shards})
        finally:
            self.fan_out = None

    def begin_fan_out(self, route: FanOut) -> FanOutRun:
        """A fan-out that can be cancelled and held back; the caller sets ``fan_out`` to None at its end."""
        session = self.session
        shared = session.shared
        run = self.fan_out = FanOutRun(
            shared.shards,
            route,
            session.settings.server,
            session.client,
            fallback=shared.options.replica_fallback,
            last_write=session.link.last_write,
        )
        if session.slow:
            run.pause()
        return run

    # --- several statements ---------------------------------------------------------------------------------

    async def _several(self, request: Request, statements: tuple[Statement, ...]) -> bool:
        """Several statements; as :meth:`_one`."""
        session = self.session
        at = 0
        while at < len(statements) and (
            self._is_own_setting(statements[at]) or session.transaction.block is Block.BROKEN
        ):
            await self._one(request, statements[at])
            request.refresh()
            at += 1
        rest = statements[at:]
        if not rest:
            return True
        if len(rest) == 1:
            return await self._one(request, rest[0])
        session.check_allowed(rest[0])
        names.check_fixed(session, rest)
        for statement in rest:
            session.check_known(statement)
            alone = self._is_own_setting(statement) or statement.kind in NEEDS_CARE
            if alone and any(other.kind in ROUTED for other in rest):
                raise Refused(
                    f"{statement.tag} of the proxy between other statements of one query",
                    hint="Send it first, or as a query of its own.",
                )
        if self._needs_no_server(rest):
            return await self._one_by_one(request, rest)
        while True:
            epoch = session.shared.shard_map.epoch
            route = self._common_route(request, rest)
            if route is None:
                return await self._one_by_one(request, rest)
            try:
                await self._send(request, rest, route, 0)
            except RouteAgain as again:
                await self.wait_to_route(again, epoch)
            else:
                return False

    def _needs_no_server(self, statements: Sequence[Statement]) -> bool:
        """Whether the proxy answers all of them, SET inside a block among them."""
        session = self.session
        in_block = session.transaction.block is not Block.NONE
        for statement in statements:
            if statement.kind in (Kind.SET, Kind.RESET, Kind.SET_TRANSACTION) and in_block:
                if session.on_server:
                    return False
            elif not local.is_local(session, statement):
                return False
            if statement.kind in (Kind.BEGIN, Kind.COMMIT, Kind.ROLLBACK):
                in_block = statement.kind is Kind.BEGIN
        return True

    @staticmethod
    def _is_own_setting(statement: Statement) -> bool:
        setting = statement.setting
        return setting is not None and setting.name.startswith(local.PREFIX)

    def _common_route(self, request: Request, statements: Sequence[Statement]) -> OneShard | Anywhere | None:
        """Where all statements can go together; None: nowhere, but they may run one after another."""
        common: OneShard | Anywhere | None = None
        several = False
        for statement in statements:
            if statement.kind not in ROUTED:
                continue
            route: Route = request.route(statement, primary=True)
            if isinstance(route, FanOut):
                several = True
            elif common is None or isinstance(common, Anywhere):
                common = route
            elif isinstance(route, OneShard) and route.shard != common.shard:
                several = True
            elif isinstance(route, OneShard):
                common = replace(common, guards=tuple({*common.guards, *route.guards}))
        if not several:
            return common or request.anywhere()
        harmless = all(statement.read_only and statement.kind is Kind.QUERY for statement in statements)
        if harmless and self.session.transaction.block is Block.NONE and not self.session.on_server:
            return None
        raise Refused(
            "several statements in one query that belong to several shards: they are one transaction",
            hint="Send them as queries of their own.",
        )

    async def _one_by_one(self, request: Request, statements: Sequence[Statement]) -> bool:
        """Each statement as if it were a query of its own, with one ReadyForQuery at the end of all."""
        session = self.session
        for statement in statements:
            if not await self._one(request, statement, NO_READY) and not await session.relay_end():
                return True
        return True

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
from shardproxy.session.eager import Outcome, settled
from shardproxy.session.effects import expect
from shardproxy.session.link import Link
from shardproxy.session.news import newer_map
from shardproxy.session.request import Request, text_on
from shardproxy.session.transaction import BROKEN, NO_BLOCK
from shardproxy.sql.planner import Planner
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
        self.link: Link = session.link
        self.fan_out: FanOutRun | None = None

    def run(self, body: bytes) -> Outcome:
        """One Query message. True: answered; False: its replies are on their way."""
        session = self.session
        text = parse_query(body)
        session.extended.forget_unnamed()
        planner: Planner = session.shared.planner
        planned = planner.simple(text, session.search_path())
        statements = planned.statements
        request = Request(session, text, LiteralValues(planned.literals), len(statements))
        if request.explains:
            session.client.hold(request.explanation(*statements).whole())
            outcome: Outcome = True
        elif len(statements) == 1:
            outcome = self._one(request, statements[0])
        else:
            outcome = self._several(request, statements)
        if outcome is True:
            session.client.write(ready_for_query(session.status))
        return outcome if isinstance(outcome, bool) else self._finish(outcome)

    async def _finish(self, outcome: Outcome) -> bool:
        answered = await settled(outcome)
        if answered:
            self.session.client.write(ready_for_query(self.session.status))
        return answered

    def _one(self, request: Request, statement: Statement, flags: int = 0) -> Outcome:
        """One statement. True: answered but for ReadyForQuery; False: its replies are on their way."""
        session = self.session
        session.check_allowed(statement)
        if not statement.plain:
            if local.is_local(session, statement):
                self._answer(request, statement)
                return True
            if local.is_set_in_unopened_block(session, statement):
                return self._set_in_unopened_block(request, statement)
        epoch = session.shared.shard_map.epoch
        route = request.route(statement)
        if isinstance(route, FanOut) or not self._send_now(request, (statement,), route, flags):
            return self._run_routed(request, statement, route, epoch, flags)
        return False

    def _answer(self, request: Request, statement: Statement) -> None:
        session = self.session
        session.shared.counters.proxy.local_answers += 1
        answer = local.answer(session, statement, request.sql(statement), request.values)
        session.client.hold(answer.whole())

    async def _set_in_unopened_block(self, request: Request, statement: Statement) -> bool:
        session = self.session
        answer = await local.set_in_unopened_block(session, statement, request.sql(statement))
        session.client.hold(answer.whole())
        return True

    async def _run_routed(
        self, request: Request, statement: Statement, route: Route, epoch: int, flags: int
    ) -> bool:
        """Run the statement by ``route``, which was made by the map of ``epoch``, or by the route of a newer
        map.
        """
        shared = self.session.shared
        while True:
            try:
                if isinstance(route, FanOut):
                    await self._fan_out(request, statement, route)
                    return True
                await self._send(request, (statement,), route, flags)
            except RouteAgain as again:
                await self.wait_to_route(again, epoch)
            else:
                return False
            epoch = shared.shard_map.epoch
            route = request.route(statement)

    async def wait_to_route(self, again: RouteAgain, epoch: int) -> None:
        """A map of ``epoch`` did not do: return when there is a newer one. Raises ``again`` where the
        transaction has begun on a server.
        """
        if self.link.is_under_way:
            raise again
        await newer_map(self.session, epoch)

    def _send_now(
        self, request: Request, statements: tuple[Statement, ...], route: OneShard | Anywhere, flags: int
    ) -> bool:
        """:meth:`_send` where a connection is at hand; else False, and nothing was done."""
        text, rewritten = request.server_text(statements)
        if self.link.take_now(route) is None:
            return False
        self._send_on(request, statements, text, rewritten, flags)
        return True

    async def _send(
        self, request: Request, statements: tuple[Statement, ...], route: OneShard | Anywhere, flags: int
    ) -> None:
        """Send the statements, which follow one another in the text, to one shard. Raises RouteAgain before
        anything was sent.
        """
        text, rewritten = request.server_text(statements)
        await self.link.take(route)
        await self.link.open_block()
        self._send_on(request, statements, text, rewritten, flags)

    def _send_on(
        self, request: Request, statements: tuple[Statement, ...], text: bytes, rewritten: bool, flags: int
    ) -> None:
        """Send the statements as ``text`` on the connection that the link holds."""
        session = self.session
        for statement in statements:
            if not statement.plain:
                session.pin(statement)
            expect(session, statement, request.values)
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
        self.link.send_query(text, opening, flags, rewritten, closing)

    def _follow(self, request: Request, statements: Sequence[Statement]) -> None:
        """Note what the statements, about to be sent, mean for a move of their block."""
        session = self.session
        transaction = session.transaction
        begins = statements[0].kind is Kind.BEGIN and transaction.block is NO_BLOCK
        if begins and not self.link.in_group:
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
            self._is_own_setting(statements[at]) or session.transaction.block is BROKEN
        ):
            await settled(self._one(request, statements[at]))
            request.refresh()
            at += 1
        rest = statements[at:]
        if not rest:
            return True
        if len(rest) == 1:
            return await settled(self._one(request, rest[0]))
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
        in_block = session.transaction.block is not NO_BLOCK
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
        if harmless and self.session.transaction.block is NO_BLOCK and not self.session.on_server:
            return None
        raise Refused(
            "several statements in one query that belong to several shards: they are one transaction",
            hint="Send them as queries of their own.",
        )

    async def _one_by_one(self, request: Request, statements: Sequence[Statement]) -> bool:
        """Each statement as if it were a query of its own, with one ReadyForQuery at the end of all."""
        session = self.session
        for statement in statements:
            answered = await settled(self._one(request, statement, NO_READY))
            if not answered and not await session.relay_end():
                return True
        return True

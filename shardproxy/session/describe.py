"""What a prepared statement is, its parameters and its columns: a server says it, once for all sessions."""

from typing import TYPE_CHECKING

from shardproxy.backend.connection import ServerConnection
from shardproxy.backend.request import learn
from shardproxy.errors import ShardproxyError
from shardproxy.routing.route import Anywhere, Role
from shardproxy.session import local
from shardproxy.session.prepared import Description, DescriptionKey, Prepared, described
from shardproxy.session.request import EXPLAIN_COLUMNS
from shardproxy.sql.statement import Kind
from shardproxy.wire import server_messages
from shardproxy.wire.client_messages import FLUSH
from shardproxy.wire.replies import Learn
from shardproxy.wire.server_messages import TEXT_OID

if TYPE_CHECKING:
    from shardproxy.session.extended import Extended
    from shardproxy.session.session import Session

EXPLAIN_ROW = local.Answer("EXPLAIN", EXPLAIN_COLUMNS).description()


class Describer:
    """Finds descriptions for the prepared statements of one session, whose messages ``extended`` handles."""

    def __init__(self, session: "Session", extended: "Extended") -> None:
        self.session = session
        self.extended = extended

    def known(self, prepared: Prepared) -> Description | None:
        """What a server has said of the statement, or the proxy says of its own; None: ask."""
        if prepared.description is None:
            statement = prepared.statement
            if statement.plain:
                prepared.description = self._remembered(prepared)
            elif local.is_local(self.session, statement) or statement.kind is Kind.EMPTY:
                prepared.description = self.own(prepared)
            elif not statement.private:
                prepared.description = self._remembered(prepared)
        return prepared.description

    def _remembered(self, prepared: Prepared) -> Description | None:
        return self.session.shared.descriptions.get(self.key(prepared, prepared.text))

    def key(self, prepared: Prepared, text: bytes) -> DescriptionKey:
        """Under what the description of ``text``, of which ``prepared`` is made, is kept."""
        session = self.session
        return text, prepared.oids, session.search_path(), session.settings.server.value("role")

    async def learn(self, prepared: Prepared) -> Description:
        """What a server says of the statement; asked once for all sessions."""
        known = self.known(prepared)
        if known is None:
            key = self.key(prepared, prepared.text)
            known = prepared.description = described(await self._ask(prepared))
            if not prepared.statement.private:
                self.session.shared.descriptions.put(key, known)
        return known

    @staticmethod
    def answer(prepared: Prepared, known: Description) -> bytes:
        """The answer to a Describe of the statement, which is ``known``."""
        explains = "shardproxy.explain" in prepared.own_settings()
        return known.parameters + (EXPLAIN_ROW if explains else known.row)

    def own(self, prepared: Prepared) -> Description:
        """The description of what the proxy answers."""
        statement = prepared.statement
        row = server_messages.NO_DATA
        if statement.kind is Kind.SHOW and statement.name is not None:
            row = local.Answer("SHOW", (statement.name,)).description()
        if statement.set_config:
            row = local.Answer("SELECT 1", ("set_config",) * len(statement.set_config)).description()
        oids = (TEXT_OID,) * max([change.parameter for change in statement.set_config], default=0)
        parameters = server_messages.parameter_description(oids)
        return Description(oids, parameters, row, server_messages.shape_of(parameters[5:], row))

    async def _ask(self, prepared: Prepared) -> Learn:
        """Ask the held connection, if there is one, else any of the designated shard."""
        session = self.session
        connection = await session.link.take(Anywhere(Role.PRIMARY, "to describe a statement"))
        try:
            name = prepared.name
            if not (session.on_server or session.link.in_group):  # it has not seen the block's SET
                name = prepared.name_of(prepared.text, session.settings_at_rest().folded)
            return await self.ask_on(connection, prepared, name, prepared.text)
        finally:
            if not session.on_server:
                session.link.give_back()

    async def ask_on(
        self, connection: ServerConnection, prepared: Prepared, name: bytes, text: bytes
    ) -> Learn:
        """Ask the connection on the link about ``text``, made of ``prepared`` and known there as ``name``; in
        the middle of a group by Parse, Describe and Flush among its messages.
        """
        session, extended, oids = self.session, self.extended, prepared.oids
        prepared.renew(connection, name)
        if not session.link.in_group:
            return await learn(connection, name, text, oids)
        done = session.loop.create_future()
        learned = Learn(name, lambda: None if done.done() else done.set_result(None))
        extended.out.append(connection.describe(learned, text, oids) + FLUSH)
        extended.send()
        session.learning = done
        try:
            await done
        finally:
            session.learning = None
        if learned.row is None:  # the error has gone by, to the client
            raise SkippedError("skipped")
        return learned


class SkippedError(ShardproxyError):
    """The client has been told of an error already; the rest of its group is skipped."""

"""Who is let in, and with which settings: what all client connections share."""

import asyncio
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from shardproxy.backend.request import ServerError, command
from shardproxy.backend.server import SocketOptions, tune
from shardproxy.errors import LoginFailed, Unavailable
from shardproxy.frontend.options import FrontendOptions
from shardproxy.frontend.registry import Registry
from shardproxy.session.local import PREFIX, changed_own
from shardproxy.session.settings import NO_SETTINGS, ServerSettings, Settings, set_statement
from shardproxy.session.shared import Shared
from shardproxy.sql.statement import SettingChange
from shardproxy.wire.authenticate import ScramOffer
from shardproxy.wire.scram_keys import Verifier
from shardproxy.wire.startup import Startup

if TYPE_CHECKING:
    from shardproxy.frontend.connection import ClientConnection

REMEMBERED = 500


class Gate:
    """``shared`` is None until the schema is known; until then nobody is let in.

    ``connections`` are all there are, in every phase. ``_reported`` remembers what servers report under
    settings that clients begin with.
    """

    def __init__(
        self, options: FrontendOptions, shared: Shared, registry: Registry, sockets: SocketOptions
    ) -> None:
        self.options = options
        self.shared = shared
        self.registry = registry
        self.offer = ScramOffer(mock_secret=secrets.token_bytes(32))
        self.connections: set[ClientConnection] = set()
        self._sockets = sockets
        self._reported: dict[ServerSettings, Mapping[str, str]] = {}

    def tune(self, transport: asyncio.Transport) -> None:
        """Keepalives and time-outs on a client's socket."""
        sock = transport.get_extra_info("socket")
        if sock is not None:
            tune(sock, self._sockets)

    def verifier(self, user: str) -> Verifier | None:
        """What the password of ``user`` is checked against."""
        return self.options.verifiers.get(user)

    def check_admission(self, startup: Startup) -> None:
        """Raise why nobody, or not this client, is let in now."""
        if self.shared.draining:
            raise Unavailable("the database system is shutting down", sqlstate="57P03")
        if not self.shared.is_ready:
            raise Unavailable(
                "shardproxy cannot serve yet: the schema could not be read from any shard", sqlstate="57P03"
            )
        if self.registry.is_full:
            raise Unavailable("sorry, too many clients already", sqlstate="53300")
        if startup.database != self.options.database:
            raise LoginFailed(
                f'database "{startup.database}" does not exist',
                sqlstate="3D000",
                hint=f'shardproxy serves one database, "{self.options.database}".',
            )

    async def settings_for(self, startup: Startup) -> tuple[Settings, Mapping[str, str]]:
        """The session's settings from its start-up packet, and the ParameterStatus to tell it.

        A server checks the values; its error is the client's.
        """
        own = Settings(read=self.shared.options.default_read)
        server = NO_SETTINGS
        for name, value in startup.settings.items():
            if name.startswith(PREFIX):
                own = changed_own(own, own, SettingChange(name, value, local=False, sql=""), self.shared)
            elif name != "client_encoding":
                server = server.changed(name, set_statement(name, value), value)
        return own.with_server(server), await self._parameters(server)

    async def _parameters(self, server: ServerSettings) -> Mapping[str, str]:
        known = self._reported.get(server)
        if known is None:
            if set(server.changes) <= {"application_name"} and self.shared.parameters:
                name = server.value("application_name")
                known = {**self.shared.parameters, "application_name": name or ""}
            else:
                known = await self._ask(server)
            self._reported[server] = known
            if len(self._reported) > REMEMBERED:
                self._reported.pop(next(iter(self._reported)))
        return known

    async def _ask(self, server: ServerSettings) -> Mapping[str, str]:
        """Apply the settings on a server connection and see what it reports."""
        shared = self.shared
        pool = shared.shards[shared.shard_map.designated].primary
        future = pool.request()
        try:
            connection = await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                pool.release(future.result())
            raise
        try:
            connection.settings = None
            await command(connection, server.script())
            connection.settings = server
            return dict(connection.parameters)
        except ServerError as error:
            raise LoginFailed(
                error.message, sqlstate=error.sqlstate, detail=error.detail, hint=error.hint
            ) from None
        finally:
            pool.release(connection)

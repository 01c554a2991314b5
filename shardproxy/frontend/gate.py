"""Who is let in, and with which settings: what all client connections share."""

import asyncio
import secrets
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from shardproxy.backend.pool import Pool
from shardproxy.backend.request import ServerError, command
from shardproxy.backend.server import SocketOptions, tune
from shardproxy.errors import LoginFailed, Refused, Unavailable
from shardproxy.frontend.options import FrontendOptions
from shardproxy.frontend.registry import Registry
from shardproxy.frontend.virtual import VirtualDatabase
from shardproxy.session.effects import check_setting
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
UTF8_NAMES = frozenset({"utf8", "unicode", "sqlascii"})


class Gate:
    """Nobody is let in before ``shared.is_ready``, but to the ``virtual`` database, if there is one.

    ``connections`` are all there are, in every phase; ``_tasks`` are cancel requests under way.
    ``_reported`` remembers what servers report under settings that clients begin with.
    """

    def __init__(
        self, options: FrontendOptions, shared: Shared, registry: Registry, sockets: SocketOptions
    ) -> None:
        self.options = options
        self.shared = shared
        self.registry = registry
        self.virtual: VirtualDatabase | None = None
        self.offer = ScramOffer(mock_secret=secrets.token_bytes(32))
        self.connections: set[ClientConnection] = set()
        self._sockets = sockets
        self._reported: dict[ServerSettings, Mapping[str, str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    def came(self, connection: "ClientConnection") -> None:
        """A client has connected."""
        self.connections.add(connection)
        self._empty.clear()

    def left(self, connection: "ClientConnection") -> None:
        """Its connection is closed."""
        self.connections.discard(connection)
        if not self.connections:
            self._empty.set()

    async def emptied(self, timeout: float) -> bool:
        """Wait until no client is connected, at most ``timeout`` seconds; whether it came to that."""
        try:
            async with asyncio.timeout(timeout):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    def tune(self, transport: asyncio.Transport) -> None:
        """Keepalives and time-outs on a client's socket."""
        sock = transport.get_extra_info("socket")
        if sock is not None:
            tune(sock, self._sockets)

    def verifier(self, user: str) -> Verifier | None:
        """What the password of ``user`` is checked against."""
        return self.options.verifiers.get(user)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work``, which outlives the connection that asked for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def virtual_for(self, startup: Startup) -> VirtualDatabase | None:
        """The virtual database, if that is what the client asks for."""
        virtual = self.virtual
        return virtual if virtual is not None and virtual.name == startup.database else None

    def check_admission(self, startup: Startup) -> None:
        """Raise why the client is not let in now."""
        if self.shared.draining:
            raise Unavailable("the database system is shutting down", sqlstate="57P03")
        if self.virtual_for(startup) is not None:
            return
        if not self.shared.is_ready:
            raise Unavailable(
                "shardproxy cannot serve yet: the schema could not be read from any shard", sqlstate="57P03"
            )
        if self.registry.is_full:
            raise Unavailable("sorry, too many clients already", sqlstate="53300")

    def check_database(self, startup: Startup) -> None:
        """Raise unless the client, which has logged in, asks for the database there is."""
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
            elif name == "client_encoding":
                _check_encoding(value)
            else:
                check_setting(SettingChange(name, value, local=False, sql=""))
                server = server.changed(name, set_statement(name, value), value)
        return own.with_server(server), await self._parameters(server)

    async def _parameters(self, server: ServerSettings) -> Mapping[str, str]:
        """What a server reports under these settings; asked once for all clients that begin with them."""
        name = server.value("application_name")
        rest = server if name is None else server.without("application_name")
        known = self._reported.get(rest)
        if known is None:
            known = self._reported[rest] = await self._ask(rest)
            if len(self._reported) > REMEMBERED:
                self._reported.pop(next(iter(self._reported)))
        return known if name is None else {**known, "application_name": name}

    async def _ask(self, server: ServerSettings) -> Mapping[str, str]:
        """Ask the designated shard, or another one while that is away."""
        shared = self.shared
        failure: Unavailable | None = None
        for number in shared.shards.in_order(shared.shard_map.designated):
            try:
                return await _reported_by(shared.shards[number].primary, server)
            except Unavailable as error:
                failure = failure or error
        assert failure is not None
        raise failure

    def forget_reports(self) -> None:
        """Servers may report something else from now on."""
        self._reported.clear()


def _check_encoding(value: str) -> None:
    """Texts are read as UTF-8. SQL_ASCII asks for bytes as they are, and they are UTF-8 on every server.

    As in PostgreSQL, only the letters and digits of the name count.
    """
    if "".join(filter(str.isalnum, value.lower())) not in UTF8_NAMES:
        raise Refused(f"client_encoding {value}", hint="Use client_encoding = 'UTF8'.")


async def _reported_by(pool: Pool, server: ServerSettings) -> Mapping[str, str]:
    """Apply the settings on a server connection and see what it reports."""
    connection = await pool.acquire()
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

"""Opening a connection to a server: the socket, the login script, and the checks before it may serve
anybody.
"""

import asyncio
from typing import cast

from shardproxy.backend.connection import ServerConnection
from shardproxy.backend.server import Address, Login, SocketOptions, tune
from shardproxy.errors import Blame, ShardproxyError, Unavailable
from shardproxy.routing.route import Role
from shardproxy.wire.frames import FrameReader
from shardproxy.wire.login import LoggedIn, LoginOptions, LoginScript, login_script
from shardproxy.wire.scram_keys import KeyCache

MAX_LOGIN_MESSAGE = 64 * 1024

_keys = KeyCache()


class _LoginProtocol(asyncio.Protocol):
    """Feeds the login script with what the server sends; ``done`` ends with the logged-in connection.

    The connection takes over the transport together with the last message of the login, so that nothing
    which comes after it, not even the end, is missed.
    """

    def __init__(self, script: LoginScript, settings: object) -> None:
        self.done: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()
        self._script = script
        self._settings = settings
        self._reader = FrameReader(MAX_LOGIN_MESSAGE)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        transport.write(next(self._script))

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._reader.feed(data):
                if self.done.done():
                    raise Unavailable("the server sent more than its login")
                self._step(message)
            if self.done.done() and self._reader.buffered:
                raise Unavailable("the server sent more than its login")
        except ShardproxyError as error:
            if not self.done.done():
                self.done.set_exception(error)
            elif not self.done.cancelled() and self.done.exception() is None:
                self.done.result().abort(error.message)

    def _step(self, message: tuple[int, bytes]) -> None:
        assert self._transport is not None
        try:
            answer = self._script.send(message)
        except StopIteration as end:
            logged_in: LoggedIn = end.value
            connection = ServerConnection(
                logged_in.pid, logged_in.secret, dict(logged_in.parameters), self._settings
            )
            connection.adopt(self._transport)
            self.done.set_result(connection)
        else:
            if answer:
                self._transport.write(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(Unavailable("server closed the connection during the login"))


async def open_connection(
    address: Address,
    login: Login,
    role: Role,
    sockets: SocketOptions,
    *,
    connect_timeout: float,
    login_timeout: float,
    settings: object,
) -> ServerConnection:
    """Connect, log in, and check that the server is what ``role`` says; durations in seconds.

    ``settings`` is the value that :attr:`ServerConnection.settings` starts with. Raises Unavailable or
    LoginFailed, with the server's own SQLSTATE and message where it gave one.
    """
    try:
        async with asyncio.timeout(connect_timeout):
            transport, protocol = await _connect(address, login, settings)
    except TimeoutError as error:
        raise Unavailable(f"{address} cannot be connected to within {connect_timeout:g} s") from error
    except OSError as error:
        raise Unavailable(f"{address}: {error.strerror or error}") from error
    connection = await _log_in(transport, protocol, address, sockets, login_timeout)
    problem = role_problem(role, connection.parameters)
    if problem is not None:
        connection.close(problem)
        raise Unavailable(f"{address} {problem}")
    if connection.closed:
        raise Unavailable(f"{address} closed the connection after the login: {connection.reason}")
    return connection


def role_problem(role: Role, parameters: dict[str, str]) -> str | None:
    """Why a server that reports ``parameters`` may not serve ``role``; PostgreSQL reports in_hot_standby
    since 14.
    """
    standby = parameters.get("in_hot_standby")
    if role is Role.PRIMARY and standby == "on":
        return "is a standby, not a primary"
    if role is Role.REPLICA and standby == "off":
        return "is a primary, not a replica"
    if parameters.get("server_encoding") != "UTF8":
        return f"has server_encoding {parameters.get('server_encoding')}, UTF8 is needed"
    return None


async def _connect(
    address: Address, login: Login, settings: object
) -> tuple[asyncio.Transport, _LoginProtocol]:
    loop = asyncio.get_running_loop()
    options = LoginOptions(settings=login.settings, allow_cleartext=address.is_local, derive=_keys.derive)
    script = login_script(login.user, login.database, login.password, options)
    path = address.socket_path
    if path is not None:
        return await loop.create_unix_connection(lambda: _LoginProtocol(script, settings), path)
    return await loop.create_connection(lambda: _LoginProtocol(script, settings), address.host, address.port)


async def _log_in(
    transport: asyncio.Transport,
    protocol: _LoginProtocol,
    address: Address,
    sockets: SocketOptions,
    timeout: float,
) -> ServerConnection:
    try:
        tune(transport.get_extra_info("socket"), sockets)
        async with asyncio.timeout(timeout):
            return await protocol.done
    except BaseException as error:
        transport.abort()
        if isinstance(error, TimeoutError):
            raise Unavailable(f"{address} did not finish the login within {timeout:g} s") from error
        if isinstance(error, OSError):
            raise Unavailable(f"{address}: {error.strerror or error}") from error
        if isinstance(error, ShardproxyError):
            error.blame = Blame.SERVER
        raise

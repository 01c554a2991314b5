"""Our login at real servers of each version, and real clients' logins at ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import psycopg
import pytest

from shardproxy.demo.postgres import Install
from shardproxy.errors import LoginFailed, ShardproxyError, Unavailable
from shardproxy.secret import Secret
from shardproxy.wire import client_messages as client
from shardproxy.wire import server_messages as server
from shardproxy.wire.authenticate import AuthMethod, ScramOffer, authenticate
from shardproxy.wire.frames import FrameReader
from shardproxy.wire.login import LoginOptions, Message, login_script
from shardproxy.wire.scram_keys import KeyCache, Verifier
from shardproxy.wire.startup import Startup, parse_first_packet, startup_length
from tests.support import aio
from tests.wire.blocking import Wire
from tests.wire.conftest import PASSWORD, LoginServer

METHODS = ["trusted", "clear", "hashed", "scrambled"]
GOOD = Secret(PASSWORD)


@pytest.mark.parametrize("user", METHODS)
def test_every_method_logs_in_and_the_session_works(login_server: LoginServer, user: str) -> None:
    options = LoginOptions(settings={"application_name": "shardproxy"}, allow_cleartext=True)
    with Wire(login_server.port) as wire:
        session = wire.log_in(login_script(user, "postgres", GOOD, options))
        assert session.minor == login_server.minor
        assert len(session.secret) == (32 if session.minor == 2 else 4)
        assert session.parameters["application_name"] == "shardproxy"
        wire.socket.sendall(client.query(b"SELECT current_user, pg_backend_pid()"))
        rows = [server.parse_data_row(body) for kind, body in wire.until(ord("Z")) if kind == ord("D")]
        assert rows == [(user.encode(), str(session.pid).encode())]


def test_the_extended_protocol_as_we_build_it(login_server: LoginServer) -> None:
    with Wire(login_server.port) as wire:
        wire.log_in(login_script("trusted", "postgres", None, LoginOptions()))
        bind = client.bind(b"", b"client_name", [1], [b"\0\0\0\7"], [0])
        wire.socket.sendall(
            client.rename_parse(client.parse(b"client_name", b"SELECT $1 + 1", [23])[5:], b"ours")
            + client.describe(b"S", b"ours")
            + client.rename_statement(bind[5:], b"ours")
            + client.execute()
            + client.close(b"S", b"ours")
            + client.SYNC
        )
        answers = wire.until(ord("Z"))
        assert [chr(kind) for kind, _ in answers] == list("1tT2DC3Z")
        bodies = {chr(kind): body for kind, body in answers}
        assert server.parse_parameter_description(bodies["t"]) == (23,)
        assert [column.type_oid for column in server.parse_row_description(bodies["T"])] == [23]
        assert server.parse_data_row(bodies["D"]) == (b"8",)
        assert server.parse_command_complete(bodies["C"]) == "SELECT 1"


@pytest.mark.parametrize("user", METHODS[1:])
def test_a_wrong_password_is_refused(login_server: LoginServer, user: str) -> None:
    options = LoginOptions(allow_cleartext=True)
    with Wire(login_server.port) as wire, pytest.raises(LoginFailed) as raised:
        wire.log_in(login_script(user, "postgres", Secret("wrong"), options))
    assert raised.value.message == f'password authentication failed for user "{user}"'
    assert raised.value.sqlstate == "28P01"


@pytest.mark.parametrize(
    ("user", "database", "expected"),
    [
        ("trusted", "nowhere", LoginFailed('database "nowhere" does not exist', sqlstate="3D000")),
        ("full_up", "postgres", Unavailable('too many connections for role "full_up"', sqlstate="53300")),
        (
            "nobody",
            "postgres",
            LoginFailed(
                'the server does not accept the login of user "nobody" to database "postgres"',
                sqlstate="28000",
            ),
        ),
    ],
)
def test_other_refusals(
    login_server: LoginServer, user: str, database: str, expected: ShardproxyError
) -> None:
    with Wire(login_server.port) as wire, pytest.raises(type(expected)) as raised:
        wire.log_in(login_script(user, database, None, LoginOptions()))
    assert (raised.value.sqlstate, raised.value.message) == (expected.sqlstate, expected.message)


def test_cached_keys_log_in_again(login_server: LoginServer) -> None:
    options = LoginOptions(derive=KeyCache().derive)
    for _ in range(2):
        with Wire(login_server.port) as wire:
            assert wire.log_in(login_script("scrambled", "postgres", GOOD, options)).pid


def test_a_cancel_request_with_the_key_we_read(login_server: LoginServer) -> None:
    with Wire(login_server.port) as wire:
        session = wire.log_in(login_script("trusted", "postgres", None, LoginOptions()))
        wire.socket.sendall(client.query(b"SELECT pg_sleep(60)"))
        wire.socket.settimeout(0.2)
        answers: list[Message] = []
        while not answers:  # a request that comes before the statement runs finds nothing to cancel
            with Wire(login_server.port) as other:
                other.socket.sendall(client.cancel_request(session.pid, session.secret))
            with suppress(TimeoutError):
                answers = wire.until(ord("Z"))
        errors = [server.parse_error(body)["C"] for kind, body in answers if kind == ord("E")]
        assert errors == ["57014"]


# --- real clients at our side -----------------------------------------------------------------------

PSQL = Install.find().bin("psql")
USERS = {"app": Verifier.from_password(GOOD)}


async def _read(reader: asyncio.StreamReader, frames: FrameReader, messages: list[Message]) -> Message:
    while not messages:
        data = await reader.read(65_536)
        if not data:
            raise ConnectionError
        messages.extend(frames.feed(data))
    return messages.pop(0)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Start-up, SCRAM, and one fixed answer to every query."""
    frames, messages = FrameReader(65_536), list[Message]()
    try:
        while True:
            first = parse_first_packet(await reader.readexactly(startup_length(await reader.readexactly(4))))
            if isinstance(first, Startup):
                break
            writer.write(b"N")
        script = authenticate(first.user, AuthMethod.SCRAM, USERS.get, ScramOffer(b"mock"))
        writer.write(first.negotiation + next(script))
        try:
            while True:
                writer.write(script.send(await _read(reader, frames, messages)))
        except StopIteration as stop:
            writer.write(stop.value)
        for name, value in {"server_version": "18.0", "client_encoding": "UTF8", **first.settings}.items():
            writer.write(server.parameter_status(name, value))
        secret = b"k" * (32 if first.minor == 2 else 4)
        writer.write(server.backend_key_data(7, secret) + server.ready_for_query(server.READY_IDLE))
        while (message := await _read(reader, frames, messages))[0] == ord("Q"):
            sql = client.parse_query(message[1]).decode()
            writer.write(
                server.row_description([server.Column("sql"), server.Column("minor", 23, type_size=4)])
            )
            writer.write(server.data_row([sql, str(first.minor)]) + server.command_complete("SELECT 1"))
            writer.write(server.ready_for_query(server.READY_IDLE))
    except ShardproxyError as error:
        writer.write(server.error_response(error))
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def front_door() -> AsyncIterator[int]:
    """Our side of the login on a free port of loopback."""
    listener = await asyncio.start_server(_serve, "127.0.0.1", 0)
    async with listener:
        yield listener.sockets[0].getsockname()[1]


async def psql(port: int, password: str, *, user: str = "app", **environment: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        str(PSQL),
        "-XAtc",
        "SELECT 'hello'",
        f"host=127.0.0.1 port={port} user={user} dbname=shop",
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PGPASSWORD": password,
            "LC_ALL": "C.UTF-8",
            **environment,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


def test_psql_logs_in_and_reads_our_answer() -> None:
    async def scenario() -> None:
        async with front_door() as port:
            assert await psql(port, PASSWORD) == (0, "SELECT 'hello'|0\n")

    aio.run(scenario())


def test_psql_shows_our_refusals_as_postgresqls() -> None:
    async def scenario() -> None:
        async with front_door() as port:
            for user in ("app", "ghost"):
                code, output = await psql(port, "wrong", user=user)
                assert code == 2
                assert f'FATAL:  password authentication failed for user "{user}"' in output
            code, output = await psql(port, PASSWORD, PGOPTIONS="-c nonsense=1")
            assert 'FATAL:  unrecognized configuration parameter "nonsense"' in output

    aio.run(scenario())


def test_asyncpg_logs_in() -> None:
    async def scenario() -> None:
        async with front_door() as port:
            where = {"host": "127.0.0.1", "port": port, "user": "app", "database": "shop"}
            connection = await asyncpg.connect(
                **where, password=PASSWORD, server_settings={"shardproxy.tenant": "a"}
            )
            assert connection.get_server_pid() == 7
            await connection.close()
            with pytest.raises(asyncpg.InvalidPasswordError):
                await asyncpg.connect(**where, password="wrong")

    aio.run(scenario())


@pytest.mark.skipif(psycopg.pq.version() < 180000, reason="libpq speaks protocol 3.2 since 18")
@pytest.mark.parametrize(("version", "minor"), [("3.0", "0"), ("3.2", "2")])
def test_libpq_logs_in_with_both_protocol_versions(version: str, minor: str) -> None:
    async def scenario() -> None:
        async with front_door() as port:
            connection = await psycopg.AsyncConnection.connect(
                host="127.0.0.1",
                port=port,
                user="app",
                password=PASSWORD,
                max_protocol_version=version,
                autocommit=True,
            )
            result = await asyncio.to_thread(connection.pgconn.exec_, b"SELECT 1")
            assert result.get_value(0, 1) == minor.encode()
            await connection.close()

    aio.run(scenario())

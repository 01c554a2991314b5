"""The same first packets to a server and to our parser: both accept or both refuse in the same words."""

import struct

import pytest

from shardproxy.errors import ShardproxyError
from shardproxy.wire import client_messages as client
from shardproxy.wire import server_messages as server
from shardproxy.wire.startup import Startup, parse_first_packet
from tests.wire.blocking import Wire
from tests.wire.conftest import LoginServer
from tests.wire.test_startup_options import ACCEPTED, REFUSED

USER = {"user": "trusted", "database": "postgres"}


def theirs(port: int, packet: bytes) -> dict[int, list[bytes]] | tuple[str, str]:
    """The bodies of the server's greeting by type, or (SQLSTATE, message) of its refusal."""
    with Wire(port) as wire:
        wire.socket.sendall(packet)
        greeting: dict[int, list[bytes]] = {}
        while True:
            kind, body = wire.next()
            if kind == ord("E"):
                fields = server.parse_error(body)
                return fields["C"], fields["M"]
            greeting.setdefault(kind, []).append(body)
            if kind == ord("Z"):
                return greeting


def ours(packet: bytes) -> Startup | tuple[str, str]:
    try:
        first = parse_first_packet(packet[4:])
    except ShardproxyError as error:
        return error.sqlstate, error.message
    assert isinstance(first, Startup)
    return first


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"user": ""},
        {"user": "trusted", "nonsense": "1"},
        {"user": "trusted", "client_encoding": "bogus"},
        {"user": "trusted", "replication": "quux"},
        {"user": "trusted", "replication": "o"},
        *({"user": "trusted", "options": options} for options in REFUSED),
    ],
)
def test_refusals_are_worded_as_the_servers(login_server: LoginServer, parameters: dict[str, str]) -> None:
    packet = client.startup({**parameters, "database": "postgres"})
    assert ours(packet) == theirs(login_server.port, packet)


@pytest.mark.parametrize("rest", [b"", b"user\0trusted\0", b"user\0trusted\0\0junk", b"user\0trusted\0odd\0"])
def test_broken_layouts_are_worded_as_the_servers(login_server: LoginServer, rest: bytes) -> None:
    packet = struct.pack("!iHH", len(rest) + 8, 3, 0) + rest
    assert ours(packet) == theirs(login_server.port, packet)


def test_another_major_version_is_worded_as_the_servers(login_server: LoginServer) -> None:
    packet = client.startup(USER)
    packet = packet[:4] + b"\0\4\0\0" + packet[8:]
    sqlstate, message = ours(packet)
    said = message.replace("3.0 to 3.2", f"3.0 to 3.{login_server.minor}")
    assert (sqlstate, said) == theirs(login_server.port, packet)


@pytest.mark.parametrize("options", ACCEPTED)
def test_options_give_the_server_the_same_settings(login_server: LoginServer, options: str) -> None:
    packet = client.startup({**USER, "options": options})
    first, greeting = ours(packet), theirs(login_server.port, packet)
    assert isinstance(first, Startup)
    assert isinstance(greeting, dict)
    reported = dict(map(server.parse_parameter_status, greeting[ord("S")]))
    assert reported["application_name"] == first.settings.get("application_name", "")


@pytest.mark.parametrize("minor", [0, 2, 3, 9999])
def test_versions_are_negotiated_as_by_postgresql_18(login_server: LoginServer, minor: int) -> None:
    if login_server.minor < 2:
        pytest.skip("this server speaks only 3.0")
    packet = client.startup({**USER, "_pq_.future": "1"} if minor == 9999 else USER, minor)
    first, greeting = ours(packet), theirs(login_server.port, packet)
    assert isinstance(first, Startup)
    assert isinstance(greeting, dict)
    assert [first.negotiation[5:]] == greeting.get(ord("v"), [b""])
    assert len(greeting[ord("K")][0]) == 4 + (32 if first.minor == 2 else 4)

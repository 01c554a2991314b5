"""First packets, answered as PostgreSQL 18 answers the same bytes (test_startup_live.py asks it)."""

import struct

import pytest

from shardproxy.errors import LoginFailed, ProtocolViolation
from shardproxy.wire import client_messages as client
from shardproxy.wire import startup
from shardproxy.wire.server_messages import negotiate_protocol_version


def parse(parameters: dict[str, str], minor: int = 0) -> startup.Startup:
    packet = client.startup(parameters, minor)
    assert startup.startup_length(packet[:4]) == len(packet) - 4
    first = startup.parse_first_packet(packet[4:])
    assert isinstance(first, startup.Startup)
    return first


def test_a_usual_startup() -> None:
    first = parse({"user": "app", "database": "shop", "application_name": "web", "DateStyle": "ISO"})
    assert (first.minor, first.user, first.database, first.negotiation) == (0, "app", "shop", b"")
    assert first.settings == {"application_name": "web", "datestyle": "ISO"}
    assert first.parameters["DateStyle"] == "ISO"


def test_the_database_defaults_to_the_user() -> None:
    assert parse({"user": "app"}).database == "app"
    assert parse({"user": "app", "database": ""}).database == "app"


@pytest.mark.parametrize(
    ("requested", "spoken", "negotiated"), [(0, 0, None), (2, 2, None), (1, 0, 0), (3, 2, 2), (9999, 2, 2)]
)
def test_the_protocol_version_is_negotiated_down(requested: int, spoken: int, negotiated: int | None) -> None:
    first = parse({"user": "app"}, requested)
    assert first.minor == spoken
    assert first.negotiation == (b"" if negotiated is None else negotiate_protocol_version(negotiated))


def test_unknown_protocol_options_are_named_and_ignored() -> None:
    first = parse({"user": "app", "_pq_.one": "1", "_pq_.two": "2"}, 2)
    assert first.negotiation == negotiate_protocol_version(2, ["_pq_.one", "_pq_.two"])
    assert first.settings == {}


def test_settings_of_the_packet_win_over_those_of_options() -> None:
    first = parse(
        {
            "user": "app",
            "options": "-c datestyle=ISO -c shardproxy.tenant=acme --statement-timeout=5s",
            "DateStyle": "German",
        }
    )
    assert first.settings == {"datestyle": "German", "shardproxy.tenant": "acme", "statement_timeout": "5s"}


@pytest.mark.parametrize("value", ["false", "0", "off", "no", "f", "FALSE"])
def test_a_client_that_says_it_does_not_replicate_is_welcome(value: str) -> None:
    assert parse({"user": "app", "replication": value}).settings == {}


@pytest.mark.parametrize(
    ("parameters", "sqlstate", "message"),
    [
        ({"database": "shop"}, "28000", "no PostgreSQL user name specified in startup packet"),
        ({"user": ""}, "28000", "no PostgreSQL user name specified in startup packet"),
        ({"user": "a", "replication": "database"}, "0A000", "replication connections are not accepted"),
        ({"user": "a", "replication": "on"}, "0A000", "replication connections are not accepted"),
        ({"user": "a", "replication": "o"}, "22023", 'invalid value for parameter "replication": "o"'),
        ({"user": "a", "replication": ""}, "22023", 'invalid value for parameter "replication": ""'),
        ({"user": "a", "nonsense": "1"}, "42704", 'unrecognized configuration parameter "nonsense"'),
        (
            {"user": "a", "session_authorization": "b"},
            "42704",
            'unrecognized configuration parameter "session_authorization"',
        ),
        (
            {"user": "a", "options": "-c local_preload_libraries=x"},
            "42704",
            'unrecognized configuration parameter "local_preload_libraries"',
        ),
        ({"user": "a", "x = 1; --": "1"}, "42704", 'unrecognized configuration parameter "x = 1; --"'),
        (
            {"user": "a", "client_encoding": "sjis"},
            "22023",
            'invalid value for parameter "client_encoding": "sjis"',
        ),
        ({"user": "a", "options": "-c work_mem"}, "42601", "-c work_mem requires a value"),
    ],
)
def test_parameters_that_are_refused(parameters: dict[str, str], sqlstate: str, message: str) -> None:
    with pytest.raises(LoginFailed) as raised:
        parse(parameters)
    assert (raised.value.sqlstate, raised.value.message, raised.value.severity) == (
        sqlstate,
        message,
        "FATAL",
    )


def test_asyncpgs_spelling_of_utf8_is_accepted() -> None:
    assert parse({"user": "a", "client_encoding": "'utf-8'"}).settings["client_encoding"] == "'utf-8'"


@pytest.mark.parametrize(("major", "minor"), [(2, 0), (1, 0), (4, 0), (1234, 5681), (0, 0)])
def test_other_major_versions_are_refused_in_postgresqls_words(major: int, minor: int) -> None:
    with pytest.raises(startup.UnsupportedProtocol) as raised:
        startup.parse_first_packet(struct.pack("!HH", major, minor) + b"user\0a\0\0")
    assert raised.value.sqlstate == "0A000"
    assert (
        raised.value.message == f"unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2"
    )


@pytest.mark.parametrize(
    "rest", [b"", b"user\0a\0", b"user\0a", b"user\0a\0\0junk", b"user\0a\0odd\0", b"user\0a\0\0\0", b"user"]
)
def test_a_packet_whose_layout_is_wrong(rest: bytes) -> None:
    with pytest.raises(ProtocolViolation) as raised:
        startup.parse_first_packet(b"\0\3\0\0" + rest)
    assert raised.value.message == "invalid startup packet layout: expected terminator as last byte"


def test_names_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(LoginFailed) as raised:
        startup.parse_first_packet(b"\0\3\0\0user\0\xff\0\0")
    assert raised.value.sqlstate == "22021"


@pytest.mark.parametrize("length", [-1, 0, 4, 7, 10_005, 0x7FFFFFFF])
def test_lengths_out_of_bounds_are_refused_before_anything_is_read(length: int) -> None:
    with pytest.raises(ProtocolViolation, match="invalid length of startup packet"):
        startup.startup_length(struct.pack("!i", length))


def test_the_longest_and_the_shortest_first_packet() -> None:
    assert startup.startup_length(struct.pack("!i", 10_004)) == 10_000
    assert startup.startup_length(client.SSL_REQUEST[:4]) == 4


def test_requests_for_encryption() -> None:
    assert startup.parse_first_packet(client.SSL_REQUEST[4:]) == startup.SslRequest()
    assert startup.parse_first_packet(client.GSSENC_REQUEST[4:]) == startup.GssRequest()
    with pytest.raises(ProtocolViolation):
        startup.parse_first_packet(client.SSL_REQUEST[4:] + b"x")


@pytest.mark.parametrize("size", [4, 32, 256])
def test_cancel_requests_carry_4_to_256_bytes_of_secret(size: int) -> None:
    packet = client.cancel_request(7, b"k" * size)
    assert startup.startup_length(packet[:4]) == len(packet) - 4
    assert startup.parse_first_packet(packet[4:]) == startup.CancelRequest(7, b"k" * size)


@pytest.mark.parametrize("size", [0, 3, 257])
def test_cancel_requests_with_another_secret_are_refused(size: int) -> None:
    with pytest.raises(ProtocolViolation, match="invalid length of query cancel packet"):
        startup.parse_first_packet(client.cancel_request(7, b"k" * size)[4:])

"""No bytes whatsoever make a parser fail in another way than it promises."""

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardproxy.errors import LoginFailed, ProtocolViolation, ShardproxyError
from shardproxy.secret import Secret
from shardproxy.wire import client_messages as client
from shardproxy.wire import server_messages as server
from shardproxy.wire.authenticate import AuthMethod, ScramOffer, authenticate
from shardproxy.wire.login import LoginOptions, login_script
from shardproxy.wire.scram_keys import Verifier
from shardproxy.wire.startup import parse_first_packet

PARSERS: list[Callable[[bytes], Any]] = [
    client.parse_query,
    client.parse_parse,
    client.parse_bind,
    client.parse_describe,
    client.parse_close,
    client.parse_execute,
    client.parse_copy_fail,
    client.parse_empty,
    client.parse_password,
    client.parse_sasl_initial_response,
    lambda body: client.rename_statement(body, b"x"),
    lambda body: client.rename_parse(body, b"x"),
    server.parse_error,
    lambda body: server.shift_error_position(b"E\0\0\0\0" + body, 3),
    lambda body: server.without_position(b"E\0\0\0\0" + body),
    server.parse_parameter_status,
    server.parse_backend_key_data,
    server.parse_parameter_description,
    server.parse_row_description,
    server.parse_data_row,
    server.parse_command_complete,
    server.parse_ready_for_query,
    server.parse_authentication,
    server.parse_sasl_mechanisms,
    server.parse_negotiate_protocol_version,
]

PIECES = st.sampled_from(
    [
        b"\0",
        b"\0\0",
        b"\0\1",
        b"\xff\xff",
        b"\0\0\0\4",
        b"\xff" * 4,
        b"\x7f\xff\xff\xff",
        b"S",
        b"P",
        b"abc",
        b"\xc3",
    ]
)
BODIES = st.one_of(st.binary(max_size=64), st.lists(PIECES, max_size=14).map(b"".join))

few = settings(max_examples=150, deadline=None)


@pytest.mark.parametrize("parser", PARSERS, ids=range(len(PARSERS)))
def test_parsers_raise_nothing_but_violations(parser: Callable[[bytes], Any]) -> None:
    @few
    @given(BODIES)
    def check(body: bytes) -> None:
        try:
            parser(body)
        except ProtocolViolation:
            pass

    check()


@few
@given(st.one_of(st.binary(max_size=64), BODIES.map(lambda rest: b"\0\3\0\0user\0x\0" + rest + b"\0")))
def test_first_packets_raise_nothing_but_violations_and_failed_logins(body: bytes) -> None:
    try:
        parse_first_packet(body)
    except (ProtocolViolation, LoginFailed):
        pass


@few
@given(
    st.dictionaries(
        st.sampled_from(["options", "client_encoding", "replication", "a.b", "DateStyle"]),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    )
)
def test_any_text_as_a_parameter(parameters: dict[str, str]) -> None:
    try:
        parse_first_packet(client.startup({"user": "u", **parameters})[4:])
    except LoginFailed:
        pass


MESSAGES = st.lists(
    st.tuples(
        st.sampled_from(b"RESKZNvp"),
        st.one_of(
            BODIES, st.integers(0, 13).flatmap(lambda n: BODIES.map(lambda b: struct.pack("!i", n) + b))
        ),
    ),
    max_size=8,
)


@few
@given(MESSAGES)
def test_no_server_makes_a_login_fail_in_an_unexpected_way(messages: list[tuple[int, bytes]]) -> None:
    script = login_script("app", "shop", Secret("x"), LoginOptions(allow_cleartext=True))
    next(script)
    try:
        for message in messages:
            script.send(message)
    except (ShardproxyError, StopIteration):
        pass


SCRAM_TEXTS = st.lists(
    st.sampled_from(
        [b"n,,", b"y,,", b"p=", b"a=", b"n=", b"r=", b"abc", b",", b"m=", b"c=biws", b"p=AAAA", b"=", b"\xff"]
    )
).map(b"".join)
VERIFIER = Verifier.from_password(Secret("x"), iterations=1)


@few
@given(SCRAM_TEXTS, SCRAM_TEXTS)
def test_no_client_makes_authentication_fail_in_an_unexpected_way(first: bytes, final: bytes) -> None:
    script = authenticate("app", AuthMethod.SCRAM, lambda _: VERIFIER, ScramOffer(b"s"))
    next(script)
    try:
        script.send((ord("p"), client.sasl_initial_response("SCRAM-SHA-256", first)[5:]))
        script.send((ord("p"), final))
    except (ProtocolViolation, LoginFailed):
        pass


@few
@given(
    st.binary(max_size=8).filter(lambda name: 0 not in name),
    st.lists(st.one_of(st.none(), st.binary(max_size=8)), max_size=5),
    st.lists(st.integers(0, 1), max_size=1),
)
def test_bind_survives_a_round_trip_and_a_renaming(
    name: bytes, values: list[bytes | None], formats: list[int]
) -> None:
    message = client.bind(b"portal", name, formats, values, formats)
    assert client.parse_bind(message[5:]) == (b"portal", name, tuple(formats), tuple(values), tuple(formats))
    assert client.rename_statement(message[5:], b"new") == client.bind(
        b"portal", b"new", formats, values, formats
    )

"""Logging in to a server, as transcripts; real servers are in test_login_live.py."""

import struct
from collections.abc import Sequence

import pytest

from shardproxy.errors import Blame, LoginFailed, ProtocolViolation, ShardproxyError, Unavailable
from shardproxy.secret import Secret
from shardproxy.wire import client_messages as client
from shardproxy.wire import server_messages as server
from shardproxy.wire.login import MAX_LOGIN_MESSAGE, LoggedIn, LoginOptions, Message, login_script
from shardproxy.wire.scram import SCRAM_SHA_256, SCRAM_SHA_256_PLUS, scram_server
from shardproxy.wire.scram_keys import Verifier

PASSWORD = Secret("pencil")
VERIFIER = Verifier.from_password(PASSWORD, iterations=1)

OK = server.authentication_ok()
KEY = server.backend_key_data(42, b"k" * 32)
READY = server.ready_for_query(server.READY_IDLE)
NOTICE = server.notice_response("NOTICE", "00000", "hello")


def split(data: bytes) -> list[Message]:
    messages = []
    while data:
        length = struct.unpack_from("!i", data, 1)[0]
        messages.append((data[0], data[5 : length + 1]))
        data = data[length + 1 :]
    return messages


def play(
    *replies: bytes, password: Secret | None = PASSWORD, options: LoginOptions | None = None
) -> tuple[list[bytes], LoggedIn]:
    """What the script sends after the startup packet to a server that says ``replies``, and its result."""
    script = login_script("app", "shop", password, options or LoginOptions())
    sent = [next(script)]
    messages = split(b"".join(replies))
    for message in messages[:-1]:
        sent.append(script.send(message))
    with pytest.raises(StopIteration) as stop:
        script.send(messages[-1])
    return [data for data in sent[1:] if data], stop.value.value


def failure(
    *replies: bytes, password: Secret | None = PASSWORD, options: LoginOptions | None = None
) -> ShardproxyError:
    """The error that ends a login to a server that says ``replies``; it must come with the last of them."""
    script = login_script("app", "shop", password, options or LoginOptions())
    next(script)
    messages = split(b"".join(replies))
    for message in messages[:-1]:
        script.send(message)
    with pytest.raises(ShardproxyError) as raised:
        script.send(messages[-1])
    return raised.value


def test_the_startup_packet_names_user_database_and_settings() -> None:
    script = login_script(
        "app", "shop", None, LoginOptions(settings={"application_name": "x", "user": "other"})
    )
    packet = next(script)
    assert packet[4:8] == b"\0\3\0\2"
    assert set(packet[8:].split(b"\0\0")[0].split(b"\0")) >= {b"app", b"shop", b"application_name", b"x"}
    assert b"other" not in packet


def test_trust() -> None:
    sent, session = play(
        OK, server.parameter_status("a", "1"), NOTICE, server.parameter_status("a", "2"), KEY, READY
    )
    assert sent == []
    assert session == LoggedIn(42, b"k" * 32, 2, {"a": "2"})


def test_a_server_without_cancel_keys() -> None:
    assert play(OK, READY)[1] == LoggedIn(0, b"", 2, {})


def test_cleartext_where_it_is_allowed() -> None:
    sent, _ = play(server.authentication_cleartext(), OK, READY, options=LoginOptions(allow_cleartext=True))
    assert sent == [client.password_message("pencil")]


def test_cleartext_is_refused_where_somebody_may_listen() -> None:
    error = failure(server.authentication_cleartext())
    assert isinstance(error, LoginFailed)
    assert "in the clear" in error.message


def test_md5() -> None:
    sent, _ = play(server.authentication_md5(b"abcd"), OK, READY, password=Secret("secret"))
    assert sent == [client.password_message("md5883f61cc18cc4ae54ca301892bb10c29")]


@pytest.mark.parametrize(
    "request_",
    [
        server.authentication_cleartext(),
        server.authentication_md5(b"abcd"),
        server.authentication_sasl([SCRAM_SHA_256]),
    ],
)
def test_a_password_that_is_not_configured(request_: bytes) -> None:
    error = failure(request_, password=None, options=LoginOptions(allow_cleartext=True))
    assert isinstance(error, LoginFailed)
    assert "none is configured" in error.message


# --- SCRAM ------------------------------------------------------------------------------------------


def scram_login(
    offered: Sequence[str], chosen: str, *, binding: bytes | None = None, flag: bytes
) -> LoggedIn:
    script = login_script("app", "shop", PASSWORD, LoginOptions(binding=binding))
    next(script)
    peer = scram_server(
        "app", VERIFIER, mechanism=chosen, binding=binding if SCRAM_SHA_256_PLUS in offered else None
    )
    next(peer)
    ((_, body),) = split(script.send(split(server.authentication_sasl(offered))[0]))
    initial = client.parse_sasl_initial_response(body)
    assert initial.mechanism == chosen
    assert initial.data is not None
    assert initial.data.startswith(flag)
    challenge = server.authentication_sasl_continue(peer.send(initial.data))
    ((_, final),) = split(script.send(split(challenge)[0]))
    with pytest.raises(StopIteration) as stop:
        peer.send(final)
    assert script.send(split(server.authentication_sasl_final(stop.value.value))[0]) == b""
    assert script.send(split(OK)[0]) == b""
    with pytest.raises(StopIteration) as end:
        script.send(split(READY)[0])
    return end.value.value


def test_scram() -> None:
    assert scram_login([SCRAM_SHA_256], SCRAM_SHA_256, flag=b"n,,").minor == 2


def test_scram_is_bound_to_the_channel_where_the_server_offers_it() -> None:
    scram_login([SCRAM_SHA_256_PLUS, SCRAM_SHA_256], SCRAM_SHA_256_PLUS, binding=b"hash", flag=b"p=")


def test_scram_says_that_it_could_have_been_bound() -> None:
    scram_login([SCRAM_SHA_256], SCRAM_SHA_256, binding=b"hash", flag=b"y,,")


def test_scram_without_tls_ignores_the_offer_of_a_bound_one() -> None:
    scram_login([SCRAM_SHA_256_PLUS, SCRAM_SHA_256], SCRAM_SHA_256, flag=b"n,,")


def test_a_server_that_skips_its_own_proof_is_not_trusted() -> None:
    """It may accept any password only to get at the statements."""
    offer = server.authentication_sasl([SCRAM_SHA_256])
    assert "before it has proved" in failure(offer, OK).message

    script = login_script("app", "shop", PASSWORD, LoginOptions())
    next(script)
    ((_, body),) = split(script.send(split(offer)[0]))
    initial = client.parse_sasl_initial_response(body)
    assert initial.data is not None
    peer = scram_server("app", VERIFIER)
    next(peer)
    script.send(split(server.authentication_sasl_continue(peer.send(initial.data)))[0])
    with pytest.raises(ProtocolViolation, match="before it has proved"):
        script.send(split(OK)[0])


def test_a_server_whose_proof_is_wrong_is_not_trusted() -> None:
    script = login_script("app", "shop", PASSWORD, LoginOptions())
    next(script)
    ((_, body),) = split(script.send(split(server.authentication_sasl([SCRAM_SHA_256]))[0]))
    initial = client.parse_sasl_initial_response(body)
    assert initial.data is not None
    peer = scram_server("app", VERIFIER)
    next(peer)
    script.send(split(server.authentication_sasl_continue(peer.send(initial.data)))[0])
    with pytest.raises(LoginFailed, match="incorrect server signature"):
        script.send(split(server.authentication_sasl_final(b"v=AAAA"))[0])


def test_unknown_methods_are_refused() -> None:
    assert "mechanisms" in failure(server.authentication_sasl(["OAUTHBEARER"])).message
    assert "unsupported authentication method (7)" in failure(b"R\0\0\0\x08\0\0\0\7").message


# --- protocol versions ------------------------------------------------------------------------------


def test_an_older_server_negotiates_the_protocol_down() -> None:
    assert play(server.negotiate_protocol_version(0), OK, READY)[1].minor == 0


@pytest.mark.parametrize(
    "offer",
    [
        server.negotiate_protocol_version(1),
        server.negotiate_protocol_version(2),
        server.negotiate_protocol_version(3),
        server.negotiate_protocol_version(0, ["_pq_.x"]),
    ],
)
def test_a_negotiation_that_makes_no_sense(offer: bytes) -> None:
    assert failure(offer).message == "invalid protocol negotiation message"


# --- servers that refuse, and servers that cheat ----------------------------------------------------


def test_after_authentication_the_servers_words_are_passed_on() -> None:
    theirs = LoginFailed(
        'database "shop" does not exist', sqlstate="3D000", hint="Create it.", detail="None."
    )
    error = failure(OK, server.error_response(theirs))
    assert isinstance(error, LoginFailed)
    assert (error.message, error.sqlstate, error.hint, error.detail, error.blame) == (
        'database "shop" does not exist',
        "3D000",
        "Create it.",
        "None.",
        Blame.SERVER,
    )


def test_notices_never_end_a_login() -> None:
    assert play(NOTICE, OK, NOTICE, KEY, NOTICE, READY)[1].pid == 42


@pytest.mark.parametrize(
    "replies",
    [
        [READY],
        [KEY],
        [OK, OK],
        [OK, b"D\0\0\0\6\0\0"],
        [OK, server.ready_for_query(server.READY_TRANSACTION)],
        [OK, server.backend_key_data(1, b"abc")],
        [server.authentication_md5(b"abc")],
        [server.authentication_md5(b"abcd"), server.authentication_md5(b"abcd")],
        [server.authentication_sasl([SCRAM_SHA_256]), server.authentication_sasl_final(b"v=")],
        [b"R\0\0\0\4"],
        [server.negotiate_protocol_version(0), server.negotiate_protocol_version(0)],
        [OK, b"S\0\0\x27\x14" + b"x" * 10_000],
        [b"R" + struct.pack("!i", MAX_LOGIN_MESSAGE + 5) + b"\0" * (MAX_LOGIN_MESSAGE + 1)],
        [NOTICE] * 1_001,
    ],
)
def test_messages_out_of_place_are_the_servers_fault(replies: list[bytes]) -> None:
    error = failure(*replies)
    assert isinstance(error, ProtocolViolation)
    assert error.blame is Blame.SERVER


def test_a_refusal_before_authentication() -> None:
    theirs = Unavailable("the database system is starting up", sqlstate="57P03")
    error = failure(server.error_response(theirs))
    assert isinstance(error, Unavailable)
    assert error.sqlstate == "57P03"

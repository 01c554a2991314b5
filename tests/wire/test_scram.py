"""SCRAM as transcripts: RFC 7677's own, both sides against each other, and peers that cheat."""

import base64
from collections.abc import Callable

import pytest

from shardproxy.errors import Blame, LoginFailed, ProtocolViolation
from shardproxy.secret import Secret
from shardproxy.wire import scram
from shardproxy.wire.scram import SCRAM_SHA_256, SCRAM_SHA_256_PLUS, scram_client, scram_server
from shardproxy.wire.scram_keys import Verifier

PENCIL = Verifier.from_password(
    Secret("pencil"), iterations=4096, salt=base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
)
CHEAP = Verifier.from_password(Secret("pencil"), iterations=1, salt=b"salt")
CERTIFICATE = b"\x5a" * 32


def test_the_transcript_of_rfc_7677() -> None:
    server = scram_server("user", PENCIL, nonce=b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
    assert next(server) == b""
    assert server.send(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO") == (
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    with pytest.raises(StopIteration) as stop:
        server.send(
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        )
    assert stop.value.value == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def exchange(
    password: str = "pencil",
    *,
    flag: bytes = b"n",
    mechanism: str = SCRAM_SHA_256,
    seen: bytes = b"",
    ours: bytes | None = None,
    tamper: Callable[[bytes], bytes] = lambda message: message,
) -> list[bytes]:
    """Both sides against each other; the messages exchanged. ``tamper`` changes each on its way."""
    client = scram_client(Secret(password), flag=flag, binding=seen)
    server = scram_server("app", CHEAP, mechanism=mechanism, binding=ours)
    next(server)
    transcript = [next(client)]
    transcript.append(server.send(tamper(transcript[-1])))
    transcript.append(client.send(tamper(transcript[-1])))
    with pytest.raises(StopIteration) as stop:
        server.send(tamper(transcript[-1]))
    transcript.append(stop.value.value)
    with pytest.raises(StopIteration):
        client.send(tamper(transcript[-1]))
    return transcript


def test_both_sides_agree() -> None:
    first, challenge, final, proof = exchange()
    assert first.startswith(b"n,,n=,r=")
    assert challenge.startswith(b"r=" + first.removeprefix(b"n,,n=,r="))
    assert final.startswith(b"c=biws,r=")
    assert proof.startswith(b"v=")


def test_nonces_are_fresh() -> None:
    assert exchange()[0] != exchange()[0]


def test_both_sides_agree_on_the_channel() -> None:
    first, *_ = exchange(flag=b"p", mechanism=SCRAM_SHA_256_PLUS, seen=CERTIFICATE, ours=CERTIFICATE)
    assert first.startswith(b"p=tls-server-end-point,,n=,r=")


def test_a_wrong_password_fails_as_in_postgresql() -> None:
    with pytest.raises(LoginFailed) as raised:
        exchange("pen")
    assert raised.value.message == 'password authentication failed for user "app"'
    assert (raised.value.sqlstate, raised.value.severity) == ("28P01", "FATAL")


def test_no_password_satisfies_a_mock_verifier() -> None:
    server = scram_server("ghost", Verifier.mock("ghost", b"secret", iterations=1))
    client = scram_client(Secret(""))
    next(server)
    with pytest.raises(LoginFailed, match='password authentication failed for user "ghost"'):
        server.send(client.send(server.send(next(client))))


# --- channel binding --------------------------------------------------------------------------------


def test_a_client_that_saw_another_certificate_is_refused() -> None:
    with pytest.raises(LoginFailed, match="SCRAM channel binding check failed"):
        exchange(flag=b"p", mechanism=SCRAM_SHA_256_PLUS, seen=b"\0" * 32, ours=CERTIFICATE)


def test_a_client_that_could_bind_is_welcome_where_it_was_not_offered() -> None:
    assert exchange(flag=b"y")[2].startswith(b"c=eSws,")


def test_a_client_to_whom_somebody_hid_the_offer_is_refused() -> None:
    with pytest.raises(LoginFailed, match="channel binding negotiation error") as raised:
        exchange(flag=b"y", ours=CERTIFICATE)
    assert raised.value.sqlstate == "28000"


def test_a_client_that_does_not_bind_is_welcome_where_it_was_offered() -> None:
    exchange(flag=b"n", ours=CERTIFICATE)


@pytest.mark.parametrize(("flag", "mechanism"), [(b"p", SCRAM_SHA_256), (b"n", SCRAM_SHA_256_PLUS)])
def test_the_flag_must_fit_the_mechanism(flag: bytes, mechanism: str) -> None:
    with pytest.raises(ProtocolViolation, match="malformed SCRAM message") as raised:
        exchange(flag=flag, mechanism=mechanism, seen=CERTIFICATE if flag == b"p" else b"", ours=CERTIFICATE)
    assert f"The client selected {mechanism}" in str(raised.value.detail)


def test_somebody_who_changes_the_flag_on_the_way_is_noticed() -> None:
    with pytest.raises(ProtocolViolation, match="unexpected SCRAM channel-binding attribute"):
        exchange(flag=b"y", tamper=lambda message: message.replace(b"y,,", b"n,,"))


# --- hostile clients --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "complaint"),
    [
        (b"", "malformed SCRAM message"),
        (b"n,,", "malformed SCRAM message"),
        (b"n,,n=x", "malformed SCRAM message"),
        (b"x,,n=,r=abc", "malformed SCRAM message"),
        (b"n,,r=abc,n=", "malformed SCRAM message"),
        (b"n,,n=,r=", "non-printable characters in SCRAM nonce"),
        (b"n,,n=,r=a\0b", "non-printable characters in SCRAM nonce"),
        (b"n,,n=,r=a b", "non-printable characters in SCRAM nonce"),
        (b"n,a=root,n=,r=abc", "client uses authorization identity, but it is not supported"),
        (b"n,,m=x,n=,r=abc", "client requires an unsupported SCRAM extension"),
        (b"p=tls-unique,,n=,r=abc", "malformed SCRAM message"),
    ],
)
def test_a_malformed_first_message(first: bytes, complaint: str) -> None:
    server = scram_server("app", CHEAP)
    next(server)
    with pytest.raises(ProtocolViolation) as raised:
        server.send(first)
    assert raised.value.message == complaint
    assert raised.value.blame is Blame.CLIENT


def test_another_type_of_channel_binding_is_refused() -> None:
    server = scram_server("app", CHEAP, mechanism=SCRAM_SHA_256_PLUS, binding=CERTIFICATE)
    next(server)
    with pytest.raises(ProtocolViolation, match='unsupported SCRAM channel-binding type "tls-unique"'):
        server.send(b"p=tls-unique,,n=,r=abc")


PROOF = base64.b64encode(b"x" * 32)


@pytest.mark.parametrize(
    ("final", "complaint"),
    [
        (b"", "malformed SCRAM message"),
        (b"c=biws,r=abcdef", "malformed SCRAM message"),
        (b"c=biws,r=abc,p=" + PROOF, "invalid SCRAM response"),
        (b"c=biws,r=abcdefg,p=" + PROOF, "invalid SCRAM response"),
        (b"c=biws,r=abcdef,p=AAA", "malformed SCRAM message"),
        (b"c=biws,r=abcdef,p=AAAA", "malformed SCRAM message"),
        (b"c=biws,r=abcdef,p=" + PROOF + b",x=y", "malformed SCRAM message"),
        (b"c=eSws,r=abcdef,p=" + PROOF, "unexpected SCRAM channel-binding attribute in client-final-message"),
    ],
)
def test_a_malformed_final_message(final: bytes, complaint: str) -> None:
    server = scram_server("app", CHEAP, nonce=b"def")
    next(server)
    server.send(b"n,,n=,r=abc")
    with pytest.raises(ProtocolViolation) as raised:
        server.send(final)
    assert raised.value.message == complaint


# --- hostile servers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("challenge", "complaint"),
    [
        (b"", "malformed SCRAM message"),
        (b"e=other-error", "malformed SCRAM message"),
        (b"r=abcdef,s=c2FsdA==", "malformed SCRAM message"),
        (b"r=abcdef,s=c2FsdA==,i=1,x=y", "malformed SCRAM message"),
        (b"m=x,r=abcdef,s=c2FsdA==,i=1", "malformed SCRAM message"),
        (b"r=abcdef,s=c2FsdA,i=1", "malformed SCRAM message (invalid salt)"),
        (b"r=abcdef,s=====,i=1", "malformed SCRAM message (invalid salt)"),
        (b"r=abc,s=c2FsdA==,i=1", "invalid SCRAM response (nonce mismatch)"),
        (b"r=ab,s=c2FsdA==,i=1", "invalid SCRAM response (nonce mismatch)"),
        (b"r=xabcdef,s=c2FsdA==,i=1", "invalid SCRAM response (nonce mismatch)"),
        (b"r=abcdef,s=c2FsdA==,i=0", "malformed SCRAM message (invalid iteration count 0)"),
        (b"r=abcdef,s=c2FsdA==,i=1000001", "malformed SCRAM message (invalid iteration count 1000001)"),
        (b"r=abcdef,s=c2FsdA==,i=99999999999", "malformed SCRAM message"),
        (b"r=abcdef,s=c2FsdA==,i=-1", "malformed SCRAM message"),
    ],
)
def test_a_challenge_that_cheats(challenge: bytes, complaint: str) -> None:
    client = scram_client(Secret("pencil"), nonce=b"abc")
    next(client)
    with pytest.raises(ProtocolViolation) as raised:
        client.send(challenge)
    assert raised.value.message == complaint
    assert raised.value.blame is Blame.SERVER


def answered(server_final: bytes) -> None:
    client = scram_client(Secret("pencil"), nonce=b"abc")
    next(client)
    client.send(b"r=abcdef,s=c2FsdA==,i=1")
    client.send(server_final)


def test_a_server_that_does_not_know_the_password_is_not_trusted() -> None:
    with pytest.raises(LoginFailed, match="incorrect server signature") as raised:
        answered(b"v=" + base64.b64encode(b"x" * 32))
    assert raised.value.blame is Blame.SERVER


@pytest.mark.parametrize("final", [b"", b"v", b"v=AAA", b"v=*", b"x=y"])
def test_a_malformed_proof_of_the_server(final: bytes) -> None:
    with pytest.raises(ProtocolViolation, match="malformed SCRAM message"):
        answered(final)


def test_text_of_a_server_that_has_proved_nothing_is_only_a_note() -> None:
    with pytest.raises(LoginFailed) as raised:
        answered(b"e=visit evil.example")
    assert "evil" not in raised.value.message
    assert "evil" in raised.value.__notes__[0]


def test_the_limit_on_iterations_admits_what_people_configure() -> None:
    assert scram.MAX_ITERATIONS >= 600_000

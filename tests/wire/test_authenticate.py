"""Checking applications, as transcripts; psql and drivers do it in test_login_live.py."""

import struct

import pytest

from shardproxy.errors import LoginFailed, ProtocolViolation
from shardproxy.secret import Secret
from shardproxy.wire import client_messages as client
from shardproxy.wire import server_messages as server
from shardproxy.wire.authenticate import AuthenticateScript, AuthMethod, ScramOffer, authenticate
from shardproxy.wire.scram import SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramScript, scram_client
from shardproxy.wire.scram_keys import Verifier

USERS = {"app": Verifier.from_password(Secret("pencil"), iterations=1)}
OFFER = ScramOffer(b"mock secret", iterations=1)


def password_body(message: bytes) -> tuple[int, bytes]:
    return message[0], message[5:]


def begin(user: str = "app", offer: ScramOffer = OFFER) -> AuthenticateScript:
    script = authenticate(user, AuthMethod.SCRAM, USERS.get, offer)
    mechanisms = [SCRAM_SHA_256] if offer.binding is None else [SCRAM_SHA_256_PLUS, SCRAM_SHA_256]
    assert next(script) == server.authentication_sasl(mechanisms)
    return script


def challenged(script: AuthenticateScript, peer: ScramScript) -> bytes:
    """The challenge to the first message of ``peer``."""
    reply = script.send(password_body(client.sasl_initial_response(SCRAM_SHA_256, next(peer))))
    code, data = server.parse_authentication(reply[5:])
    assert code == server.AUTHENTICATION_SASL_CONTINUE
    return data


def finish(script: AuthenticateScript, peer: ScramScript, challenge: bytes) -> bytes:
    with pytest.raises(StopIteration) as stop:
        script.send(password_body(client.sasl_response(peer.send(challenge))))
    return stop.value.value


def test_trust_asks_for_nothing() -> None:
    with pytest.raises(StopIteration) as stop:
        next(authenticate("anybody", AuthMethod.TRUST, USERS.get, OFFER))
    assert stop.value.value == server.authentication_ok()


def test_scram_ends_with_our_proof_and_authentication_ok() -> None:
    script, peer = begin(), scram_client(Secret("pencil"))
    last = finish(script, peer, challenged(script, peer))
    length = struct.unpack_from("!i", last, 1)[0] + 1
    assert last[length:] == server.authentication_ok()
    code, proof = server.parse_authentication(last[5:length])
    assert code == server.AUTHENTICATION_SASL_FINAL
    with pytest.raises(StopIteration):
        peer.send(proof)


def test_a_client_may_wait_for_an_empty_challenge() -> None:
    script, peer = begin(), scram_client(Secret("pencil"))
    silent = b"SCRAM-SHA-256\0\xff\xff\xff\xff"
    assert script.send((ord("p"), silent)) == server.authentication_sasl_continue(b"")
    challenge = script.send(password_body(client.sasl_response(next(peer))))
    assert finish(script, peer, challenge[9:])


def test_a_wrong_password_and_an_unknown_user_look_the_same() -> None:
    for user in ("app", "ghost"):
        script, peer = begin(user), scram_client(Secret("wrong"))
        final = peer.send(challenged(script, peer))
        with pytest.raises(LoginFailed) as raised:
            script.send(password_body(client.sasl_response(final)))
        assert raised.value.message == f'password authentication failed for user "{user}"'
        assert (raised.value.sqlstate, raised.value.severity) == ("28P01", "FATAL")


def test_an_unknown_user_keeps_its_salt() -> None:
    salts = {challenged(begin("ghost"), scram_client(Secret("x"))).split(b",")[1] for _ in range(3)}
    assert len(salts) == 1


def test_a_mechanism_that_was_not_offered() -> None:
    for mechanism in ("SCRAM-SHA-256-PLUS", "PLAIN", ""):
        with pytest.raises(ProtocolViolation) as raised:
            begin().send(password_body(client.sasl_initial_response(mechanism, b"n,,n=,r=abc")))
        assert raised.value.message == "client selected an invalid SASL authentication mechanism"


def test_the_bound_mechanism_is_offered_first_where_there_is_tls() -> None:
    offer = ScramOffer(b"mock secret", binding=b"hash", iterations=1)
    script, peer = begin(offer=offer), scram_client(Secret("pencil"), flag=b"p", binding=b"hash")
    reply = script.send(password_body(client.sasl_initial_response(SCRAM_SHA_256_PLUS, next(peer))))
    assert finish(script, peer, reply[9:]).endswith(server.authentication_ok())


def test_another_message_instead_of_a_response() -> None:
    with pytest.raises(ProtocolViolation, match="expected SASL response, got message type 81"):
        begin().send(password_body(client.query(b"SELECT 1")))


def test_a_response_that_is_too_long() -> None:
    with pytest.raises(ProtocolViolation, match="invalid message length"):
        begin().send((ord("p"), b"x" * 65_537))


def test_the_mock_secret_does_not_show() -> None:
    assert "mock secret" not in repr(OFFER)

"""Keys and verifiers, against the verifiers real servers make."""

import psycopg
import pytest
from psycopg import sql

from shardproxy.secret import Secret
from shardproxy.wire.scram_keys import SALT_BYTES, KeyCache, ScramKeys, Verifier

PASSWORDS = [
    "pencil",
    " with space ",
    "p\u00e4ss w\u00f6rd'",
    "I\u00adX",
    "\u00aa\u2168",
    "a\u00a0\u3000b",
    "\u00ad",
    "\u00ad\u0007",
    "\u00ad\u0627\u0031",
    "\u00ad\u0627a\u0627",
    "\u00ad\u0627\u0628",
    "\u00ad\u0221",
    "\u00ad\ue000",
    "\u1680\u200b",
    "\U0001f600",
    "x" * 400,
]


@pytest.mark.parametrize("password", PASSWORDS)
def test_verifiers_are_those_postgresql_makes(live: psycopg.Connection, password: str) -> None:
    live.execute("DROP ROLE IF EXISTS made")
    live.execute("SET password_encryption = 'scram-sha-256'")
    live.execute(sql.SQL("CREATE ROLE made PASSWORD {}").format(password))
    row = live.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'made'").fetchone()
    assert row is not None
    theirs = Verifier.parse(row[0])
    ours = Verifier.from_password(Secret(password), iterations=theirs.iterations, salt=theirs.salt)
    assert ours == theirs
    assert ours.encode() == row[0]
    assert len(theirs.salt) == SALT_BYTES


GOOD = Verifier.from_password(Secret("x"), iterations=1, salt=b"0123456789abcdef").encode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pencil",
        "md5" + "0" * 32,
        GOOD.replace("SCRAM-SHA-256", "SCRAM-SHA-1"),
        GOOD.replace("$1:", "$0:"),
        GOOD.replace("$1:", "$-1:"),
        GOOD.replace("$1:", "$9999999999:"),
        GOOD[:-4],
        GOOD + "\n",
        GOOD[:-5] + "==A==",
    ],
)
def test_what_is_not_a_verifier_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match="not a SCRAM-SHA-256 verifier") as raised:
        Verifier.parse(text)
    assert not text or text not in str(raised.value)


def test_keys_do_not_show_in_a_representation() -> None:
    verifier = Verifier.parse(GOOD)
    keys = ScramKeys.derive(Secret("x"), b"salt", 1)
    shown = f"{verifier!r} {verifier} {keys!r} {keys}"
    for secret in (verifier.stored_key, verifier.server_key, keys.client_key, keys.server_key):
        assert repr(secret)[2:-1] not in shown


def test_salts_are_random_unless_given() -> None:
    assert (
        Verifier.from_password(Secret("x"), iterations=1).salt
        != Verifier.from_password(Secret("x"), iterations=1).salt
    )


def test_a_mock_verifier_has_a_constant_salt_per_user_and_secret() -> None:
    ghost = Verifier.mock("ghost", b"secret")
    assert ghost.salt == Verifier.mock("ghost", b"secret").salt
    assert ghost.salt != Verifier.mock("ghost", b"other").salt
    assert ghost.salt != Verifier.mock("casper", b"secret").salt
    assert len(ghost.salt) == len(Verifier.from_password(Secret("x"), iterations=1).salt)
    assert ghost.iterations == 4096


def test_the_cache_derives_once_and_forgets_the_key_used_longest_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    derived: list[bytes] = []
    derive = ScramKeys.derive

    def counting(password: Secret, salt: bytes, iterations: int) -> ScramKeys:
        derived.append(salt)
        return derive(password, salt, iterations)

    monkeypatch.setattr(ScramKeys, "derive", counting)
    cache = KeyCache(capacity=2)
    for salt in (b"a", b"b", b"a", b"c", b"a", b"b"):
        assert cache.derive(Secret("x"), salt, 1) == derive(Secret("x"), salt, 1)
    assert derived == [b"a", b"b", b"c", b"b"]
    cache.derive(Secret("y"), b"b", 1)
    cache.derive(Secret("y"), b"b", 2)
    assert derived == [b"a", b"b", b"c", b"b", b"b", b"b"]

"""SASLprep with PostgreSQL's leniency. test_scram_keys.py asks real servers."""

import pytest

from shardproxy.wire.saslprep import saslprep


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("plain", "plain"),
        ("I\u00adX", "IX"),  # RFC 4013: soft hyphen is mapped to nothing
        ("\u00aa", "a"),  # RFC 4013: NFKC
        ("\u2168", "IX"),  # RFC 4013: NFKC
        ("a\u00a0b", "a b"),  # a non-ASCII space becomes a space
        ("a\u0007", "a\u0007"),  # ASCII is not prepared at all
    ],
)
def test_passwords_are_prepared(password: str, prepared: str) -> None:
    assert saslprep(password) == prepared.encode()


@pytest.mark.parametrize(
    "password",
    [
        # each but the first has a soft hyphen, which preparation would have removed
        "\u00ad",  # becomes empty
        "\u00ad\u0007",  # RFC 4013: a control character is prohibited
        "\u00ad\u0627\u0031",  # RFC 4013: right-to-left text does not end so
        "\u00ad\u0627a\u0627",  # right-to-left text with left-to-right inside
        "\u00ad\u0221",  # unassigned in Unicode 3.2
        "\u00ad\ue000",  # private use
    ],
)
def test_what_cannot_be_prepared_is_used_raw(password: str) -> None:
    assert saslprep(password) == password.encode()


def test_bytes_that_are_not_utf8_survive() -> None:
    assert saslprep(b"\xff\xe9".decode("utf-8", "surrogateescape")) == b"\xff\xe9"

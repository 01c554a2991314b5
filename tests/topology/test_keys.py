"""Keys: one canonical form, whatever a value came as."""

from struct import pack
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardproxy.errors import Blame
from shardproxy.topology import type_oids
from shardproxy.topology.keys import (
    BUCKETS,
    InvalidKey,
    Key,
    KeyFamily,
    bucket,
    family_of,
    from_binary,
    from_text,
    to_text,
)

INTEGER, TEXT, UUID_FAMILY = KeyFamily.INTEGER, KeyFamily.TEXT, KeyFamily.UUID
INT8 = st.integers(-(2**63), 2**63 - 1)
NO_NUL = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)))


@settings(max_examples=100)
@given(INT8)
def test_an_integer_is_the_same_key_as_literal_text_and_binary_of_every_width_that_holds_it(
    value: int,
) -> None:
    keys: set[Key] = {from_text(INTEGER, str(value)), from_text(INTEGER, str(value).encode())}
    widths = (("!h", type_oids.INT2, 15), ("!i", type_oids.INT4, 31), ("!q", type_oids.INT8, 63))
    for form, oid, bits in widths:
        if -(2**bits) <= value < 2**bits:
            keys.add(from_binary(oid, INTEGER, pack(form, value)))
    assert keys == {value}
    assert 0 <= bucket(INTEGER, value) < BUCKETS
    assert from_text(INTEGER, to_text(INTEGER, value)) == value


@settings(max_examples=100)
@given(NO_NUL)
def test_a_text_is_the_same_key_as_literal_text_and_binary(value: str) -> None:
    data = value.encode()
    keys = {from_text(TEXT, value), from_text(TEXT, data)}
    keys |= {from_binary(oid, TEXT, data) for oid in (type_oids.TEXT, type_oids.VARCHAR)}
    assert keys == {data}
    assert 0 <= bucket(TEXT, data) < BUCKETS
    assert to_text(TEXT, data) == value


@settings(max_examples=100)
@given(st.uuids(), st.booleans(), st.booleans(), st.booleans())
def test_a_uuid_is_the_same_key_in_every_form(value: UUID, upper: bool, braces: bool, bare: bool) -> None:
    text = value.hex if bare else str(value)
    text = text.upper() if upper else text
    text = f"{{{text}}}" if braces else text
    keys = {from_text(UUID_FAMILY, text), from_text(UUID_FAMILY, text.encode())}
    keys.add(from_binary(type_oids.UUID, UUID_FAMILY, value.bytes))
    assert keys == {value.bytes}
    assert to_text(UUID_FAMILY, value.bytes) == str(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" \t\n\v\f\r-5 \r", -5),
        ("+5", 5),
        ("-0", 0),
        ("007", 7),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775807", 2**63 - 1),
        ("0" * 5000 + "7", 7),
        ("0x_1F", 31),
        ("-0X7fff_ffff_ffff_ffff", -(2**63) + 1),
        ("-0x8000000000000000", -(2**63)),
        ("0o17", 15),
        ("0B1_0", 2),
        ("1_000_000", 1_000_000),
        ("0_1", 1),
    ],
)
def test_every_spelling_of_an_integer_is_read(text: str, value: int) -> None:
    assert from_text(INTEGER, text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-",
        "- 5",
        "5 5",
        "1.0",
        "1e3",
        "_1",
        "1_",
        "1__0",
        "0x",
        "0b2",
        "0o8",
        "0xG",
        "٣",
        "5\u00a0",
        "x",
    ],
)
def test_what_is_no_integer_is_refused_as_the_server_words_it(text: str) -> None:
    with pytest.raises(InvalidKey, match=r"^invalid input syntax for type bigint: ") as caught:
        from_text(INTEGER, text)
    assert caught.value.sqlstate == "22P02"
    assert caught.value.blame is Blame.CLIENT


@pytest.mark.parametrize(
    "text", ["9223372036854775808", "-9223372036854775809", "0x8000000000000000", "9" * 6000, "0b" + "1" * 65]
)
def test_an_integer_beyond_int8_is_out_of_range(text: str) -> None:
    with pytest.raises(InvalidKey, match=r"is out of range for type bigint$") as caught:
        from_text(INTEGER, text)
    assert caught.value.sqlstate == "22003"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111",
        " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
        "a0e-ebc999c0b4ef8bb6d6bb9bd380a11",
        "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11-",
        "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ],
)
def test_what_is_no_uuid_is_refused(text: str) -> None:
    with pytest.raises(InvalidKey, match=r"^invalid input syntax for type uuid: "):
        from_text(UUID_FAMILY, text)


@pytest.mark.parametrize(
    "data", [b"a\0b", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", "\ud800", "\0"]
)
def test_a_text_the_server_cannot_hold_is_refused(data: bytes | str) -> None:
    with pytest.raises(InvalidKey, match=r"^invalid byte sequence for encoding") as caught:
        from_text(TEXT, data)
    assert caught.value.sqlstate == "22021"


@pytest.mark.parametrize(
    ("oid", "family", "data", "sqlstate"),
    [
        (type_oids.INT4, INTEGER, b"\0\0\0", "22P03"),
        (type_oids.INT8, INTEGER, b"\0\0\0\1", "22P03"),
        (type_oids.UUID, UUID_FAMILY, b"\0" * 15, "22P03"),
        (1700, INTEGER, b"\0" * 8, "42804"),
        (type_oids.INT8, TEXT, b"\0" * 8, "42804"),
        (type_oids.TEXT, TEXT, b"\xff", "22021"),
    ],
)
def test_a_binary_value_of_the_wrong_form_or_type_is_refused(
    oid: int, family: KeyFamily, data: bytes, sqlstate: str
) -> None:
    with pytest.raises(InvalidKey) as caught:
        from_binary(oid, family, data)
    assert caught.value.sqlstate == sqlstate


def test_types_whose_equality_is_not_their_bytes_have_no_family() -> None:
    bpchar, name, numeric, oid = 1042, 19, 1700, 26
    assert [family_of(each) for each in (bpchar, name, numeric, oid, 0, 705)] == [None] * 6
    assert family_of(type_oids.VARCHAR) is TEXT

"""Arrays of keys, as literals and as array_send() writes them."""

from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardproxy.topology import type_oids
from shardproxy.topology.key_arrays import array_family_of, array_from_binary, array_from_text
from shardproxy.topology.keys import InvalidKey, KeyFamily

INTEGER, TEXT = KeyFamily.INTEGER, KeyFamily.TEXT


def literal(values: list[str | None]) -> str:
    def element(value: str | None) -> str:
        if value is None:
            return "NULL"
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    return "{" + ",".join(element(value) for value in values) + "}"


def binary(element_oid: int, values: list[bytes | None], lengths: tuple[int, ...] | None = None) -> bytes:
    lengths = ((len(values),) if values else ()) if lengths is None else lengths
    header = pack("!iiI", len(lengths), None in values, element_oid)
    dimensions = b"".join(pack("!ii", length, 1) for length in lengths)
    return (
        header
        + dimensions
        + b"".join(pack("!i", -1) if value is None else pack("!i", len(value)) + value for value in values)
    )


@settings(max_examples=100)
@given(st.lists(st.none() | st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)))))
def test_text_elements_are_the_same_keys_as_literal_and_binary(values: list[str | None]) -> None:
    keys = [None if value is None else value.encode() for value in values]
    assert array_from_text(TEXT, literal(values)) == keys
    assert array_from_text(TEXT, literal(values).encode()) == keys
    for array_oid, oid in (
        (type_oids.TEXT_ARRAY, type_oids.TEXT),
        (type_oids.VARCHAR_ARRAY, type_oids.VARCHAR),
    ):
        assert array_from_binary(array_oid, TEXT, binary(oid, keys)) == keys


@settings(max_examples=50)
@given(st.lists(st.none() | st.integers(-(2**31), 2**31 - 1)))
def test_integer_elements_are_the_same_keys_as_literal_and_binary(values: list[int | None]) -> None:
    text = "{" + ",".join("NULL" if value is None else str(value) for value in values) + "}"
    four = [None if value is None else pack("!i", value) for value in values]
    eight = [None if value is None else pack("!q", value) for value in values]
    assert array_from_text(INTEGER, text) == values
    assert array_from_binary(type_oids.INT4_ARRAY, INTEGER, binary(type_oids.INT4, four)) == values
    assert array_from_binary(type_oids.INT8_ARRAY, INTEGER, binary(type_oids.INT8, eight)) == values


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("{}", []),
        (" { } ", []),
        ('{a,b,NULL,"q\\"uote"}', [b"a", b"b", None, b'q"uote']),
        ("{null,nUlL}", [None, None]),
        ('{"NULL",\\NULL,"",nulls}', [b"NULL", b"NULL", b"", b"nulls"]),
        ("{ two words , x\t}", [b"two words", b"x"]),
        ('{" two words "}', [b" two words "]),
        ("{a\\,b,c\\ }", [b"a,b", b"c "]),
        ("{{a,b},{c,d}}", [b"a", b"b", b"c", b"d"]),
        ("{{},{}}", []),
        ("[2:3]={a,b}", [b"a", b"b"]),
        (" [1:1][-2:-1] = {{a,b}}", [b"a", b"b"]),
        ('{"a\\\\b",日本}', [b"a\\b", "日本".encode()]),
    ],
)
def test_the_array_syntax_of_the_manual_is_read(text: str, keys: list[bytes | None]) -> None:
    assert array_from_text(TEXT, text) == keys


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "{",
        "}",
        "{a",
        "{a,}",
        "{,a}",
        "{a,,b}",
        "{a}}",
        "{a}b",
        '{"a}',
        '{"a"b}',
        '{a"b"}',
        "{{a}",
        "{a{b}}",
        "{a\\",
        "{a}{b}",
        "[1:1]",
        "[x]={a}",
        "{" * 7 + "a" + "}" * 7,
    ],
)
def test_a_malformed_literal_is_refused(text: str) -> None:
    with pytest.raises(InvalidKey, match=r"^malformed array literal"):
        array_from_text(TEXT, text)


def test_an_element_that_is_not_of_the_family_is_refused() -> None:
    with pytest.raises(InvalidKey, match="bigint"):
        array_from_text(INTEGER, "{1,x}")


def test_a_matrix_in_binary_form_is_flattened() -> None:
    four = [pack("!i", value) for value in (1, 2, 3, 4, 5, 6)]
    assert array_from_binary(type_oids.INT4_ARRAY, INTEGER, binary(type_oids.INT4, four, (2, 3))) == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]


WELL_FORMED = binary(type_oids.INT4, [pack("!i", 1), None, pack("!i", 3)])


@pytest.mark.parametrize("length", range(len(WELL_FORMED)))
def test_an_array_that_ends_early_is_refused(length: int) -> None:
    with pytest.raises(InvalidKey):
        array_from_binary(type_oids.INT4_ARRAY, INTEGER, WELL_FORMED[:length])


@pytest.mark.parametrize(
    "data",
    [
        WELL_FORMED + b"\0",
        pack("!iiI", -1, 0, type_oids.INT4),
        pack("!iiI", 7, 0, type_oids.INT4) + pack("!ii", 1, 1) * 7,
        pack("!iiIii", 1, 0, type_oids.INT4, 2**31 - 1, 1),
        pack("!iiIii", 1, 0, type_oids.INT4, -1, 1),
        pack("!iiIiiii", 2, 0, type_oids.INT4, 0, 1, 2**31 - 1, 1) + b"\0" * 9,
        pack("!iiIiii", 1, 0, type_oids.INT4, 1, 1, 2**31 - 1),
        pack("!iiIiii", 1, 0, type_oids.INT4, 1, 1, -2),
    ],
)
def test_hostile_lengths_are_refused_before_they_are_used(data: bytes) -> None:
    with pytest.raises(InvalidKey, match="incorrect binary data format") as caught:
        array_from_binary(type_oids.INT4_ARRAY, INTEGER, data)
    assert caught.value.sqlstate == "22P03"


def test_elements_of_another_type_than_the_array_says_are_refused() -> None:
    with pytest.raises(InvalidKey) as caught:
        array_from_binary(type_oids.INT8_ARRAY, INTEGER, WELL_FORMED)
    assert caught.value.sqlstate == "42804"


def test_only_arrays_of_key_types_have_a_family() -> None:
    assert array_family_of(type_oids.UUID_ARRAY) is KeyFamily.UUID
    assert array_family_of(type_oids.INT2_ARRAY) is INTEGER
    assert [array_family_of(oid) for oid in (0, 25, 1014, 1231)] == [None] * 4

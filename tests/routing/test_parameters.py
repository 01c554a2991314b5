"""Values: what a Bind message and folded literals say of a key, and what they cannot say."""

from struct import pack
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardproxy.errors import Refused, ShardproxyError, StatementError
from shardproxy.routing.parameters import BindValues, LiteralValues, NoValues
from shardproxy.topology import type_oids as oids
from shardproxy.topology.keys import InvalidKey, KeyFamily, bucket, from_text

INTEGER, TEXT, UUID_FAMILY = KeyFamily.INTEGER, KeyFamily.TEXT, KeyFamily.UUID
NUMERIC, BPCHAR = 1700, 1042


@settings(max_examples=60)
@given(st.integers(-(2**63), 2**63 - 1))
def test_an_integer_reaches_one_bucket_as_literal_text_and_binary(value: int) -> None:
    text = str(value).encode()
    keys = [
        from_text(INTEGER, LiteralValues((str(value),)).literal(0)),
        BindValues((), (text,)).parameter(1, INTEGER),
        BindValues((0,), (text,), (oids.INT4,)).parameter(1, INTEGER),
        BindValues((1,), (pack("!q", value),), (oids.INT8,)).parameter(1, INTEGER),
        *BindValues((), (b"{%s}" % text,)).array(1, INTEGER),
    ]
    assert len({bucket(INTEGER, key) for key in keys if key is not None}) == 1
    assert None not in keys


@settings(max_examples=60)
@given(st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",))))
def test_a_text_reaches_one_bucket_as_literal_text_and_binary(value: str) -> None:
    data = value.encode()
    keys = [
        from_text(TEXT, LiteralValues((value,)).literal(0)),
        BindValues((), (data,), (0,)).parameter(1, TEXT),
        BindValues((0,), (data,), (oids.UNKNOWN,)).parameter(1, TEXT),
        BindValues((1,), (data,), (oids.VARCHAR,)).parameter(1, TEXT),
        BindValues((1,), (data,), (oids.TEXT,)).parameter(1, TEXT),
    ]
    assert {bucket(TEXT, key) for key in keys if key is not None} == {bucket(TEXT, data)}
    assert None not in keys


@settings(max_examples=30)
@given(st.uuids())
def test_a_uuid_is_one_key_as_text_and_binary(value: UUID) -> None:
    assert BindValues((), (str(value).upper().encode(),)).parameter(1, UUID_FAMILY) == value.bytes
    assert BindValues((1,), (value.bytes,), (oids.UUID,)).parameter(1, UUID_FAMILY) == value.bytes


def test_formats_are_none_for_all_text_one_for_all_or_one_each() -> None:
    values, types = (b"7", b"\0\0\0\7"), (oids.INT4, oids.INT4)
    assert BindValues((0, 1), values, types).parameter(1, INTEGER) == 7
    assert BindValues((0, 1), values, types).parameter(2, INTEGER) == 7
    assert BindValues((1,), values, types).parameter(2, INTEGER) == 7
    assert BindValues((), values, types).parameter(1, INTEGER) == 7


def test_null_is_no_key_and_a_null_array_has_no_elements() -> None:
    values = BindValues((1,), (None,), (oids.INT4,))
    assert values.parameter(1, INTEGER) is None
    assert list(values.array(1, INTEGER)) == []


@pytest.mark.parametrize(
    ("oid", "family", "message"),
    [
        (NUMERIC, INTEGER, "parameter $1 has type numeric, the key is integer"),
        (oids.INT8, TEXT, "parameter $1 has type bigint, the key is text"),
        (BPCHAR, TEXT, "parameter $1 has type character, the key is text"),
        (oids.TEXT, UUID_FAMILY, "parameter $1 has type text, the key is uuid"),
        (987654, TEXT, "parameter $1 has type OID 987654, the key is text"),
        (oids.INT4_ARRAY, INTEGER, "parameter $1 has type integer[], the key is integer"),
    ],
)
@pytest.mark.parametrize("form", [0, 1])
def test_a_parameter_of_another_type_than_the_key_is_refused(
    oid: int, family: KeyFamily, message: str, form: int
) -> None:
    with pytest.raises(Refused) as caught:
        BindValues((form,), (b"7",), (oid,)).parameter(1, family)
    assert caught.value.construct == message
    assert caught.value.sqlstate == "0A000"
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("Cast it: $1::")


def test_a_binary_value_of_unknown_type_is_refused() -> None:
    for types in ((), (0,), (oids.UNKNOWN,)):
        for ask in (BindValues.parameter, BindValues.array):
            with pytest.raises(Refused, match="its type is not known"):
                ask(BindValues((1,), (b"\0\0\0\7",), types), 1, INTEGER)


@pytest.mark.parametrize(
    ("oid", "family", "text", "keys"),
    [
        (0, INTEGER, b"{1,NULL,2}", [1, None, 2]),
        (oids.INT2_ARRAY, INTEGER, b"{1}", [1]),
        (oids.INT4_ARRAY, INTEGER, b"{1}", [1]),
        (oids.INT8_ARRAY, INTEGER, b"{1}", [1]),
        (oids.TEXT_ARRAY, TEXT, b"{a,b}", [b"a", b"b"]),
        (oids.VARCHAR_ARRAY, TEXT, b"{a}", [b"a"]),
        (oids.UUID_ARRAY, UUID_FAMILY, b"{%s}" % (b"0" * 32), [b"\0" * 16]),
    ],
)
def test_arrays_of_the_keys_type_are_read(
    oid: int, family: KeyFamily, text: bytes, keys: list[int | bytes | None]
) -> None:
    assert list(BindValues((), (text,), (oid,)).array(1, family)) == keys


def test_an_array_in_binary_format_is_read() -> None:
    data = pack("!iiIii", 1, 0, oids.INT4, 2, 1) + pack("!iiii", 4, 7, 4, 8)
    assert list(BindValues((1,), (data,), (oids.INT4_ARRAY,)).array(1, INTEGER)) == [7, 8]


@pytest.mark.parametrize("oid", [1231, oids.TEXT_ARRAY, oids.INT4])
def test_an_array_of_another_type_than_the_key_is_refused(oid: int) -> None:
    with pytest.raises(Refused) as caught:
        BindValues((), (b"{1}",), (oid,)).array(1, INTEGER)
    assert caught.value.hint is not None
    assert "$1::bigint[]" in caught.value.hint


def test_a_value_that_is_not_of_the_keys_type_is_an_invalid_key() -> None:
    with pytest.raises(InvalidKey, match="bigint"):
        BindValues((), (b"acme",)).parameter(1, INTEGER)


def test_a_missing_parameter_is_an_error_of_the_statement() -> None:
    with pytest.raises(StatementError, match="bind message supplies 1 parameters") as caught:
        BindValues((), (b"7",)).parameter(2, INTEGER)
    assert caught.value.sqlstate == "08P01"
    for ask in (NoValues().parameter, NoValues().array, LiteralValues(("7",)).parameter):
        with pytest.raises(StatementError, match=r"there is no parameter \$1") as caught:
            ask(1, INTEGER)
        assert caught.value.sqlstate == "42P02"


def test_a_missing_literal_is_an_error() -> None:
    for values in (NoValues(), LiteralValues(()), BindValues((), ())):
        with pytest.raises(ShardproxyError):
            values.literal(0)

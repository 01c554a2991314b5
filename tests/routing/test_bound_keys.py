"""The keys of a key set, from constants, literals, parameters and arrays."""

import pytest

from shardproxy.errors import Refused
from shardproxy.routing.bound_keys import bound_keys
from shardproxy.routing.parameters import BindValues, LiteralValues, NoValues
from shardproxy.sql.statement import Constant, KeySet, Literal, Parameter
from shardproxy.topology.keys import InvalidKey, KeyFamily


def integers(*sources: Constant | Literal | Parameter) -> KeySet:
    return KeySet("device", KeyFamily.INTEGER, sources)


def test_every_source_gives_its_keys_in_order() -> None:
    values = BindValues((), (b"5", b"{6,NULL,7}", None))
    sources = (Constant(4), Parameter(1), Parameter(2, array=True), Parameter(3), Constant(None))
    assert list(bound_keys(integers(*sources), values)) == [4, 5, 6, None, 7, None, None]
    assert list(bound_keys(integers(), NoValues())) == []


def test_a_sign_before_a_folded_literal_is_part_of_the_key() -> None:
    values = LiteralValues(("7", "9223372036854775808"))
    sources = (Literal(0), Literal(0, negative=True), Literal(1, negative=True))
    assert list(bound_keys(integers(*sources), values)) == [7, -7, -(2**63)]


@pytest.mark.parametrize("text", ["7.0", "1e3", ".5", "7.", "99999999999999999999", "1_0.0"])
def test_a_number_that_the_server_compares_as_numeric_is_refused(text: str) -> None:
    for negative in (False, True):
        with pytest.raises(Refused, match="compared with an integer key"):
            list(bound_keys(integers(Literal(0, negative)), LiteralValues((text,))))


def test_a_literal_that_is_no_number_is_the_servers_own_error() -> None:
    with pytest.raises(InvalidKey, match='invalid input syntax for type bigint: "acme"'):
        list(bound_keys(integers(Literal(0)), LiteralValues(("acme",))))


def test_a_signed_number_is_no_text_key() -> None:
    """The server would cast the number, whose text may be another (-007 becomes '-7')."""
    key_set = KeySet("tenant", KeyFamily.TEXT, (Literal(0, negative=True),))
    with pytest.raises(Refused, match="the number -007 as a text key"):
        list(bound_keys(key_set, LiteralValues(("007",))))

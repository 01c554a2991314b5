"""A statement on a server connection is the one that the client prepared, not another's that looks like it."""

import pytest

from shardproxy.session.prepared import server_name
from shardproxy.wire.client_messages import SYNC, describe, parse
from tests.session.scripts.vocabulary import ext, q
from tests.support.proxy import Proxy
from tests.support.wire_client import WireClient

MANY = ("SELECT " + ", ".join(f"${i}" for i in range(1, 31))).encode()


def test_names_tell_statements_apart() -> None:
    public, mine = ("public",), ("mine", "public")
    names = {
        server_name(*each)
        for each in (
            (b"SELECT 1", (), public, b""),
            (b"SELECT 2", (), public, b""),
            (b"SELECT 1", (), mine, b""),
            (b"SELECT 1", (), public, b"1/s"),
            (b"SELECT 1", (0,), public, b""),
            (b"SELECT 1", (23,), public, b""),
            (b"SELECT 1", (23, 23), public, b""),
            (b"SELECT 1", (), public, b"", " extra_float_digits 0"),
            (MANY, (23,) * 30, public, b""),
            (MANY, (23,) * 29 + (25,), public, b""),
        )
    }
    assert len(names) == 10


@pytest.mark.parametrize("last", [23, 25, 1184])
def test_the_types_of_many_parameters_are_ones_own(proxy: Proxy, last: int) -> None:
    oids = [23] * 29 + [last]
    with WireClient(proxy.dsn()) as client:
        seen = client.play(parse(b"s", MANY, oids) + describe(b"S", b"s") + SYNC)
    assert seen[1] == f"ParameterDescription {tuple(oids)}"


@pytest.mark.parametrize("setting", ["extra_float_digits = 0", "bytea_output = 'escape'"])
def test_constants_that_a_plan_holds_are_of_the_sessions_settings(proxy: Proxy, setting: str) -> None:
    look = ext("SELECT (1.1::float8 / 3)::text, '\\x00'::bytea::text") + SYNC
    other = "SET extra_float_digits = 0; SET bytea_output = 'escape'"
    with WireClient(proxy.dsn()) as one, WireClient(proxy.dsn()) as two, WireClient(proxy.dsn()) as three:
        two.play(q(f"SET {setting}"))
        three.play(*map(q, other.split(";")))
        answers = [client.play(look)[3] for client in (one, two, three, one, two, three)]
    assert len(set(answers[:3])) == 3
    assert answers[3:] == answers[:3]
    assert answers[0] == "DataRow '0.3666666666666667' '\\\\x00'"

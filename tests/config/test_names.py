"""Names are read as PostgreSQL reads identifiers."""

import pytest

from shardproxy.config.names import BadName, parse_identifier, parse_relation
from shardproxy.demo.postgres import Server
from tests.support.cluster import Cluster

IDENTIFIERS = [
    "orders",
    "Orders",
    "_x$1",
    '"Orders"',
    '"a b"',
    '"a""b"',
    '"a.b"',
    "größe",
    "ÄB",
    '"1"',
    "a" * 63,
]


@pytest.mark.parametrize("text", IDENTIFIERS)
def test_identifiers_are_folded_as_the_server_folds_them(cluster: Cluster, text: str) -> None:
    server: Server = cluster.oracle
    query = f"SELECT encode(convert_to(parse_ident($txt${text}$txt$)::text, 'UTF8'), 'hex')"
    shown = bytes.fromhex(server.query(query).strip()).decode()
    assert shown == server_array([parse_identifier(text)])


def server_array(items: list[str]) -> str:
    """As the output function of text[] writes it, for the names above."""
    return "{" + ",".join(quote(item) for item in items) + "}"


def quote(item: str) -> str:
    needs = any(c in ' ",.{}\\' for c in item) and item != "a.b"
    return '"' + item.replace('"', '\\"') + '"' if needs else item


@pytest.mark.parametrize(
    "text", ["", "1a", "a b", "a-b", 'a"b', '""', '"a', "a.", ".a", "a..b", "a\0", '"a\0"', "a" * 64]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(BadName):
        parse_identifier(text)
    with pytest.raises(BadName):
        parse_relation(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("orders", ("public", "orders")),
        ("Sales.Orders", ("sales", "orders")),
        ('sales."Orders"', ("sales", "Orders")),
        ('"a.b".c', ("a.b", "c")),
        ('"a.b"', ("public", "a.b")),
    ],
)
def test_relations(text: str, name: tuple[str, str]) -> None:
    assert parse_relation(text) == name

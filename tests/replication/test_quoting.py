"""Quoting means what it says, to a real server and whatever the settings."""

import psycopg
import pytest

from shardproxy.demo.postgres import Server
from shardproxy.replication.quoting import identifier, literal, relation

VALUES = ["plain", "it's", "back\\slash", "\\'", 'a "b"', "'; DROP TABLE x; --", "ü 🐘", "E'", "new\nline"]


@pytest.mark.parametrize("conforming", ["on", "off"])
@pytest.mark.parametrize("value", VALUES)
def test_a_server_reads_back_what_was_quoted(
    servers: tuple[Server, Server], value: str, conforming: str
) -> None:
    with psycopg.connect(servers[0].dsn()) as connection:
        connection.execute(f"SET standard_conforming_strings = {conforming}".encode())
        row = connection.execute(f"SELECT {literal(value)} AS {identifier(value)}".encode())
        assert row.description is not None
        assert row.description[0].name == value
        assert row.fetchone() == (value,)


def test_a_relation_is_qualified() -> None:
    assert relation(("pub.lic", 'a"b')) == '"pub.lic"."a""b"'

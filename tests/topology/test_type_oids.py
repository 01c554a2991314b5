"""The OIDs and names are the server's own."""

import psycopg

from shardproxy.topology import type_oids


def test_every_listed_type_is_named_as_the_server_names_it(live: psycopg.Connection) -> None:
    constants = [
        value for name, value in vars(type_oids).items() if name.isupper() and isinstance(value, int)
    ]
    rows = live.execute(
        "SELECT oid::int, format_type(oid, NULL) FROM pg_type "
        "WHERE oid = ANY(%s) OR (oid < 4000 AND typtype = 'b' AND oid <> 1034)",
        [constants],
    ).fetchall()
    named = {oid: name for oid, name in rows if type_oids.type_name(oid) != f"OID {oid}"}
    assert set(constants) <= set(named)
    assert {oid: type_oids.type_name(oid) for oid in named} == named


def test_constants_are_the_types_they_are_called(live: psycopg.Connection) -> None:
    for name in ("INT2", "INT4", "INT8", "TEXT", "VARCHAR", "UUID"):
        row = live.execute(
            "SELECT oid::int, typarray::int FROM pg_type WHERE typname = %s", [name.lower()]
        ).fetchone()
        assert row == (getattr(type_oids, name), getattr(type_oids, f"{name}_ARRAY"))


def test_a_type_that_is_not_listed_is_named_by_its_oid() -> None:
    assert type_oids.type_name(987654) == "OID 987654"

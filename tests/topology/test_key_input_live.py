"""What counts as a key is what the server's input functions accept, and it is the same value there."""

import json
from random import Random

import psycopg
import pytest

from shardproxy.topology import type_oids
from shardproxy.topology.key_arrays import array_from_binary, array_from_text
from shardproxy.topology.keys import InvalidKey, Key, KeyFamily, from_binary, from_text, to_text

TRY_CAST = """
CREATE OR REPLACE FUNCTION pg_temp.try_cast(input text, type text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE output text;
BEGIN
    IF type LIKE '%[]' THEN
        EXECUTE format('SELECT coalesce(json_agg(e), ''[]'')::text FROM unnest(%L::%s) e', input, type)
        INTO output;
    ELSE
        EXECUTE format('SELECT %L::%s', input, type) INTO output;
    END IF;
    RETURN output;
EXCEPTION WHEN OTHERS THEN
    RETURN 'error ' || SQLSTATE;
END $$
"""
ASK = "SELECT i, pg_temp.try_cast(i, %s) FROM unnest(%s::text[]) WITH ORDINALITY AS t (i, n) ORDER BY n"


def ask(live: psycopg.Connection, type_name: str, inputs: list[str]) -> list[tuple[str, str]]:
    """Each input with what the server makes of it: its output text, or ``error <SQLSTATE>``."""
    live.execute(TRY_CAST)
    return live.execute(ASK, [type_name, inputs]).fetchall()


def key_or_error(family: KeyFamily, text: str) -> Key | str:
    try:
        return from_text(family, text)
    except InvalidKey as error:
        return f"error {error.sqlstate}"


def newer_integer_form(text: str) -> bool:
    return any(mark in text for mark in "_xXoObB")


def test_integers_are_read_as_the_server_reads_them(live: psycopg.Connection) -> None:
    random = Random()
    made = [
        "".join(random.choices("0123456789abxXoO_-+ \t\n", k=random.randrange(1, 7))) for _ in range(1500)
    ]
    edges = [f"{sign}{2**63 + step}" for sign in ("", "-", "+") for step in (-2, -1, 0, 1)]
    edges += [
        "0x" + "f" * 15,
        "0x" + "f" * 16,
        "-0x8000000000000000",
        "0b" + "1" * 63,
        "0o777777777777777777777",
    ]
    is_old = live.info.server_version < 160000
    for text, server in ask(live, "int8", made + edges):
        if is_old and newer_integer_form(text):
            continue
        ours = key_or_error(KeyFamily.INTEGER, text)
        assert str(ours) == server, repr(text)


def test_uuids_are_read_as_the_server_reads_them(live: psycopg.Connection) -> None:
    random = Random()
    base = "a0eebc999c0b4ef8bb6d6bb9bd380a11"
    made = []
    for _ in range(1500):
        pieces = [base[at : at + 2] + random.choice(["", "", "", "-"]) for at in range(0, 32, 2)]
        grouped = [base[at : at + 4] + random.choice(["", "-"]) for at in range(0, 32, 4)]
        text = "".join(random.choice([pieces, grouped])).removesuffix(random.choice(["", "-"]))
        made.append(
            random.choice(["", "", "{"])
            + random.choice([str.upper, str.lower])(text)
            + random.choice(["", "}"])
        )
    for text, server in ask(live, "uuid", made):
        ours = key_or_error(KeyFamily.UUID, text)
        assert (ours if isinstance(ours, str) else from_text(KeyFamily.UUID, server)) == (
            server if isinstance(ours, str) else ours
        ), repr(text)


def test_array_literals_are_read_as_the_server_reads_them(live: psycopg.Connection) -> None:
    """Every literal that both read has the same elements. From 17 on the server refuses junk; so do we."""
    random = Random()
    made = ["{" + "".join(random.choices('{},"\\ aN\t', k=random.randrange(9))) + "}" for _ in range(3000)]
    made += ["{NULL,null,a NULL}", '{"NULL"}', "{\\NULL}", "[2:3]={a,b}", "[1:1][0:1]={{a,b}}", "{{a},{b}}"]
    read = 0
    for text, server in ask(live, "text[]", made):
        try:
            keys = array_from_text(KeyFamily.TEXT, text)
        except InvalidKey:
            assert server.startswith("error") or live.info.server_version < 170000, repr(text)
            continue
        if not server.startswith("error"):
            read += 1
            elements = [None if key is None else to_text(KeyFamily.TEXT, key) for key in keys]
            assert elements == json.loads(server), repr(text)
    assert read > 100


@pytest.mark.parametrize(
    ("type_name", "oid", "family", "texts"),
    [
        ("int2", type_oids.INT2, KeyFamily.INTEGER, ["-32768", "0", "7", "32767"]),
        ("int4", type_oids.INT4, KeyFamily.INTEGER, ["-2147483648", "-1", "2147483647"]),
        ("int8", type_oids.INT8, KeyFamily.INTEGER, ["-9223372036854775808", "9223372036854775807"]),
        ("text", type_oids.TEXT, KeyFamily.TEXT, ["", "acme", "日本 \\ ' \""]),
        ("varchar", type_oids.VARCHAR, KeyFamily.TEXT, ["", "acme", "日本 \\ ' \""]),
        ("uuid", type_oids.UUID, KeyFamily.UUID, ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ],
)
def test_values_and_arrays_the_server_sends_in_binary_are_read(
    live: psycopg.Connection, type_name: str, oid: int, family: KeyFamily, texts: list[str]
) -> None:
    keys = [from_text(family, text) for text in texts]
    (array_oid,) = live.execute("SELECT typarray FROM pg_type WHERE oid = %s", [oid]).fetchone() or (0,)
    sends = {"int2": "int2send", "int4": "int4send", "int8": "int8send", "text": "textsend"}
    sends |= {"varchar": "varcharsend", "uuid": "uuid_send"}
    for text, key in zip(texts, keys, strict=True):
        sent = live.execute(f"SELECT {sends[type_name]}(%s::{type_name})", [text]).fetchone()  # type: ignore[arg-type]
        assert sent is not None
        assert from_binary(oid, family, sent[0]) == key
    sent = live.execute(f"SELECT array_send(%s::text[]::{type_name}[])", [[*texts, None]]).fetchone()  # type: ignore[arg-type]
    assert sent is not None
    assert array_from_binary(array_oid, family, sent[0]) == [*keys, None]

"""What the proxy says a shard owns is what the server says: bucket by bucket, placement by placement."""

from dataclasses import replace
from random import Random
from uuid import UUID

import psycopg
import pytest

from shardproxy.topology.keys import KeyFamily, bucket, from_text
from shardproxy.topology.moves import Moving
from shardproxy.topology.ownership import bucket_expression, moving_rows, ownership_check
from shardproxy.topology.shard_map import ShardMap
from tests.topology.maps import PLACEMENTS, shard_map

TEXTS = [f"tenant-{number}" for number in range(400)] + [
    "",
    "ключ",
    "it's",
    'q"q',
    "back\\slash",
    "big 'one'",
]
INTEGERS = [str(number) for number in range(-200, 200)]
UUIDS = [str(UUID(int=Random(number).getrandbits(128))) for number in range(400)]

COLUMNS = [
    ("text", KeyFamily.TEXT, "tenant", TEXTS),
    ("varchar(40)", KeyFamily.TEXT, "tenant", TEXTS),
    ("int2", KeyFamily.INTEGER, "device", INTEGERS),
    ("int4", KeyFamily.INTEGER, "device", INTEGERS),
    ("int8", KeyFamily.INTEGER, "device", [*INTEGERS, str(2**63 - 1), str(-(2**63))]),
    ("uuid", KeyFamily.UUID, "document", UUIDS),
]


@pytest.fixture
def the_map() -> ShardMap:
    return shard_map(placements={**PLACEMENTS, ("document", UUIDS[3]): "a", ("document", UUIDS[4]): "b"})


@pytest.mark.parametrize("case", COLUMNS, ids=[column[0] for column in COLUMNS])
def test_a_check_admits_exactly_the_rows_of_its_shard(
    live: psycopg.Connection, the_map: ShardMap, case: tuple[str, KeyFamily, str, list[str]]
) -> None:
    type_name, family, group, texts = case
    column = '"tenant ""key"""'
    checks = [ownership_check(the_map, shard, group, family, column) for shard in range(3)]
    query = (
        f"SELECT {column}::text, {bucket_expression(family, column)}, ARRAY[{','.join(checks)}] "
        f"FROM unnest(%s::text[]::{type_name}[]) AS t ({column})"
    )
    rows = live.execute(query, [texts]).fetchall()  # type: ignore[arg-type]
    assert len(rows) == len(texts)
    for text, server_bucket, admitted in rows:
        key = from_text(family, text)
        assert bucket(family, key) == server_bucket, text
        owner = the_map.owner(group, family, key)
        assert admitted == [shard == owner for shard in range(3)], text


def test_a_row_without_a_key_is_nobodys(live: psycopg.Connection, the_map: ShardMap) -> None:
    for shard in range(3):
        check = ownership_check(the_map, shard, "tenant", KeyFamily.TEXT, "k")
        assert live.execute(f"SELECT {check} FROM (VALUES (NULL::text)) AS t (k)").fetchone() == (False,)  # type: ignore[arg-type]


def test_as_a_constraint_it_keeps_foreign_rows_out(live: psycopg.Connection, the_map: ShardMap) -> None:
    check = ownership_check(the_map, 0, "tenant", KeyFamily.TEXT, "tenant_id")
    live.execute("DROP TABLE IF EXISTS owned")
    live.execute(f"CREATE TABLE owned (tenant_id text CHECK {check})")  # type: ignore[arg-type]
    refused = 0
    for text in TEXTS:
        try:
            live.execute("INSERT INTO owned VALUES (%s)", [text])
        except psycopg.errors.CheckViolation:
            refused += 1
    admitted = live.execute("SELECT tenant_id FROM owned").fetchall()
    owned = {text for text in TEXTS if the_map.owner("tenant", KeyFamily.TEXT, text.encode()) == 0}
    assert {text for (text,) in admitted} == owned
    assert refused == len(TEXTS) - len(owned) > 0


def test_quoting_does_not_depend_on_the_servers_settings(live: psycopg.Connection, the_map: ShardMap) -> None:
    check = ownership_check(the_map, 1, "tenant", KeyFamily.TEXT, "k")
    sql = f"SELECT {check} FROM (VALUES (%s)) AS t (k)"
    with live.transaction():
        live.execute("SET LOCAL standard_conforming_strings = off")
        live.execute("SET LOCAL backslash_quote = off")
        assert live.execute(sql, ["back\\slash"]).fetchone() == (True,)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", COLUMNS, ids=[column[0] for column in COLUMNS])
def test_the_rows_of_a_move_are_those_that_the_map_says(
    live: psycopg.Connection, the_map: ShardMap, case: tuple[str, KeyFamily, str, list[str]]
) -> None:
    type_name, family, group, texts = case
    keys = frozenset((group, from_text(family, text)) for text in texts[5:9])
    some = frozenset(bucket(family, from_text(family, text)) for text in [*texts[10:60], *texts[-6:]])
    named, ring = Moving(1, 0, 1, keys=keys), Moving(2, 0, 1, buckets=some)
    conditions = [moving_rows(the_map, move, group, family, "k") for move in (named, ring)]
    query = (
        f"SELECT k::text, {', '.join(map(str, conditions))} FROM unnest(%s::text[]::{type_name}[]) AS t (k)"
    )
    for text, is_named, in_ring in live.execute(query, [texts]).fetchall():  # type: ignore[arg-type]
        key = from_text(family, text)
        assert is_named == (replace(the_map, moves=(named,)).move_of(group, family, key) is named), text
        assert in_ring == (replace(the_map, moves=(ring,)).move_of(group, family, key) is ring), text
    assert moving_rows(the_map, named, "another", family, "k") is None


@pytest.mark.parametrize("case", COLUMNS, ids=[column[0] for column in COLUMNS])
def test_the_rows_of_a_move_can_be_a_publications_filter(
    live: psycopg.Connection, the_map: ShardMap, case: tuple[str, KeyFamily, str, list[str]]
) -> None:
    """With several keys, and several that are placed."""
    type_name, family, group, texts = case
    live.execute("DROP TABLE IF EXISTS published")
    live.execute(f"CREATE TABLE published (k {type_name} PRIMARY KEY)")  # type: ignore[arg-type]
    keys = frozenset((group, from_text(family, text)) for text in texts[5:9])
    placed = replace(the_map, placements={**the_map.placements, **dict.fromkeys(keys, 1)})
    for move in (Moving(1, 0, 1, keys=keys), Moving(2, 0, 1, buckets=frozenset((1, 2)))):
        condition = moving_rows(placed, move, group, family, "k")
        live.execute(f"CREATE PUBLICATION filtered FOR TABLE published WHERE ({condition})")  # type: ignore[arg-type]
        live.execute("DROP PUBLICATION filtered")

"""What means something else to each session, a temporary table, a cursor or a literal, is its own."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from shardproxy.wire.client_messages import SYNC, bind, execute, parse
from tests.session.scripts.vocabulary import ext
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy
from tests.support.wire_client import WireClient

Rows = list[list[object]]
PREPARATIONS = {
    "a temporary table": ("CREATE TEMP TABLE mine AS SELECT {} AS x", "SELECT * FROM mine"),
    "a cursor": ("DECLARE c CURSOR FOR SELECT {} AS x", "FETCH c"),
    "a prepared statement": ("PREPARE p AS SELECT {} AS x", "EXECUTE p"),
}


@pytest.fixture(scope="module")
def narrow(cluster: Cluster) -> Iterator[Proxy]:
    """A proxy with two server connections to each shard."""
    with Proxy(cluster.config(pool={"size": 2})) as proxy:
        yield proxy


async def read_by_turns(dsn: str, preparation: str, query: str) -> list[Rows]:
    """The same query in two sessions, in each of which it has a column of another type."""
    found = []
    for value in ("1::int", "'abcd'::text", "2::int"):
        connection = await asyncpg.connect(dsn)
        async with connection.transaction():
            await connection.execute(preparation.format(value))
            found.append([list(row) for row in await connection.fetch(query)])
        await connection.close()
    return found


@pytest.mark.parametrize("kind", PREPARATIONS)
def test_a_column_has_the_type_that_it_has_in_this_session(
    narrow: Proxy, cluster: Cluster, kind: str
) -> None:
    expected = asyncio.run(read_by_turns(cluster.oracle_dsn(), *PREPARATIONS[kind]))
    assert expected == [[[1]], [["abcd"]], [[2]]]
    assert asyncio.run(read_by_turns(narrow.dsn(), *PREPARATIONS[kind])) == expected


async def recreated(dsn: str) -> list[Rows]:
    """One session, whose table gets a column of another type."""
    found = []
    connection = await asyncpg.connect(dsn, statement_cache_size=0)
    for value in ("1::int", "'abcd'::text", "2::int"):
        await connection.execute(f"CREATE TEMP TABLE mine AS SELECT {value} AS x")
        statement = await connection.prepare("SELECT * FROM mine")
        found.append([list(row) for row in await statement.fetch()])
        await connection.execute("DROP TABLE mine")
    await connection.close()
    return found


def test_a_statement_that_is_prepared_again_is_another_one(narrow: Proxy, cluster: Cluster) -> None:
    assert asyncio.run(recreated(narrow.dsn())) == asyncio.run(recreated(cluster.oracle_dsn()))


def test_parameters_have_the_types_that_this_client_gave(narrow: Proxy, cluster: Cluster) -> None:
    """The types are of a length at which a name made of some of them would be another statement's."""
    query = f"SELECT pg_typeof($40), concat({', '.join(f'${i}' for i in range(1, 40))})".encode()
    answers: list[list[str]] = []
    for dsn in (cluster.oracle_dsn(), narrow.dsn()):
        answers.append([])
        for last in (25, 23, 1043):
            with WireClient(dsn) as client:
                text = parse(b"", query, (25,) * 39 + (last,))
                answers[-1] += client.play(
                    text + bind(b"", b"", values=(b"1",) * 40) + execute() + SYNC,
                )
    assert answers[1] == answers[0]
    assert len({line for line in answers[0] if line.startswith("DataRow")}) == 3


READ_BY_SETTINGS = {
    "TimeZone": ("'Asia/Tokyo'", "SELECT ('2025-03-01 00:00'::timestamptz AT TIME ZONE 'UTC')::text"),
    "DateStyle": ("'SQL, DMY'", "SELECT extract(month FROM '01/02/2025'::date)::text"),
    "IntervalStyle": ("'sql_standard'", "SELECT extract(epoch FROM '-1 02:03:04'::interval)::text"),
    "timezone_abbreviations": (
        "'Australia'",
        "SELECT extract(epoch FROM '2025-03-01 00:00 EST'::timestamptz)::text",
    ),
    "bytea_output": ("'escape'", "SELECT 'abc'::bytea::text"),
    "extra_float_digits": ("'-4'", "SELECT (1 / 3.0)::float8::text"),
}
"""Settings on which literals depend; every one has another answer under the value than without it."""


def rows(transcript: list[str]) -> list[str]:
    return [line for line in transcript if line.startswith(("DataRow", "ErrorResponse"))]


@pytest.mark.parametrize("setting", READ_BY_SETTINGS)
@pytest.mark.parametrize("way", ["query", "block", "pipeline"])
def test_a_literal_is_read_by_the_settings_of_its_own_session(
    narrow: Proxy, cluster: Cluster, setting: str, way: str
) -> None:
    """The sessions share the server connections, where each text is prepared once for all who read it alike."""
    value, text = READ_BY_SETTINGS[setting]
    change = f"SET {setting} = {value}"
    answers: list[list[str]] = []
    for dsn in (cluster.oracle_dsn(), narrow.dsn()):
        answers.append([])
        for changed in (True, False, True, False):
            with WireClient(dsn) as client:
                if changed and way == "block":
                    client.query("BEGIN")
                if changed and way != "pipeline":
                    client.query(change)
                steps = ext(change) if changed and way == "pipeline" else b""
                answers[-1] += rows(client.play(steps + ext(text) + SYNC))
                answers[-1] += rows(client.play(parse(b"named", text.encode()) + SYNC, ext(text) + SYNC))
    assert answers[1] == answers[0]
    assert len(set(answers[0])) == 2


def test_what_a_pipeline_that_fails_made_of_a_literal_is_nobodys(narrow: Proxy, cluster: Cluster) -> None:
    value, text = READ_BY_SETTINGS["DateStyle"]
    answers: list[list[str]] = []
    for dsn in (cluster.oracle_dsn(), narrow.dsn()):
        with WireClient(dsn) as client:
            found = client.play(ext(f"SET DateStyle = {value}") + ext(text) + ext("SELECT 1 / 0") + SYNC)
            found += client.play(ext(text) + SYNC)
            found += client.play(
                ext("BEGIN")
                + ext(f"SET LOCAL DateStyle = {value}")
                + ext(text)
                + ext("ROLLBACK")
                + ext(text)
                + SYNC
            )
            answers.append(rows(found + client.play(ext(text) + SYNC)))
    assert answers[1] == answers[0]


async def moments(dsn: str, way: str) -> list[bool]:
    """Whether a literal that is read off the clock is of the transaction that prepares it, three times."""
    found = []
    for _ in range(3):
        connection = await asyncpg.connect(dsn, statement_cache_size=0)
        async with connection.transaction():
            if way == "described":
                statement = await connection.prepare("SELECT '{now}'::timestamptz[] = ARRAY[now()]")
                found.append(await statement.fetchval())
            else:
                found.append(await connection.fetchval("SELECT 'NOW' = now()"))
        await connection.close()
    return found


@pytest.mark.parametrize("way", ["described", "at once"])
def test_now_is_the_moment_at_which_the_session_says_it(narrow: Proxy, cluster: Cluster, way: str) -> None:
    assert asyncio.run(moments(cluster.oracle_dsn(), way)) == [True] * 3
    assert asyncio.run(moments(narrow.dsn(), way)) == [True] * 3

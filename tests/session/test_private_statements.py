"""What means something else to each session, a temporary table or a cursor, is described for it alone."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from shardproxy.wire.client_messages import SYNC, bind, execute, parse
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

"""Statements that were prepared before a table was altered outside the proxy: an error where PostgreSQL gives
it to a private connection, or where the client would misread the rows; else nothing is to be seen.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count

import asyncpg
import psycopg
import pytest

from shardproxy.wire.client_messages import FLUSH, SYNC, bind, close, describe, execute, parse
from tests.session.scripts.vocabulary import ext, q
from tests.session.test_parity import SHARD, essence
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy
from tests.support.sample import TABLES
from tests.support.wire_client import Step, WireClient

NUMBERS = count()
MAKE = """
DROP TABLE IF EXISTS changing; CREATE TABLE changing (tenant_id text, a int); INSERT INTO changing VALUES ('hooli', 1)
"""
WIDEN = "ALTER TABLE changing ALTER COLUMN a TYPE text"
ADD = "ALTER TABLE changing ADD COLUMN more int DEFAULT 7"
CHANGED = "M='cached plan must not change result type'"
TENANT = b"hooli"
Do = Callable[[str], None]


@pytest.fixture(scope="module")
def everywhere(cluster: Cluster) -> Iterator[Do]:
    """Runs SQL on every shard, as the owner of the table ``changing``."""
    with ExitStack() as stack:
        connections = [
            stack.enter_context(psycopg.connect(cluster.dsn(shard), autocommit=True))
            for shard in range(len(cluster.shards))
        ]

        def run(sql: str) -> None:
            for connection in connections:
                connection.execute(sql.encode())

        run(MAKE)
        yield run
        run("DROP TABLE changing")


@pytest.fixture
def owner(everywhere: Do) -> Do:
    """The same; the table is as it was at first."""
    everywhere(MAKE)
    return everywhere


class Texts:
    """Statements that nobody has prepared before."""

    def __init__(self) -> None:
        self.mark = f"/* {next(NUMBERS)} */"
        self.all = f"SELECT * FROM changing WHERE tenant_id = $1 {self.mark}"
        self.insert = f"INSERT INTO changing (tenant_id, a) VALUES ($1, 5) RETURNING * {self.mark}"
        self.prepare = parse(b"s", self.all.encode()) + describe(b"S", b"s") + SYNC
        self.once = ext(self.all, TENANT) + SYNC


@pytest.fixture
def texts() -> Texts:
    """For one test."""
    return Texts()


def knowing(cluster: Cluster, size: int) -> Proxy:
    """A proxy that knows the table, with so many server connections to each shard."""
    tables = {**TABLES, "changing": {"key": "tenant_id"}}
    return Proxy(cluster.config(tables=tables, pool={"size": size}))


@pytest.fixture(scope="module", params=[1, 3], ids=["one connection", "several"])
def altered(request: pytest.FixtureRequest, cluster: Cluster, everywhere: Do) -> Iterator[Proxy]:
    with knowing(cluster, request.param) as proxy:
        yield proxy


@pytest.fixture
def unaware(cluster: Cluster, owner: Do) -> Iterator[Proxy]:
    """One that nothing has made read the schema again, after which all statements are prepared anew."""
    with knowing(cluster, 1) as proxy:
        yield proxy


def both(cluster: Cluster, proxy: Proxy, owner: Do, *steps: bytes | str) -> list[str]:
    """The answers through the proxy, once they were found equal to a private connection's; SQL among the steps
    is run by the owner.
    """
    seen = []
    for dsn in (cluster.dsn(SHARD), proxy.dsn()):
        owner(MAKE)
        with WireClient(dsn) as client:
            known = dict(client.parameters)
            lines = []
            for step in steps:
                if isinstance(step, str):
                    owner(step)
                else:
                    lines += essence(client.play(step), known)
            seen.append(lines)
    assert seen[1] == seen[0]
    return seen[1]


def warm(proxy: Proxy, text: bytes) -> None:
    """Have ``text`` prepared on every connection to the tenant's shard, held by a transaction each."""
    size = proxy.config["pool"]["size"]
    with ExitStack() as stack:
        clients = [stack.enter_context(WireClient(proxy.dsn())) for _ in range(size)]
        for client in clients:
            client.play(q("BEGIN"), parse(b"", text) + bind(b"", b"", values=[TENANT]) + execute() + SYNC)


EXECUTE = bind(b"", b"s", values=[TENANT]) + describe(b"P", b"") + execute() + SYNC


@pytest.mark.parametrize("change", [WIDEN, ADD])
def test_what_is_parsed_anew_runs(
    cluster: Cluster, altered: Proxy, owner: Do, texts: Texts, change: str
) -> None:
    seen = both(cluster, altered, owner, texts.once, texts.once, change, texts.once, texts.once)
    assert not any(line.startswith("ErrorResponse") for line in seen)


def test_what_is_done_is_done_once(cluster: Cluster, altered: Proxy, owner: Do, texts: Texts) -> None:
    again = ext(texts.insert, TENANT) + SYNC
    seen = both(cluster, altered, owner, again, ADD, again, again, texts.once)
    assert seen[-2] == "CommandComplete SELECT 4"


@pytest.mark.parametrize("change", [WIDEN, ADD])
def test_what_the_client_was_told_of_is_as_it_was_told_or_fails(
    cluster: Cluster, altered: Proxy, owner: Do, texts: Texts, change: str
) -> None:
    seen = both(
        cluster,
        altered,
        owner,
        texts.prepare,
        EXECUTE,
        change,
        *[EXECUTE] * 3,
        close(b"S", b"s") + SYNC,
        texts.prepare,
        EXECUTE,
    )
    assert len([line for line in seen if CHANGED in line]) == 3


@pytest.mark.parametrize("change", [WIDEN, ADD])
def test_a_connection_that_has_not_met_the_statement_is_no_way_around(
    cluster: Cluster, altered: Proxy, owner: Do, texts: Texts, change: str
) -> None:
    """It would prepare it as the table is now, and the client would misread the rows."""
    seen = both(cluster, altered, owner, texts.prepare, change, EXECUTE, EXECUTE)
    assert len([line for line in seen if CHANGED in line]) == 2


def test_a_block_that_begins_with_what_is_not_as_it_was_told_fails(
    cluster: Cluster, altered: Proxy, owner: Do, texts: Texts
) -> None:
    block = (q("BEGIN"), EXECUTE, q("SELECT 1"), q("ROLLBACK"))
    both(cluster, altered, owner, texts.prepare, WIDEN, *block, *block, EXECUTE)


def test_what_is_not_as_it_was_told_is_not_done(
    cluster: Cluster, altered: Proxy, owner: Do, texts: Texts
) -> None:
    prepare = parse(b"s", texts.insert.encode()) + describe(b"S", b"s") + SYNC
    seen = both(cluster, altered, owner, prepare, ADD, EXECUTE, q("BEGIN"), EXECUTE, q("COMMIT"), texts.once)
    assert len([line for line in seen if CHANGED in line]) == 2
    assert seen[-2] == "CommandComplete SELECT 1"


def test_a_client_that_asks_again_is_not_told_otherwise(
    cluster: Cluster, altered: Proxy, owner: Do, texts: Texts
) -> None:
    seen = both(cluster, altered, owner, texts.prepare, WIDEN, EXECUTE, describe(b"S", b"s") + SYNC, EXECUTE)
    assert len([line for line in seen if CHANGED in line]) == 3


def test_a_change_that_the_client_cannot_notice_is_none(
    cluster: Cluster, altered: Proxy, owner: Do, texts: Texts
) -> None:
    back = "ALTER TABLE changing ALTER COLUMN a TYPE int USING a::int"
    index = "CREATE INDEX ON changing (a); ANALYZE changing"
    seen = both(cluster, altered, owner, texts.prepare, EXECUTE, index, EXECUTE, WIDEN, back, EXECUTE)
    assert not any(CHANGED in line for line in seen)


def test_what_another_client_was_told_is_not_held_against_the_next(
    altered: Proxy, owner: Do, texts: Texts
) -> None:
    with WireClient(altered.dsn()) as one, WireClient(altered.dsn()) as other:
        one.play(texts.prepare, EXECUTE)
        owner(WIDEN)
        assert "RowDescription tenant_id:25/-1/-1@1, a:23/4/-1@2" in other.play(
            texts.prepare
        )  # not known yet
        assert [line for line in other.play(EXECUTE) if CHANGED in line]
        assert "RowDescription tenant_id:25/-1/-1@1, a:25/-1/-1@2" in other.play(
            close(b"S", b"s") + texts.prepare
        )
        assert "DataRow 'hooli' '1'" in other.play(EXECUTE)
        assert [line for line in one.play(EXECUTE) if CHANGED in line]


def test_parameters_keep_the_types_that_the_client_was_told(altered: Proxy, owner: Do, texts: Texts) -> None:
    text = b"SELECT tenant_id FROM changing WHERE tenant_id = $1 AND a = $2"
    ask = bind(b"", b"s", [0, 1], [TENANT, b"\0\0\0\1"]) + execute() + SYNC
    with WireClient(altered.dsn()) as client:
        assert "ParameterDescription (25, 23)" in client.play(parse(b"s", text) + describe(b"S", b"s") + SYNC)
        owner("ALTER TABLE changing ALTER COLUMN a TYPE float4")
        assert [line for line in client.play(ask) if CHANGED in line]
        client.play(close(b"S", b"s") + parse(b"s", text, [0, 23]) + describe(b"S", b"s") + SYNC)
        assert "DataRow 'hooli'" in client.play(ask)


def test_an_open_transaction_fails_as_it_would_alone(
    cluster: Cluster, altered: Proxy, owner: Do, texts: Texts
) -> None:
    seen = both(
        cluster,
        altered,
        owner,
        *(
            texts.prepare,
            EXECUTE,
            q("BEGIN"),
            q("SAVEPOINT a"),
            WIDEN,
            EXECUTE,
            q("SELECT 1"),
            q("ROLLBACK TO a"),
        ),
        *(EXECUTE, q("ROLLBACK TO a"), close(b"S", b"s") + texts.prepare, EXECUTE, q("COMMIT"), EXECUTE),
    )
    assert len([line for line in seen if CHANGED in line]) == 2


def test_what_was_stale_in_a_transaction_is_prepared_again_in_it(
    unaware: Proxy, owner: Do, texts: Texts
) -> None:
    """The name that the server has is closed first: it would be there already (42P05)."""
    with WireClient(unaware.dsn()) as client:
        warm(unaware, texts.all.encode())
        owner(WIDEN)
        client.play(q("BEGIN"), q("SAVEPOINT a"))
        assert [line for line in client.play(texts.once) if CHANGED in line]
        done = "CommandComplete SELECT 1"
        assert client.play(q("ROLLBACK TO a"), texts.once)[-2:] == [done, "ReadyForQuery T"]
        assert client.play(texts.once, q("COMMIT"), texts.once)[-2:] == [done, "ReadyForQuery I"]


@pytest.mark.parametrize("kind", ["of several statements", "whose end comes later"])
def test_a_group_that_cannot_be_repeated_fails_once_and_does_nothing(
    unaware: Proxy, owner: Do, texts: Texts, kind: str
) -> None:
    groups: dict[str, tuple[bytes | Step, ...]] = {
        "of several statements": (ext(texts.insert, TENANT) + texts.once,),
        "whose end comes later": (Step(ext(texts.all, TENANT) + FLUSH, "E"), SYNC),
    }
    warm(unaware, texts.all.encode())
    owner(ADD)
    with WireClient(unaware.dsn()) as client:
        seen = client.play(*groups[kind])
        assert len([line for line in seen if line.startswith("ErrorResponse")]) == 1
        assert [line for line in seen if CHANGED in line]
        assert "CommandComplete SELECT 1" in client.play(texts.once)


FORGET = """
CREATE FUNCTION forget() RETURNS int LANGUAGE plpgsql AS $$BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN 1; END$$
"""


def test_statements_that_a_function_deallocated_are_prepared_again(
    cluster: Cluster, owner: Do, texts: Texts
) -> None:
    owner(FORGET)
    try:
        tables, groups = {"changing": {"key": "tenant_id"}}, {"tenant": "text"}
        config = cluster.config(tables=tables, groups=groups, pool={"size": 1}, tenant_isolation="off")
        with Proxy(config) as proxy, WireClient(proxy.dsn()) as client:
            client.play(q("SET shardproxy.tenant = 'hooli'"))
            for prepare in (b"", texts.prepare):
                for run in (EXECUTE, texts.once):
                    client.play(prepare or q("SELECT 1"))
                    assert "DataRow '1'" in client.play(q("SELECT forget()"))
                    expected = (
                        "CommandComplete SELECT 1" if prepare or run is not EXECUTE else "ErrorResponse"
                    )
                    assert any(line.startswith(expected) for line in client.play(run))
                client.play(q("SELECT 1"))
            client.play(q("BEGIN"), EXECUTE, q("SELECT forget()"))
            assert any("C='26000'" in line for line in client.play(EXECUTE, q("ROLLBACK")))
            assert "CommandComplete SELECT 1" in client.play(EXECUTE)
    finally:
        owner("DROP FUNCTION forget()")


# --- several shards -----------------------------------------------------------------------------------------


def test_what_is_parsed_anew_runs_on_several_shards(altered: Proxy, owner: Do, texts: Texts) -> None:
    text = f"SELECT * FROM changing {texts.mark}".encode()
    everybody = parse(b"", text) + bind(b"", b"") + execute() + SYNC
    with WireClient(altered.dsn()) as client:
        assert client.play(everybody).count("DataRow 'hooli' '1'") == 3
        owner(ADD)
        for _ in range(3):
            assert client.play(everybody).count("DataRow 'hooli' '1' '7'") == 3


def test_what_the_client_was_told_holds_on_several_shards(altered: Proxy, owner: Do, texts: Texts) -> None:
    prepare = parse(b"s", f"SELECT * FROM changing {texts.mark}".encode()) + describe(b"S", b"s") + SYNC
    run = bind(b"", b"s") + execute() + SYNC
    with WireClient(altered.dsn()) as client:
        client.play(prepare, run)
        owner(WIDEN)
        for _ in range(3):
            assert [line for line in client.play(run) if CHANGED in line]
        assert "RowDescription tenant_id:25/-1/-1@1, a:25/-1/-1@2" in client.play(close(b"S", b"s") + prepare)
        assert client.play(run).count("DataRow 'hooli' '1'") == 3
        owner(MAKE)
        for _ in range(2):
            seen = client.play(bind(b"", b"s") + describe(b"P", b"") + execute() + SYNC)
            assert len([line for line in seen if CHANGED in line]) == 1
            assert not [line for line in seen if line.startswith("DataRow")]


# --- drivers ------------------------------------------------------------------------------------------------


def test_asyncpg_prepares_again_by_itself(altered: Proxy, owner: Do, texts: Texts) -> None:
    async def main() -> None:
        connections = [await asyncpg.connect(altered.dsn()) for _ in range(3)]
        for change, expected in ((None, ("hooli", 1)), (WIDEN, ("hooli", "1")), (ADD, ("hooli", "1", 7))):
            if change is not None:
                owner(change)
            for connection in connections:
                for _ in range(3):
                    assert tuple(await connection.fetchrow(texts.all, "hooli")) == expected
        for connection in connections:
            await connection.close()

    asyncio.run(main())


@pytest.mark.parametrize("threshold", [None, 0])
def test_psycopg_does_not_notice(altered: Proxy, owner: Do, texts: Texts, threshold: int | None) -> None:
    """It asks for the columns with each execution, so it needs no error where PostgreSQL gives one."""
    sql = f"SELECT * FROM changing WHERE tenant_id = %s {texts.mark}"
    with psycopg.connect(altered.dsn(), autocommit=True, prepare_threshold=threshold) as connection:
        for change, expected in ((None, ("hooli", 1)), (WIDEN, ("hooli", "1")), (ADD, ("hooli", "1", 7))):
            if change is not None:
                owner(change)
            for _ in range(3):
                assert connection.execute(sql, ["hooli"]).fetchone() == expected

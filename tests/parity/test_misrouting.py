"""Every answer through the proxy is the one that one PostgreSQL with all rows gives, or a refusal; writes land where they belong.

The oracle holds all rows; a CHECK on each shard, computed by the server, admits only that shard's rows.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import psycopg
import pytest

from tests.parity.statements import ANSWERED, REFUSED, WRITES
from tests.support import sample
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

REFUSAL = "shardproxy does not run this statement"


@dataclass(frozen=True)
class Outcome:
    """What came back: rows, or the SQLSTATE of an error; ``refused`` when the proxy would not run it."""

    rows: tuple[Any, ...] | None = None
    tag: str | None = None
    sqlstate: str | None = None
    refused: bool = False


def parameters(cluster: Cluster) -> dict[str, Any]:
    a, b = cluster.tenants_of(0), cluster.tenants_of(1)
    devices = {sample.owner("devices", device): device for device in sample.DEVICES}
    d, e = list(devices.values())[:2]
    return {"t": a[0], "w": a[1], "u": b[0], "d": d, "e": e, "doc": sample.DOCS[3], "rawdoc": sample.DOCS[3]}


def normalise(rows: list[Any], sql: str) -> tuple[Any, ...]:
    texts = [tuple(repr(value) for value in row) for row in rows]
    return tuple(texts if "ORDER BY" in sql.rpartition(")")[2] else sorted(texts))


Runner = Callable[[Any, str, dict[str, Any]], Outcome]


def _psycopg(connection: psycopg.Connection[Any], cursor: Any, sql: str, values: dict[str, Any]) -> Outcome:
    try:
        cursor.execute(sql, values)
    except psycopg.Error as error:
        return Outcome(sqlstate=error.sqlstate, refused=REFUSAL in str(error))
    rows = cursor.fetchall() if cursor.description else []
    return Outcome(rows=normalise(rows, sql), tag=cursor.statusmessage)


def simple(connection: psycopg.Connection[Any], sql: str, values: dict[str, Any]) -> Outcome:
    """The simple protocol, values as literals."""
    return _psycopg(connection, psycopg.ClientCursor(connection), sql, values)


def text(connection: psycopg.Connection[Any], sql: str, values: dict[str, Any]) -> Outcome:
    """The extended protocol, text parameters."""
    return _psycopg(connection, connection.cursor(), re.sub(r"%\((\w+)\)s", r"%(\1)t", sql), values)


def binary(connection: psycopg.Connection[Any], sql: str, values: dict[str, Any]) -> Outcome:
    """The extended protocol, binary parameters and rows."""
    return _psycopg(connection, connection.cursor(binary=True), re.sub(r"%\((\w+)\)s", r"%(\1)b", sql), values)


class Asyncpg:
    """asyncpg: prepared statements, binary both ways, Parse and Describe before the key is known."""

    def __init__(self, dsn: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.connection = self.loop.run_until_complete(asyncpg.connect(dsn))

    def run(self, sql: str, values: dict[str, Any]) -> Outcome:
        names: list[str] = []

        def place(match: re.Match[str]) -> str:
            if match[1] not in names:
                names.append(match[1])
            return f"${names.index(match[1]) + 1}"

        numbered = re.sub(r"%\((\w+)\)s", place, sql).replace("%%", "%")
        return self.loop.run_until_complete(self._run(numbered, sql, [values[name] for name in names]))

    async def _run(self, numbered: str, sql: str, arguments: list[Any]) -> Outcome:
        try:
            statement = await self.connection.prepare(numbered)
            rows = await statement.fetch(*arguments)
        except asyncpg.PostgresError as error:
            return Outcome(sqlstate=error.sqlstate, refused=REFUSAL in str(error))
        except asyncpg.InterfaceError:
            return Outcome(sqlstate="driver")
        return Outcome(rows=normalise([tuple(row) for row in rows], sql), tag=statement.get_statusmsg())

    def close(self) -> None:
        self.loop.run_until_complete(self.connection.close())
        self.loop.close()


class Pair:
    """The same driver in the same way, on the proxy and on the oracle."""

    def __init__(self, mode: str, proxy_dsn: str, oracle_dsn: str) -> None:
        self.closers: list[Callable[[], None]] = []
        self.proxy = self._runner(mode, proxy_dsn)
        self.oracle = self._runner(mode, oracle_dsn)

    def _runner(self, mode: str, dsn: str) -> Callable[[str, dict[str, Any]], Outcome]:
        if mode == "asyncpg":
            driver = Asyncpg(dsn)
            self.closers.append(driver.close)
            return driver.run
        connection = psycopg.connect(dsn, autocommit=True)
        self.closers.append(connection.close)
        run = {"simple": simple, "text": text, "binary": binary}[mode]
        return lambda sql, values: run(connection, sql, values)

    def close(self) -> None:
        for close in self.closers:
            close()


@pytest.fixture(scope="module", params=["simple", "text", "binary", "asyncpg"])
def pair(request: pytest.FixtureRequest, proxy: Proxy, cluster: Cluster) -> Iterator[Pair]:
    pair = Pair(request.param, proxy.dsn(), cluster.oracle_dsn())
    yield pair
    pair.close()


@pytest.mark.parametrize("sql", ANSWERED)
def test_answers_equal_one_postgresql_with_all_rows(pair: Pair, cluster: Cluster, sql: str) -> None:
    values = parameters(cluster)
    sql = sql.replace("%(rawdoc)s", str(values["rawdoc"]))
    assert pair.proxy(sql, values) == pair.oracle(sql, values)


@pytest.mark.parametrize("sql", REFUSED)
def test_what_has_no_right_route_is_refused_by_name(pair: Pair, cluster: Cluster, sql: str) -> None:
    outcome = pair.proxy(sql, parameters(cluster))
    assert outcome.refused, outcome
    assert outcome.sqlstate == "0A000"


@pytest.mark.parametrize("mode", ["simple", "binary", "asyncpg"])
def test_writes_land_on_their_shard_and_leave_what_one_postgresql_would_have(
    proxy: Proxy, cluster: Cluster, mode: str
) -> None:
    pair = Pair(mode, proxy.dsn(), cluster.oracle_dsn())
    refused = []
    try:
        for sql in WRITES:
            through = pair.proxy(sql, parameters(cluster))
            if through.refused:
                refused.append(sql)
                continue
            assert through == pair.oracle(sql, parameters(cluster)), sql
        assert len(refused) <= len(WRITES) - WRITES.index("UPDATE orders SET note = 'everybody'") + 5, refused
        for table in sample.TABLES:
            assert _on_shards(cluster, table) == _on_oracle(cluster, table), table
    finally:
        pair.close()
        cluster.reset()


def _rows(dsn: str, table: str) -> Counter[str]:
    with psycopg.connect(dsn) as connection:
        return Counter(row[0] for row in connection.execute(f"SELECT x::text FROM {table} x"))  # type: ignore[call-overload]


def _on_shards(cluster: Cluster, table: str) -> Counter[str]:
    if sample.TABLES[table] == "reference":
        return _rows(cluster.dsn(0), table)
    found: Counter[str] = Counter()
    for shard in range(len(cluster.shards)):
        found += _rows(cluster.dsn(shard), table)
    return found


def _on_oracle(cluster: Cluster, table: str) -> Counter[str]:
    return _rows(cluster.oracle_dsn(), table)

"""Every answer through the proxy is the one that one PostgreSQL with all rows gives, or a refusal; writes land where they belong.

The oracle holds all rows; a CHECK on each shard, computed by the server, admits only that shard's rows.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.parity.pair import MODES, Pair
from tests.parity.statements import ANSWERED, REFUSED, WRITES
from tests.support import sample
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy


def parameters(cluster: Cluster) -> dict[str, Any]:
    a, b = cluster.tenants_of(0), cluster.tenants_of(1)
    devices = {sample.owner("devices", device): device for device in sample.DEVICES}
    d, e = list(devices.values())[:2]
    return {"t": a[0], "w": a[1], "u": b[0], "d": d, "e": e, "doc": sample.DOCS[3], "rawdoc": sample.DOCS[3]}


@pytest.fixture(scope="module", params=MODES)
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


@pytest.mark.parametrize("table", ["orders", "coupons", "device_notes", "readings", "devices", "docs"])
def test_every_key_of_each_type_is_found_as_literal_as_text_and_in_binary(pair: Pair, table: str) -> None:
    """text, varchar, int2, int4, int8 and uuid, in this order."""
    key = sample.COLUMNS[table][0]
    sql = f"SELECT {key}, count(*) FROM {table} WHERE {key} = %(key)s GROUP BY 1"
    keys = {row[0] for row in sample.rows()[table]}
    assert len(keys) > 3
    for value in keys:
        outcome = pair.proxy(sql, {"key": value})
        assert outcome.rows, outcome
        assert outcome == pair.oracle(sql, {"key": value})


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
        return Counter(row[0] for row in connection.execute(f"SELECT x::text FROM {table} x"))


def _on_shards(cluster: Cluster, table: str) -> Counter[str]:
    if sample.TABLES[table] == "reference":
        return _rows(cluster.dsn(0), table)
    found: Counter[str] = Counter()
    for shard in range(len(cluster.shards)):
        found += _rows(cluster.dsn(shard), table)
    return found


def _on_oracle(cluster: Cluster, table: str) -> Counter[str]:
    return _rows(cluster.oracle_dsn(), table)

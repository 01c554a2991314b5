"""Conversations that hide a table, a key or a name: answered as one PostgreSQL answers them, or refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shardproxy.demo.postgres import Install, Run
from tests.parity.attacks import ANSWERED, REFUSED, TABLES
from tests.parity.pair import Pair
from tests.support import cluster as clusters
from tests.support import sample
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

SCHEMA = Path(__file__).with_name("attack_schema.sql")


@pytest.fixture(scope="module")
def cluster(install: Install) -> Iterator[Cluster]:
    """Servers of the attacks' own: their tables must not be seen by the proxy that other tests share."""
    with Run(install) as run:
        yield clusters.start(run)


@pytest.fixture(scope="module")
def attacked(cluster: Cluster) -> Iterator[Proxy]:
    """A proxy that has read the schema of the attacks."""
    servers = [*(cluster.dsn(i, superuser=True) for i in range(3)), cluster.oracle_dsn(superuser=True)]
    script = SCHEMA.read_text()
    for number, dsn in enumerate(servers):
        with psycopg.connect(dsn) as connection:
            connection.execute(script.encode())
            _fill(connection, number)
    with Proxy(cluster.config(tables={**sample.TABLES, **TABLES})) as proxy:
        yield proxy
    for dsn in servers:
        with psycopg.connect(dsn) as connection:
            connection.execute("DROP SCHEMA attack, app CASCADE")


def _fill(connection: psycopg.Connection, number: int) -> None:
    """Rows for one shard, or all of them for the oracle, which is number 3."""
    tenants = [(tenant, 1) for tenant in sample.tenants() if number in (3, sample.owner("tenants", tenant))]
    devices = [device for device in sample.DEVICES if number in (3, sample.owner("devices", device))]
    rows: dict[str, list[tuple[Any, ...]]] = {
        "base (tenant_id, a)": tenants,
        "child (tenant_id, a)": tenants,
        "mixed_child (tenant_id, a)": tenants,
        "watched (tenant_id, a)": tenants,
        "own (tenant_id, a)": tenants,
        "watched_reference (k)": [(tenant,) for tenant in sample.tenants()],
        "measures (device_id, at)": [(device, f"2025-0{n}-01") for device in devices for n in (1, 2)],
    }
    connection.execute("RESET ROLE")
    for target, values in rows.items():
        places = ", ".join(["%s"] * len(values[0]))
        connection.cursor().executemany(f"INSERT INTO attack.{target} VALUES ({places})".encode(), values)


@pytest.fixture(params=["simple", "text", "binary"])
def pair(request: pytest.FixtureRequest, attacked: Proxy, cluster: Cluster) -> Iterator[Pair]:
    pair = Pair(request.param, attacked.dsn(), cluster.oracle_dsn())
    yield pair
    pair.close()


def sendable(pair: Pair, conversation: tuple[str, ...]) -> bool:
    """Only the simple protocol has several statements in one text."""
    return pair.mode == "simple" or not any("; " in sql or "COPY" in sql for sql in conversation)


@pytest.mark.parametrize("conversation", ANSWERED, ids="; ".join)
def test_answered_as_one_postgresql_answers(pair: Pair, conversation: tuple[str, ...]) -> None:
    for sql in conversation if sendable(pair, conversation) else ():
        assert pair.proxy(sql.replace("%", "%%"), {}) == pair.oracle(sql.replace("%", "%%"), {}), sql


@pytest.mark.parametrize("conversation", REFUSED, ids="; ".join)
def test_refused_before_the_answer_could_differ(pair: Pair, conversation: tuple[str, ...]) -> None:
    for sql in conversation if sendable(pair, conversation) else ():
        through = pair.proxy(sql.replace("%", "%%"), {})
        if through.refused:
            return
        assert through == pair.oracle(sql.replace("%", "%%"), {}), sql
    assert not sendable(pair, conversation), f"answered: {conversation}"

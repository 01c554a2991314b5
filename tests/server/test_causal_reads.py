"""A session that reads causally never reads what is older than its own writes; replicas help where they can."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.support import rest
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

WHERE = "SELECT name, current_setting('in_hot_standby') FROM tenants WHERE tenant_id = %s"
EVERYWHERE = "SELECT name, current_setting('in_hot_standby') FROM tenants"
WRITE = "UPDATE tenants SET name = %s WHERE tenant_id = %s"


@pytest.fixture(scope="module")
def sidecar(replicated_cluster: Cluster) -> Iterator[Proxy]:
    with Proxy(replicated_cluster.config(reads={"probe_interval": "100ms"})) as proxy:
        rest.wait_until(
            lambda: rest.metric(proxy, "shardproxy_replica_in_rotation") == 3, "every replica is read", 30.0
        )
        with connect(proxy, "primary") as keeper:
            names = keeper.execute("SELECT tenant_id, name FROM tenants").fetchall()
            yield proxy
            for tenant, name in names:
                keeper.execute(WRITE, (name, tenant))


@pytest.fixture
def session(sidecar: Proxy) -> Iterator[psycopg.Connection[Any]]:
    with connect(sidecar, "causal") as connection:
        yield connection


def connect(sidecar: Proxy, read: str) -> psycopg.Connection[Any]:
    return psycopg.connect(sidecar.dsn(), autocommit=True, options=f"-c shardproxy.read={read}")


@contextmanager
def replay_paused(cluster: Cluster, shard: int) -> Iterator[None]:
    """The replica of a shard stays in rotation, and learns of nothing."""
    (replica,) = cluster.shards[shard].replicas
    with psycopg.connect(replica.dsn(), autocommit=True) as direct:
        direct.execute("SELECT pg_wal_replay_pause()")
        rest.wait_until(
            lambda: direct.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() == ("paused",),
            "nothing is replayed",
        )
        try:
            yield
        finally:
            direct.execute("SELECT pg_wal_replay_resume()")


def where(session: psycopg.Connection[Any], tenant: str, *, prepare: bool | None = None) -> tuple[str, str]:
    row = session.execute(WHERE, (tenant,), prepare=prepare).fetchone()
    assert row is not None
    return row[0], row[1]


@pytest.mark.parametrize("prepare", [False, True])
def test_own_writes_are_read_and_a_replica_answers_when_it_has_them(
    sidecar: Proxy, replicated_cluster: Cluster, session: psycopg.Connection[Any], prepare: bool
) -> None:
    tenant = replicated_cluster.tenants_of(1)[0]
    other = replicated_cluster.tenants_of(0)[0]
    rest.wait_until(lambda: where(session, tenant)[1] == "on", "the replica is known to be complete")
    with replay_paused(replicated_cluster, 1), connect(sidecar, "replica") as careless:
        name = f"paused-{prepare}"
        session.execute(WRITE, (name, tenant), prepare=prepare)
        assert where(session, tenant, prepare=prepare) == (name, "off")
        assert where(session, other, prepare=prepare)[1] == "on", "it has written nothing there"
        assert where(careless, tenant)[0] != name, "else the replica was not behind, and this test is empty"
        assert {standby for got, standby in session.execute(EVERYWHERE) if got == name} == {"off"}
        assert {standby for _, standby in session.execute(EVERYWHERE)} == {"on", "off"}
    rest.wait_until(lambda: where(session, tenant) == (name, "on"), "the replica has it by now")
    assert {standby for _, standby in session.execute(EVERYWHERE)} == {"on"}


def test_what_a_transaction_wrote_is_read_after_it(
    replicated_cluster: Cluster, session: psycopg.Connection[Any]
) -> None:
    tenant = replicated_cluster.tenants_of(1)[0]
    with replay_paused(replicated_cluster, 1):
        with session.transaction():
            session.execute(WRITE, ("in a block", tenant))
        assert where(session, tenant) == ("in a block", "off")
        with session.pipeline():
            session.execute(WRITE, ("in a pipeline", tenant))
        assert where(session, tenant) == ("in a pipeline", "off")


def test_a_session_that_turns_causal_later_has_its_earlier_writes(
    sidecar: Proxy, replicated_cluster: Cluster
) -> None:
    tenant = replicated_cluster.tenants_of(1)[0]
    with replay_paused(replicated_cluster, 1), connect(sidecar, "primary") as session:
        session.execute(WRITE, ("before", tenant))
        session.execute("SET shardproxy.read = 'causal'")
        assert where(session, tenant) == ("before", "off")
        session.execute("SET shardproxy.read = 'replica'")
        session.execute(WRITE, ("meanwhile", tenant))
        session.execute("SET shardproxy.read = 'causal'")
        assert where(session, tenant) == ("meanwhile", "off")


def test_no_read_of_many_is_older_than_the_write_before_it(
    replicated_cluster: Cluster, session: psycopg.Connection[Any]
) -> None:
    tenants = [replicated_cluster.tenants_of(shard)[0] for shard in range(3)]
    standbys = set()
    for i in range(300):
        tenant = tenants[i % 3]
        session.execute(WRITE, (f"name {i}", tenant))
        for reading in tenants:
            name, standby = where(session, reading)
            standbys.add(standby)
            if reading == tenant:
                assert name == f"name {i}"
    assert "off" in standbys


def test_a_write_without_waiting_for_the_disk_counts_too(
    replicated_cluster: Cluster, session: psycopg.Connection[Any]
) -> None:
    tenant = replicated_cluster.tenants_of(2)[0]
    session.execute("SET synchronous_commit = off")
    for i in range(100):
        session.execute(WRITE, (f"hurried {i}", tenant))
        assert where(session, tenant)[0] == f"hurried {i}"
    rest.wait_until(lambda: where(session, tenant) == ("hurried 99", "on"), "the replica has it by now")

"""Reads go to replicas where the session asked for it and it is safe, and nothing else does."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.support import rest
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

WHERE = "SELECT current_setting('in_hot_standby') FROM tenants WHERE tenant_id = %s"
"""``on`` when a replica answers; the function is stable."""


@pytest.fixture(scope="module")
def sidecar(replicated_cluster: Cluster) -> Iterator[Proxy]:
    with Proxy(replicated_cluster.config()) as proxy:
        rest.wait_until(
            lambda: rest.metric(proxy, "shardproxy_replica_in_rotation") == 3, "every replica is read", 30.0
        )
        yield proxy


@pytest.fixture
def session(sidecar: Proxy) -> Iterator[psycopg.Connection[Any]]:
    """A session that reads from replicas."""
    options = "-c shardproxy.read=replica"
    with psycopg.connect(sidecar.dsn(), autocommit=True, options=options) as connection:
        yield connection


def one(session: psycopg.Connection[Any], sql: str, *values: object) -> object:
    row = session.execute(sql, values or None).fetchone()  # type: ignore[arg-type]
    assert row is not None
    return row[0]


def in_rotation(sidecar: Proxy, shard: str) -> float:
    return rest.metric(sidecar, "shardproxy_replica_in_rotation", shard=shard)


@pytest.mark.parametrize("prepare", [False, True])
def test_reads_go_to_replicas_only_for_sessions_that_asked(
    sidecar: Proxy, replicated_cluster: Cluster, session: psycopg.Connection[Any], prepare: bool
) -> None:
    with psycopg.connect(sidecar.dsn(), autocommit=True) as other:
        for shard in range(3):
            tenant = replicated_cluster.tenants_of(shard)[0]
            assert session.execute(WHERE, (tenant,), prepare=prepare).fetchone() == ("on",)
            assert other.execute(WHERE, (tenant,), prepare=prepare).fetchone() == ("off",)


def test_a_fan_out_reads_from_replicas(session: psycopg.Connection[Any]) -> None:
    rows = session.execute("SELECT tenant_id, current_setting('in_hot_standby') FROM tenants").fetchall()
    assert len(rows) == 20
    assert {standby for _, standby in rows} == {"on"}


STANDBY = "current_setting('in_hot_standby')"
PRIMARY_ONLY = {
    "a volatile function": "SELECT pg_is_in_recovery()::text FROM tenants WHERE tenant_id = 'hooli'",
    "FOR UPDATE": f"SELECT {STANDBY} FROM tenants WHERE tenant_id = 'hooli' FOR UPDATE",
    "FOR SHARE": f"SELECT {STANDBY} FROM tenants WHERE tenant_id = 'hooli' FOR SHARE",
    "UPDATE": f"UPDATE tenants SET plan = plan WHERE tenant_id = 'hooli' RETURNING {STANDBY}",
    "a modifying CTE": "WITH u AS (UPDATE tenants SET plan = plan WHERE tenant_id = 'hooli' RETURNING 1)"
    f" SELECT {STANDBY} FROM u",
    "nextval": "SELECT CASE WHEN nextval('orders_order_id_seq') > 0 THEN"
    f" {STANDBY} END FROM tenants WHERE tenant_id = 'hooli'",
}


@pytest.mark.parametrize("sql", PRIMARY_ONLY.values(), ids=PRIMARY_ONLY.keys())
@pytest.mark.parametrize("binary", [False, True], ids=["simple", "extended"])
def test_what_writes_or_may_write_goes_to_the_primary(
    session: psycopg.Connection[Any], sql: str, binary: bool
) -> None:
    answer = session.execute(sql, binary=binary).fetchone()
    assert answer in (("off",), ("false",))


def test_a_transaction_stays_on_the_primary(session: psycopg.Connection[Any]) -> None:
    with session.transaction():
        assert one(session, WHERE, "hooli") == "off"
    assert one(session, WHERE, "hooli") == "on"


def test_the_policy_can_be_changed_in_the_session(session: psycopg.Connection[Any]) -> None:
    session.execute("SET shardproxy.read = 'primary'")
    assert one(session, WHERE, "hooli") == "off"
    session.execute("RESET shardproxy.read")
    assert one(session, WHERE, "hooli") == "on"


def test_a_hanging_replica_leaves_the_rotation_and_comes_back(
    sidecar: Proxy, replicated_cluster: Cluster, session: psycopg.Connection[Any]
) -> None:
    (replica,) = replicated_cluster.shards[1].replicas
    replica.pause()
    try:
        rest.wait_until(lambda: not in_rotation(sidecar, "shard-b"), "the replica is out")
        assert one(session, WHERE, "hooli") == "off", "the primary stands in"
        assert one(session, WHERE, replicated_cluster.tenants_of(0)[0]) == "on", "other shards' go on"
    finally:
        replica.resume()
    rest.wait_until(lambda: in_rotation(sidecar, "shard-b"), "the replica is back")
    assert one(session, WHERE, "hooli") == "on"


def test_a_dead_replica_is_an_error_where_the_primary_may_not_stand_in(replicated_cluster: Cluster) -> None:
    (replica,) = replicated_cluster.shards[1].replicas
    options = {"reads": {"default": "replica", "fallback": "error"}}
    with (
        Proxy(replicated_cluster.config(**options)) as strict,
        psycopg.connect(strict.dsn(), autocommit=True) as session,
    ):
        assert one(session, WHERE, "hooli") == "on", "the default of this proxy"
        replica.kill()
        try:
            rest.wait_until(lambda: not in_rotation(strict, "shard-b"), "the replica is out")
            for sql in ("SELECT 1 FROM tenants WHERE tenant_id = 'hooli'", "SELECT 1 FROM tenants"):
                with pytest.raises(psycopg.errors.CannotConnectNow, match="no replica in rotation"):
                    session.execute(sql)
            session.execute("SET shardproxy.read = 'primary'")
            assert one(session, WHERE, "hooli") == "off"
        finally:
            replica.start()
        rest.wait_until(lambda: in_rotation(strict, "shard-b"), "the replica is back")
        session.execute("SET shardproxy.read = 'replica'")
        assert one(session, WHERE, "hooli") == "on"

"""A session with ``shardproxy.tenant`` sees what a database with that tenant's rows alone would show it."""

from collections.abc import Iterator

import psycopg
import pytest

from shardproxy.demo.cluster import DATABASE
from tests.parity.generator import Changes, Queries
from tests.parity.test_generated import COUNT, SEEDS, disguised, values
from tests.parity.trial import Trial
from tests.support import sample
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

__all__ = ["disguised"]

TENANT = "acme"
ALONE = f"{DATABASE}_{TENANT}"
OF_TENANTS = [
    name
    for name, spread in sample.TABLES.items()
    if isinstance(spread, dict) and spread.get("key") == "tenant_id"
]


@pytest.fixture(scope="module")
def alone(disguised: Cluster) -> Iterator[str]:
    """The DSN of a copy of the oracle's database in which one tenant has rows."""
    dsn = disguised.oracle_dsn(superuser=True)
    with psycopg.connect(dsn, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {ALONE} TEMPLATE {DATABASE}".encode())
    with psycopg.connect(dsn, dbname=ALONE) as connection:
        connection.execute("SET session_replication_role = replica")
        for table in OF_TENANTS:
            connection.execute(f"DELETE FROM {table} WHERE tenant_id <> '{TENANT}'".encode())
    yield disguised.oracle_dsn().replace(f"/{DATABASE}", f"/{ALONE}")
    with psycopg.connect(dsn, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {ALONE} WITH (FORCE)".encode())


@pytest.fixture(scope="module")
def isolating(cluster: Cluster) -> Iterator[Proxy]:
    with Proxy(cluster.config(tenant_isolation="enforce")) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def trusting(cluster: Cluster) -> Iterator[Proxy]:
    with Proxy(cluster.config(tenant_isolation="off")) as proxy:
        yield proxy


def of_tenant(proxy: Proxy) -> str:
    """Where a session of the tenant connects."""
    return f"{proxy.dsn()}?options=-c%20shardproxy.tenant%3D{TENANT}"


@pytest.mark.timeout(60 + COUNT)
@pytest.mark.parametrize("seed", SEEDS)
def test_an_isolated_tenant_is_alone(isolating: Proxy, disguised: Cluster, alone: str, seed: int) -> None:
    with Trial(of_tenant(isolating), alone, values(disguised)) as trial:
        queries = Queries(seed, of_one_tenant=True)
        trial.select((queries.statement() for _ in range(COUNT)), seed)
        print(f"seed {seed}: {trial.report()}")
        assert not trial.wrong, f"seed {seed}\n" + "\n".join(trial.wrong)
        assert trial.answered > 0.4, trial.report()


@pytest.mark.timeout(60 + COUNT)
@pytest.mark.parametrize("seed", SEEDS)
def test_an_isolated_tenant_changes_rows_as_if_alone(
    isolating: Proxy, disguised: Cluster, alone: str, seed: int
) -> None:
    with Trial(of_tenant(isolating), alone, values(disguised)) as trial:
        changes = Changes(seed, of_one_tenant=True)
        trial.change((changes.statement() for _ in range(COUNT // 2)), seed)
        print(f"seed {seed}: {trial.report()}")
        assert not trial.wrong, f"seed {seed}\n" + "\n".join(trial.wrong)
        assert trial.answered > 0.2, trial.report()


@pytest.mark.timeout(60 + COUNT)
@pytest.mark.parametrize("seed", SEEDS)
def test_without_isolation_the_tenant_names_its_shard(trusting: Proxy, disguised: Cluster, seed: int) -> None:
    shard = disguised.dsn(disguised.owner(TENANT))
    with Trial(of_tenant(trusting), shard, values(disguised)) as trial:
        queries = Queries(seed, other_tables=False, of_one_tenant=True)
        trial.select((queries.statement() for _ in range(COUNT)), seed)
        print(f"seed {seed}: {trial.report()}")
        assert not trial.wrong, f"seed {seed}\n" + "\n".join(trial.wrong)
        assert trial.answered > 0.4, trial.report()


@pytest.mark.parametrize("isolation", ["isolating", "trusting"])
def test_a_transaction_of_another_group_ends_where_it_is(
    request: pytest.FixtureRequest, cluster: Cluster, isolation: str
) -> None:
    elsewhere = next(d for d in sample.DEVICES if cluster.owner(d, "devices") != cluster.owner(TENANT))
    proxy: Proxy = request.getfixturevalue(isolation)
    with psycopg.connect(of_tenant(proxy), autocommit=True) as connection:
        for end in ("ROLLBACK", "COMMIT"):
            connection.execute("BEGIN")
            connection.execute(b"UPDATE devices SET model = model WHERE device_id = %d" % elsewhere)
            assert connection.execute("SELECT 1").fetchone() == (1,)
            assert connection.execute(end).statusmessage == end
        assert connection.execute("SELECT DISTINCT tenant_id FROM orders WHERE tenant_id = 'acme'").fetchall()

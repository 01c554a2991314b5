"""Drivers as applications use them, all through the shared proxy."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import psycopg
import pytest

from tests.support import sample
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

NUMBERS = count()


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant, and how many orders it has."""

    name: str
    orders: int


@pytest.fixture(scope="session")
def tenants(cluster: Cluster) -> tuple[Tenant, ...]:
    """One tenant of every shard."""
    names = [cluster.tenants_of(shard)[0] for shard in range(len(cluster.shards))]
    orders = sample.rows()["orders"]
    return tuple(Tenant(name, sum(row[0] == name for row in orders)) for name in names)


@pytest.fixture
def dsn(proxy: Proxy) -> str:
    """The proxy."""
    return proxy.dsn()


@pytest.fixture
def written(cluster: Cluster) -> Iterator[Cluster]:
    """For tests that commit: every row is put back afterwards."""
    yield cluster
    cluster.reset()


@pytest.fixture
def mood(cluster: Cluster) -> Iterator[str]:
    """The name of an enumerated type that nobody has met."""
    name = f"mood_{next(NUMBERS)}"
    dsns = [cluster.dsn(shard, superuser=True) for shard in range(len(cluster.shards))]
    for dsn in dsns:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"CREATE TYPE {name} AS ENUM ('fine', 'better')")
    yield name
    for dsn in dsns:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"DROP TYPE {name}")

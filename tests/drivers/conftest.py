"""Drivers as applications use them, all through the shared proxy."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support import sample
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy


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

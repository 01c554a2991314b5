"""Shards for the workloads, shared by tests that leave them running."""

from collections.abc import Iterator, Sequence

import pytest

from shardproxy.demo.postgres import Install, Run
from tests.histories import shards as clusters
from tests.histories.shards import Shards
from tests.support.proxy import Proxy


@pytest.fixture(scope="session")
def running_shards(install: Install) -> Iterator[Shards]:
    """Three shards without replicas."""
    with Run(install) as run:
        yield clusters.start(run)


@pytest.fixture
def shards(running_shards: Shards) -> Shards:
    """The same, without any row."""
    running_shards.clear()
    return running_shards


@pytest.fixture(scope="session")
def sidecars(running_shards: Shards) -> Iterator[Sequence[Proxy]]:
    """Two sidecars in front of them."""
    with running_shards.sidecars(2) as sidecars:
        yield sidecars

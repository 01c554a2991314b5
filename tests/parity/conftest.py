"""Parity compares the shards with the oracle: it begins with the same rows on both, whatever ran before."""

import pytest

from tests.support.cluster import Cluster


@pytest.fixture(scope="module", autouse=True)
def _the_same_rows(cluster: Cluster) -> None:
    cluster.reset()

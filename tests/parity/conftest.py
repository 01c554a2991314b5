"""Parity compares the shards with the oracle: each module begins with the same rows on both and with a proxy that has
read the schema as it is then, whatever ran before.
"""

from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster
from tests.support.proxy import Proxy


@pytest.fixture(scope="module")
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    """A proxy of the module's own in front of ``cluster``."""
    cluster.reset()
    with Proxy(cluster.config()) as proxy:
        yield proxy

"""Proxies that let everybody in, or nobody for long."""

from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster
from tests.support.proxy import Proxy


@pytest.fixture(scope="package")
def trusting(cluster: Cluster) -> Iterator[Proxy]:
    """A proxy without passwords, for at most five clients, who have half a second to log in."""
    options = {"auth": {"method": "trust"}, "limits": {"clients": 5}, "timeouts": {"login": "500ms"}}
    with Proxy(cluster.config(**options)) as proxy:
        yield proxy

"""Three shards that take any row, with fences and a catalog."""

from collections.abc import Iterator

import pytest

from shardproxy.demo.postgres import Install, Run
from tests.rebalance.installed import Installed
from tests.support import cluster as clusters


@pytest.fixture(scope="package")
def installed(install: Install) -> Iterator[Installed]:
    """An installation that the tests of this package share; each uses tenants of its own."""
    with Run(install) as run:
        installed = Installed(
            clusters.start(run, checks=False, settings={"wal_retrieve_retry_interval": "100ms"})
        )
        installed.install()
        yield installed

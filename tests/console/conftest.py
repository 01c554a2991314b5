"""Three shards that take any row, as an installation, with a sidecar whose console is open to some."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shardproxy.demo.postgres import Install, Run
from tests.console.psql import Psql, sections
from tests.support import cluster as clusters
from tests.support.installed import Installed
from tests.support.proxy import Proxy

SETTINGS = {"wal_retrieve_retry_interval": "100ms"}


@pytest.fixture(scope="package")
def installed(install: Install) -> Iterator[Installed]:
    with Run(install) as run:
        yield Installed.make(clusters.start(run, checks=False, settings=SETTINGS))


@pytest.fixture(scope="package")
def sidecar(installed: Installed) -> Iterator[Proxy]:
    with Proxy(installed.config(**sections())) as proxy:
        yield proxy


@pytest.fixture
def console(sidecar: Proxy, psql: Path) -> Psql:
    return Psql(psql, sidecar)

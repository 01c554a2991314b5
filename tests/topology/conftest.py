"""A connection to a fresh server of each PostgreSQL version that this machine has."""

from collections.abc import Iterator

import psycopg
import pytest

from shardproxy.demo.postgres import Install, Run, Server
from tests.topology.servers import installs

INSTALLS = installs()


@pytest.fixture(scope="package", params=INSTALLS, ids=lambda install: f"pg{install.version[0]}")
def live(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    install: Install = request.param
    with Run(install) as run:
        server = Server.create(run, "hashes").start()
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            yield connection

"""A plain PostgreSQL server for the client's own plumbing: ``shardproxy.tenant`` is a legal setting there."""

from collections.abc import Iterator

import pytest

from shardproxy.demo.install import Install
from shardproxy.demo.postgres import Server
from shardproxy.demo.run import Run


@pytest.fixture(scope="package")
def plain_server(install: Install) -> Iterator[Server]:
    with Run(install) as run:
        yield Server.create(run, "plain", settings={"log_statement": "all"}).start()


@pytest.fixture
def dsn(plain_server: Server) -> str:
    """A server with an empty table ``note(tenant_id, id, body)``."""
    plain_server.query(
        "DROP TABLE IF EXISTS note;"
        "CREATE TABLE note (tenant_id text, id int, body text, PRIMARY KEY (tenant_id, id))"
    )
    return plain_server.dsn()

"""Two servers, and a role that replicates."""

from collections.abc import Iterator

import pytest

from shardproxy.backend.server import Address, Login
from shardproxy.backend.shards import ServerSpec
from shardproxy.demo.postgres import Install, Run, Server
from shardproxy.demo.run import side_by_side
from shardproxy.secret import Secret

PASSWORD = "it's \\ secret"


@pytest.fixture(scope="package")
def servers(install: Install) -> Iterator[tuple[Server, Server]]:
    with Run(install) as run:
        left, right = side_by_side(
            [lambda n=name: Server.create(run, n).start() for name in ("left", "right")]
        )
        for server in (left, right):
            server.query("CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'it''s \\ secret'")
            server.query(
                "CREATE TABLE orders (tenant_id text, id int, PRIMARY KEY (tenant_id, id));"
                "CREATE TABLE parts (tenant_id text, id int, PRIMARY KEY (tenant_id, id)) PARTITION BY RANGE (id);"
                "CREATE TABLE part PARTITION OF parts DEFAULT"
            )
        yield left, right


def spec(server: Server, user: str = "boss", password: str = PASSWORD) -> ServerSpec:
    """How to log in on a server."""
    return ServerSpec(Address("127.0.0.1", server.port), Login(user, "postgres", Secret(password)))

"""Two primaries, one with a streaming replica; each test gets databases of its own on them."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from shardproxy.demo.postgres import Install, Run, Server
from shardproxy.demo.run import side_by_side
from tests.catalog.fenced import APP, APP_PASSWORD, Fenced
from tests.support.aio import run

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Servers:
    primaries: tuple[Server, Server]
    replica: Server


@pytest.fixture(scope="module")
def servers(install: Install) -> Iterator[Servers]:
    with Run(install) as run:
        a, b = side_by_side([lambda name=name: Server.create(run, name).start() for name in ("a", "b")])
        for server in (a, b):
            server.query(f"CREATE ROLE {APP} LOGIN PASSWORD '{APP_PASSWORD}'")
            server.query("CREATE ROLE operator SUPERUSER LOGIN PASSWORD 'secret'")
        yield Servers((a, b), a.basebackup("a-replica").start())


@pytest.fixture
def bare(servers: Servers) -> Fenced:
    """Databases where nothing is installed yet."""
    database = f"shop{next(_numbers)}"
    for server in servers.primaries:
        server.query(f"CREATE DATABASE {database}")
        server.query(
            "CREATE TABLE orders (tenant_id text, order_id int, PRIMARY KEY (tenant_id, order_id));"
            f"GRANT ALL ON orders TO {APP}",
            dbname=database,
        )
    return Fenced(database, servers.primaries, servers.replica)


@pytest.fixture
def fenced(bare: Fenced) -> Fenced:
    """An installation whose map has epoch 1, replayed by the replica."""
    run(bare.install())
    bare.replica.wait_for_replay(bare.primaries[0])
    return bare

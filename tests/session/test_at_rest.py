"""What a tenant that does not move pays for the catalog, the epochs and the moves of others: nothing."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from shardproxy.demo.postgres import Install, Run
from tests.histories.installed import Installed
from tests.histories.installed import installed as start
from tests.session.test_moving_rows import BESIDE, MOVING, Moves
from tests.support import rest
from tests.support.proxy import Proxy
from tests.support.relay import Relay

NAME = "counted"
STATEMENTS = 40
UPDATE = "UPDATE accounts SET balance = balance + 1 WHERE tenant_id = '{}'"


@pytest.fixture(scope="module")
def installed(install: Install) -> Iterator[Installed]:
    with Run(install) as run, start(run, sidecars=0) as installed:
        yield installed


@pytest.fixture
def relay(installed: Installed) -> Iterator[Relay]:
    """In front of the shard of both tenants."""
    source = installed.shards.shards[installed.shards.owner(MOVING)]
    with Relay(source.primary.port, counted=f"application_name\0{NAME}\0".encode()) as relay:
        yield relay


@pytest.fixture
def moves(installed: Installed, relay: Relay) -> Iterator[Moves]:
    """With a sidecar that has one connection to each shard, by way of the relay."""
    installed.shards.clear()
    config = installed.shards.config(
        server={**installed.shards.config()["server"], "application_name": NAME}, pool={"size": 1}
    )
    config["shards"][installed.shards.owner(MOVING)]["primary"] = f"127.0.0.1:{relay.port}"
    with Proxy(config) as proxy:
        moves = Moves(Installed(installed.shards, [proxy]))
        yield moves
        moves.end()


def cost(session: psycopg.Connection[Any], relay: Relay, tenant: str) -> tuple[int, int]:
    """Bytes to the server and from it for statements of a tenant, once it is known and connected."""
    statements(session, tenant)
    heard, said = relay.heard, relay.said
    for _ in range(STATEMENTS):
        statements(session, tenant)
    return relay.heard - heard, relay.said - said


def statements(session: psycopg.Connection[Any], tenant: str) -> None:
    """The same number of bytes each time."""
    session.prepare_threshold = None  # a text without parameters goes by the simple protocol
    session.execute(UPDATE.format(tenant))
    session.execute(f"SELECT balance >= 0 FROM accounts WHERE tenant_id = '{tenant}'")


def test_who_does_not_move_pays_nothing(moves: Moves, relay: Relay) -> None:
    direct_dsn = moves.installed.shards.dsn(moves.source).replace(
        f":{moves.installed.shards.shards[moves.source].primary.port}/", f":{relay.port}/"
    )
    plainly = {"sslmode": "disable", "gssencmode": "disable", "application_name": NAME}
    with psycopg.connect(direct_dsn, autocommit=True, **plainly) as direct:
        alone = cost(direct, relay, BESIDE)
    with psycopg.connect(moves.proxy.dsn(), autocommit=True) as session:
        assert cost(session, relay, BESIDE) == alone
        moves.begin()
        assert cost(session, relay, BESIDE) == alone, "while another tenant of its shard moves"
        assert sum(cost(session, relay, MOVING)) > sum(alone), "else nothing was counted"
        moves.fence()
        assert cost(session, relay, BESIDE) == alone, "while another one is fenced"
        moves.flip()
        assert cost(session, relay, BESIDE) == alone, "while what another one has left is deleted"
    rest.wait_until(lambda: moves.held() == 0, "nothing is held up")

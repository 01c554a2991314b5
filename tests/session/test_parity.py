"""A client sees through the proxy what it would see on a private connection: the same messages, in the same order.

Each script runs on a direct connection to the tenant's shard and through the proxy; the transcripts must be equal.
"""

from collections.abc import Iterator

import psycopg
import pytest

from tests.session.scripts import SCRIPTS, TENANT, q
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy
from tests.support.wire_client import WireClient

SHARD = "shard-b"
RESTORE = """
DELETE FROM coupons WHERE tenant_id = 'hooli' AND code NOT LIKE 'WELCOME%';
UPDATE coupons SET percent = 5 * right(code, 1)::int WHERE tenant_id = 'hooli';
"""


@pytest.fixture(scope="module")
def restore(cluster: Cluster) -> Iterator[psycopg.Connection]:
    """A superuser's connection to the tenant's shard, to put rows back."""
    with psycopg.connect(cluster.dsn(SHARD, superuser=True), autocommit=True) as connection:
        yield connection


def transcript(dsn: str, name: str, minor: int, restore: psycopg.Connection) -> list[str]:
    """The answers to a script, and to a last query that finds what was left over."""
    try:
        with WireClient(dsn, minor=minor, settings={"application_name": "parity"}) as client:
            return client.play(*SCRIPTS[name], q("SELECT 'the end'"))
    finally:
        restore.execute(RESTORE)


@pytest.mark.parametrize("minor", [0, 2])
@pytest.mark.parametrize("name", SCRIPTS)
def test_answers_are_those_of_a_private_connection(
    cluster: Cluster, proxy: Proxy, restore: psycopg.Connection, name: str, minor: int
) -> None:
    assert cluster.map.shards[cluster.owner(TENANT)] == SHARD
    direct = transcript(cluster.dsn(SHARD), name, minor, restore)
    assert "SILENCE" not in direct, direct
    assert transcript(proxy.dsn(), name, minor, restore) == direct

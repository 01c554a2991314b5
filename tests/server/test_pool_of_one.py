"""One server connection for each shard is enough for everybody: they wait, and nobody waits for himself."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from tests.support import aio, rest
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

CLIENTS = 20


@pytest.fixture(scope="module")
def narrow(cluster: Cluster) -> Iterator[Proxy]:
    with Proxy(cluster.config(pool={"size": 1, "wait_timeout": "10s"})) as proxy:
        yield proxy


@pytest.mark.parametrize("placed", ["designated", "other"])
def test_transactions_of_many_clients_all_complete(narrow: Proxy, cluster: Cluster, placed: str) -> None:
    """Each describes statements that nobody has described before, before and inside its transaction."""
    tenant = cluster.tenants_of(0 if placed == "designated" else 1)[0]

    async def client(number: int) -> None:
        connection = await asyncpg.connect(narrow.dsn(), server_settings={"application_name": f"c{number}"})
        try:
            for turn in range(3):
                mark = f"{placed}_{number}_{turn}"
                before = await connection.prepare(
                    f"SELECT name AS a_{mark} FROM tenants WHERE tenant_id = $1"
                )
                async with connection.transaction():
                    assert await before.fetchval(tenant)
                    found = f"SELECT count(*) AS b_{mark} FROM orders WHERE tenant_id = $1"
                    assert await connection.fetchval(found, tenant) > 0
                    async with connection.transaction():
                        await connection.execute(f"SET LOCAL work_mem = '{64 + number}kB'")
                    assert await connection.fetchval(f"SELECT 1 AS c_{mark}") == 1
                assert await connection.fetchval(f"SELECT 2 AS d_{mark}") == 2
        finally:
            await connection.close()

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(client(number))

    aio.run(main(), timeout=30)
    rest.at_rest(narrow, cluster)


def test_who_holds_the_connection_of_one_shard_can_wait_for_none_of_another(
    narrow: Proxy, cluster: Cluster
) -> None:
    """Sessions in transactions on each shard, all describing something new at once."""

    async def client(shard: int, ready: asyncio.Barrier) -> None:
        tenant = cluster.tenants_of(shard)[0]
        connection = await asyncpg.connect(narrow.dsn())
        try:
            async with connection.transaction():
                assert await connection.fetchval("SELECT name FROM tenants WHERE tenant_id = $1", tenant)
                await ready.wait()
                sql = f"SELECT count(*) AS inside_{shard} FROM orders WHERE tenant_id = $1"
                assert await connection.fetchval(sql, tenant) > 0
        finally:
            await connection.close()

    async def main() -> None:
        ready = asyncio.Barrier(3)
        async with asyncio.TaskGroup() as group:
            for shard in range(3):
                group.create_task(client(shard, ready))

    aio.run(main(), timeout=8)
    rest.at_rest(narrow, cluster)

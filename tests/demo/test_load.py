"""Loading: every row once, on its tenant's shard, and ids that go on above those in use."""

from collections.abc import Callable

from shardproxy.demo import data
from shardproxy.demo.cluster import DATABASE, create_primaries
from shardproxy.demo.load import SCHEMA, load
from shardproxy.demo.postgres import Run
from tests.support import aio

AMOUNT = data.Amount(tenants=6, orders=60)


def owner(tenant: str) -> int:
    return len(tenant) % 2


def test_each_shard_gets_its_tenants_rows_and_all_get_the_reference_table(run: Run) -> None:
    servers = create_primaries(run, ["one", "two"], SCHEMA)
    seen: list[int] = []
    dsns = [server.dsn(dbname=DATABASE, socket=True) for server in servers]
    aio.run(load(dsns, owner, AMOUNT, seen.append))
    assert sum(seen) == AMOUNT.orders
    for index, server in enumerate(servers):
        query: Callable[[str], str] = lambda sql, server=server: server.query(sql, dbname=DATABASE)  # noqa: E731
        mine = [tenant for tenant in data.tenants(AMOUNT) if owner(tenant.tenant_id) == index]
        assert mine
        assert query("SELECT count(*) FROM currencies") == str(len(data.CURRENCIES))
        for table in set(data.COLUMNS) - {"currencies"}:
            rows = sum(len(data.tenant_rows(tenant)[table]) for tenant in mine)
            assert query(f"SELECT count(*) FROM {table}") == str(rows)
        assert int(query("SELECT nextval(pg_get_serial_sequence('orders', 'order_id'))")) == AMOUNT.orders + 1

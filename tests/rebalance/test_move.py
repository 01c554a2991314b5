"""A tenant moves while it is used: nothing is lost, nothing is left behind."""

import pytest

from shardproxy.catalog.journal import Keys
from shardproxy.rebalance import cut_over
from shardproxy.rebalance import move as rebalance
from tests.rebalance.installed import QUICK, Installed
from tests.rebalance.writer import Writer
from tests.support.aio import run


def next_shard(installed: Installed, tenant: str) -> tuple[str, str]:
    """Where a tenant is, and another shard."""
    shard_map = installed.map()
    here = shard_map.owner("tenant", shard_map.tables.groups["tenant"], tenant.encode())
    return shard_map.shards[here], shard_map.shards[(here + 1) % 3]


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_a_tenant_moves_while_it_is_written(installed: Installed, isolation: str) -> None:
    tenant = "acme"
    source, target = next_shard(installed, tenant)
    with Writer(installed, tenant, isolation=isolation) as writer:
        writer.wait_for(20)
        [outcome] = run(rebalance.move(installed.installation, Keys("tenant", (tenant,)), target, QUICK), 60)
        writer.wait_for(20)
    assert outcome.state == "done"
    assert outcome.verified == "exact"
    assert installed.rows(target, tenant) == installed.rows("oracle", tenant)
    assert set(installed.counts(source, tenant).values()) == {0}
    assert installed.left_behind() == []
    print(outcome, writer.done, writer.longest)

"""A tenant moves while it is used: nothing is lost, nothing is left behind."""

import pytest

from shardproxy.catalog.journal import Keys
from shardproxy.rebalance import move as rebalance
from tests.rebalance.installed import QUICK, Installed, next_shard
from tests.rebalance.writer import Writer
from tests.support.aio import run


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_a_tenant_moves_while_it_is_written(installed: Installed, isolation: str) -> None:
    tenant = "acme"
    source = installed.where(tenant)
    target = next_shard(source)
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

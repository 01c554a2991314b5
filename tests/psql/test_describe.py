"""The backslash commands that show what there is: the designated shard's answer, to the letter."""

import pytest

from tests.psql.typing_person import Psql
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

COMMANDS = r"""
\d
\d orders
\d+ orders
\d open_orders
\d orders_pkey
\d nothing
\dt
\dt+ currencies
\dt *.pg_class
\di
\di+ orders*
\ds
\dv+
\dn+
\df
\df+ guard_order
\sf guard_order
\sv open_orders
\du app
\dp orders
\dT
\dD
\dx
\dd
\da count
\do =
\dC json
\dO "C"
\dL
\dE
\dP
\des
\dF
\drds
\dRp
\dRs
\dy
\ddp
\l shop
\encoding
"""


def test_what_is_described_is_what_a_shard_says(cluster: Cluster, proxy: Proxy, program: Psql) -> None:
    shard = cluster.map.designated
    direct = program.run(cluster.dsn(shard), COMMANDS)
    assert "guard_order" in direct
    assert program.run(proxy.dsn(), COMMANDS) == direct


def test_a_tenant_makes_no_difference_to_them(cluster: Cluster, proxy: Proxy, newest: Psql) -> None:
    tenant = cluster.tenants_of(2)[0]
    script = f"SET shardproxy.tenant = '{tenant}';\n\\d+ orders\n\\df\n\\l\n"
    assert newest.run(proxy.dsn(), script) == newest.run(cluster.dsn(cluster.map.designated), script)


@pytest.mark.parametrize("command", [r"\d orders", r"\dt", r"\df", r"\l"])
def test_they_work_inside_a_transaction_of_any_shard(
    cluster: Cluster, proxy: Proxy, newest: Psql, command: str
) -> None:
    tenant = cluster.tenants_of(1)[0]
    script = f"BEGIN;\nSELECT count(*) FROM orders WHERE tenant_id = '{tenant}';\n{command}\nCOMMIT;\n"
    assert newest.run(proxy.dsn(), script) == newest.run(cluster.dsn(1), script)


def test_the_connection_is_told_of(proxy: Proxy, program: Psql) -> None:
    told = program.run(proxy.dsn(), "\\conninfo\n")
    assert "shop" in told
    assert str(proxy.port) in told

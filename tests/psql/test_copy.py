"""\\copy: one tenant's rows into a file and back, and what it says when they are not one tenant's."""

from pathlib import Path

import pytest

from tests.psql.typing_person import Psql
from tests.support import sample
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

TENANT = "hooli"
OTHER = "stark"
COPIED = "SELECT code, percent FROM coupons WHERE tenant_id = 'hooli' AND code LIKE 'copied%' ORDER BY code"


def orders_of(tenant: str) -> list[str]:
    return sorted(str(row[1]) for row in sample.rows()["orders"] if row[0] == tenant)


def on_the_servers(cluster: Cluster, psql: Psql) -> list[str]:
    """The copied rows, on the shard of the tenant and on the others together."""
    shard = cluster.owner(TENANT)
    query = "SELECT tenant_id, code FROM coupons WHERE code LIKE 'copied%' ORDER BY code;\n"
    told = [psql.run(cluster.dsn(i), query, "-qAt") for i in range(len(cluster.shards))]
    assert not any(rows for i, rows in enumerate(told) if i != shard)
    return told[shard].split()


def test_a_tenants_rows_go_to_a_file(proxy: Proxy, program: Psql, tmp_path: Path) -> None:
    file = tmp_path / "orders"
    query = f"SELECT order_id FROM orders WHERE tenant_id = '{TENANT}'"
    told = program.run(proxy.dsn(), f"\\copy ({query}) TO '{file}'\n")
    assert told == f"COPY {len(orders_of(TENANT))}\n"
    assert sorted(file.read_text().split()) == orders_of(TENANT)


@pytest.mark.parametrize("row", ["{tenant},{code},5", '"{tenant}","{code}","5"'])
def test_the_rows_of_the_sessions_tenant_come_from_a_file(
    written: Cluster, proxy: Proxy, program: Psql, tmp_path: Path, row: str
) -> None:
    file = tmp_path / "coupons.csv"
    file.write_text("".join(row.format(tenant=TENANT, code=f"copied{i}") + "\n" for i in range(3)))
    script = f"SET shardproxy.tenant = '{TENANT}';\n\\copy coupons FROM '{file}' CSV\n"
    assert program.run(proxy.dsn(), script) == "SET\nCOPY 3\n"
    assert on_the_servers(written, program) == [f"{TENANT}|copied{i}" for i in range(3)]


def test_a_row_of_another_tenant_stops_the_whole_copy(
    written: Cluster, proxy: Proxy, newest: Psql, tmp_path: Path
) -> None:
    file = tmp_path / "coupons"
    file.write_text(f"{TENANT}\tcopied1\t1\n{OTHER}\tcopied2\t1\n")
    told = newest.run(
        proxy.dsn(),
        f"SET shardproxy.tenant = '{TENANT}';\n\\copy coupons FROM '{file}'\nSHOW shardproxy.tenant;\n",
    )
    assert "not a row of the session's tenant: stark" in told
    assert f'COPY coupons, line 2: "{OTHER}\tcopied2\t1"' in told
    assert TENANT in told.splitlines()[-3]
    assert on_the_servers(written, newest) == []


def test_copy_in_a_transaction_is_undone_with_it(written: Cluster, proxy: Proxy, newest: Psql) -> None:
    data = f"{TENANT}\tcopied1\t1\n\\.\n"
    script = f"BEGIN;\nCOPY coupons FROM STDIN;\n{data}{COPIED};\nROLLBACK;\n{COPIED};\n"
    told = newest.run(proxy.dsn(), f"SET shardproxy.tenant = '{TENANT}';\n{script}", "-qAt")
    assert told == "copied1|1\n"


@pytest.mark.parametrize(
    ("command", "construct", "hint"),
    [
        (r"\copy coupons FROM '{file}'", "COPY FROM into a sharded table", "SET shardproxy.tenant"),
        (r"\copy coupons TO '{file}'", 'COPY of "coupons"', "COPY (SELECT"),
        (r"\copy (SELECT * FROM coupons) TO '{file}'", "several shards", "shardproxy.tenant"),
        (r"\copy currencies FROM '{file}'", "reference table", "every shard"),
    ],
)
def test_a_copy_that_is_not_one_tenants_is_refused_and_the_session_goes_on(
    proxy: Proxy, program: Psql, tmp_path: Path, command: str, construct: str, hint: str
) -> None:
    file = tmp_path / "rows"
    file.write_text(f"{TENANT}\tcopied1\t1\n")
    told = program.run(proxy.dsn(), command.format(file=file) + "\nSELECT 'on';\n", "-qAt")
    error, advice, rest = told.splitlines()
    assert construct in error
    assert advice.startswith("HINT:")
    assert hint in advice
    assert rest == "on"

"""The sample rows: the same everywhere, of skewed sizes, and referring only to what is there."""

from hashlib import sha256

import pytest

from shardproxy.demo import data


def test_the_rows_are_the_same_on_every_machine() -> None:
    digest = sha256()
    for tenant in data.tenants(data.Amount(tenants=12, orders=300)):
        digest.update(repr((tenant, sorted(data.tenant_rows(tenant).items()))).encode())
    assert digest.hexdigest()[:16] == "fc2bfdf440aa0290"


def test_another_seed_gives_other_rows() -> None:
    first, second = (data.tenants(data.Amount(tenants=1, orders=5, seed=seed))[0] for seed in (1, 2))
    assert data.tenant_rows(first) != data.tenant_rows(second)


def test_the_default_is_200_tenants_of_skewed_sizes_with_100_000_orders() -> None:
    tenants = data.tenants(data.Amount())
    sizes = [tenant.orders for tenant in tenants]
    assert (len(tenants), sum(sizes)) == (200, 100_000)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 10_000
    assert sizes[-1] < 100
    assert len({tenant.tenant_id for tenant in tenants}) == 200


@pytest.mark.parametrize(("tenants", "orders"), [(0, 10), (411, 10_000), (10, 9)])
def test_amounts_that_cannot_be_made_are_refused(tenants: int, orders: int) -> None:
    with pytest.raises(ValueError, match="tenants"):
        data.Amount(tenants, orders)


def test_every_tenant_has_at_least_one_order_and_the_total_is_exact() -> None:
    for amount in (data.Amount(1, 1), data.Amount(10, 10), data.Amount(7, 1000), data.Amount(410, 411)):
        sizes = [tenant.orders for tenant in data.tenants(amount)]
        assert min(sizes) >= 1
        assert sum(sizes) == amount.orders


def test_rows_fit_their_columns_and_belong_to_their_tenant() -> None:
    tenant = data.tenants(data.Amount(3, 200))[0]
    rows = data.tenant_rows(tenant)
    assert set(rows) == set(data.COLUMNS) - {"currencies"}
    for table, some in rows.items():
        assert some, table
        assert {len(row) for row in some} == {len(data.COLUMNS[table])}
        assert {row[0] for row in some} == {tenant.tenant_id}


def test_an_orders_total_status_and_version_are_those_of_its_items_and_events() -> None:
    rows = data.tenant_rows(data.tenants(data.Amount(1, 100))[0])
    for _, order_id, _, status, _, total, _, placed, version in rows["orders"]:
        items = [row for row in rows["order_items"] if row[1] == order_id]
        events = [row for row in rows["order_events"] if row[1] == order_id]
        assert total == sum(row[4] * row[5] for row in items)
        assert [row[2] for row in events] == list(range(1, version + 1))
        assert (events[0][3], events[0][4], events[-1][3]) == ("new", placed, status)

"""pg8000, written in Python without libpq: it sends every statement, BEGIN too, by the extended protocol."""

from collections.abc import Iterator
from typing import Any

import pg8000.dbapi
import pg8000.native
import pytest

from shardproxy.demo.cluster import APP_PASSWORD, APP_USER, DATABASE
from tests.drivers.conftest import Tenant
from tests.support.proxy import Proxy


@pytest.fixture
def where(proxy: Proxy) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": proxy.port,
        "user": APP_USER,
        "password": APP_PASSWORD,
        "database": DATABASE,
    }


@pytest.fixture
def native(where: dict[str, Any]) -> Iterator[pg8000.native.Connection]:
    connection = pg8000.native.Connection(**where)
    yield connection
    connection.close()


def test_parameters_and_prepared_statements(
    native: pg8000.native.Connection, tenants: tuple[Tenant, ...]
) -> None:
    statement = native.prepare("SELECT count(*) FROM orders WHERE tenant_id = :tenant")
    for tenant in tenants * 2:
        assert statement.run(tenant=tenant.name) == [[tenant.orders]]
        assert native.run("SELECT count(*) FROM orders WHERE tenant_id = :t", t=tenant.name) == [
            [tenant.orders]
        ]
    statement.close()


def test_a_transaction_that_fails(native: pg8000.native.Connection, tenants: tuple[Tenant, ...]) -> None:
    insert = "INSERT INTO coupons VALUES (:tenant, 'P1', 1)"
    for tenant in tenants:
        native.run("BEGIN")
        native.run(insert, tenant=tenant.name)
        with pytest.raises(pg8000.native.DatabaseError) as caught:
            native.run(insert, tenant=tenant.name)
        assert caught.value.args[0]["C"] == "23505"
        native.run("ROLLBACK")
        count = native.run("SELECT count(*) FROM coupons WHERE tenant_id = :t AND code = 'P1'", t=tenant.name)
        assert count == [[0]]


def test_the_dbapi_commits_and_rolls_back(where: dict[str, Any], tenants: tuple[Tenant, ...]) -> None:
    connection = pg8000.dbapi.connect(**where)
    try:
        cursor = connection.cursor()
        for tenant in tenants:
            cursor.executemany(
                "INSERT INTO coupons VALUES (%s, %s, %s)", [(tenant.name, f"P{i}", 1) for i in range(3)]
            )
            cursor.execute("SELECT count(*) FROM coupons WHERE tenant_id = %s", (tenant.name,))
            assert cursor.fetchone() == [5]
            connection.rollback()
            cursor.execute("SELECT count(*) FROM coupons WHERE tenant_id = %s", (tenant.name,))
            assert cursor.fetchone() == [2]
            connection.commit()
    finally:
        connection.close()


def test_a_refusal_says_what_and_what_to_do(native: pg8000.native.Connection) -> None:
    with pytest.raises(pg8000.native.DatabaseError) as caught:
        native.run("DELETE FROM orders")
    assert caught.value.args[0]["C"] == "0A000"
    assert "shardproxy.tenant" in caught.value.args[0]["H"]
    assert native.run("SELECT 1") == [[1]]

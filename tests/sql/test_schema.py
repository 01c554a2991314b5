"""The schema's values."""

from shardproxy.sql.schema import Column, Relation

ORDERS = Relation("public", "orders", "r", (Column("tenant_id", 25, "text"), Column("Total", 20, "bigint")))


def test_a_column_is_found_by_the_name_that_postgresql_stores() -> None:
    found = ORDERS.column("Total")
    assert found is not None
    assert found.type_oid == 20


def test_an_unknown_column_is_none() -> None:
    assert ORDERS.column("total") is None

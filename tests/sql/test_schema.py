"""The schema's values."""

import pytest

from shardproxy.sql.schema import Column, Function, Relation

ORDERS = Relation("public", "orders", "r", (Column("tenant_id", 25, "text"), Column("Total", 20, "bigint")))


def test_a_column_is_found_by_the_name_that_postgresql_stores() -> None:
    found = ORDERS.column("Total")
    assert found is not None
    assert found.type_oid == 20


def test_an_unknown_column_is_none() -> None:
    assert ORDERS.column("total") is None


@pytest.mark.parametrize(
    ("volatility", "kind", "reads", "expected"),
    [
        ("v", "f", True, True),
        ("s", "f", True, True),
        ("i", "f", True, False),
        ("i", "a", True, True),
        ("v", "f", False, False),
    ],
)
def test_an_immutable_function_touches_no_table_and_an_aggregate_does_as_its_parts(
    volatility: str, kind: str, reads: bool, expected: bool
) -> None:
    assert Function("public", "f", volatility, kind, 0, reads=reads).touches_tables is expected

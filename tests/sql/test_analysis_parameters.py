"""A parameter that is a key and something else: its type must be certain to be the key's."""

import pytest

from tests.sql.verdicts import verdict


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM orders WHERE tenant_id = $1 AND order_id = $2", "keyed $1"),
        ("SELECT * FROM orders o JOIN customers c ON c.tenant_id = $1 WHERE o.tenant_id = $1", "keyed $1"),
        ("SELECT $1, * FROM orders WHERE tenant_id = $1", "keyed $1"),
        ("SELECT * FROM orders WHERE tenant_id = $1 AND (status = $1 OR $1 IS NULL)", "keyed $1"),
        ("SELECT * FROM orders WHERE tenant_id = $1 AND note = lower($1) || $1", "keyed $1"),
        ("SELECT * FROM orders WHERE tenant_id = $1::text AND note IN ('x', $1)", "keyed $1"),
        ("SELECT * FROM orders WHERE tenant_id = ANY ($1) AND note = ANY ($1::text[])", "keyed any($1)"),
        ("SELECT * FROM devices WHERE device_id = $1 LIMIT $1", "keyed $1"),
        ("SELECT * FROM alerts WHERE device_id = $1 AND level < $1", "keyed $1"),
        ("INSERT INTO customers (tenant_id, email) VALUES ($1, lower($1))", "keyed $1"),
        ("INSERT INTO customers (tenant_id, email, name) VALUES ($1, $1, $1)", "keyed $1"),
        ("UPDATE customers SET name = $1 WHERE tenant_id = $1", "keyed $1"),
    ],
)
def test_used_as_the_key_s_type_everywhere(sql: str, expected: str) -> None:
    assert verdict(sql) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM readings WHERE value = $1 AND device_id = $1",
        "SELECT * FROM readings WHERE value * 2 > $1 AND device_id = $1",
        "SELECT * FROM devices WHERE device_id = $1 AND sqrt($1) > 2",
        "SELECT * FROM devices WHERE device_id = $1 AND $1 > 1.5",
        "SELECT $1::numeric, * FROM devices WHERE device_id = $1",
        "SELECT $1::name, * FROM orders WHERE tenant_id = $1",
        "SELECT * FROM orders WHERE tenant_id = $1 AND coalesce($1, note) = 'x'",
        "INSERT INTO readings (device_id, value) VALUES ($1, $1)",
    ],
)
def test_used_as_a_value_of_another_type(sql: str) -> None:
    assert verdict(sql).startswith("refused: parameter $1 as a sharding key")

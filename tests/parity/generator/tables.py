"""What the generator knows of the schema: columns by type, and rows in which many a text is some tenant's key."""

from dataclasses import dataclass
from typing import Final

KEYS: Final = ("tenant", "device", "doc")
"""Types of sharding keys; other types are text, int, num, bool, time and float."""

_TENANT_TABLES: Final = {
    "tenants": "tenant_id tenant, name text, plan text, currency text",
    "customers": "tenant_id tenant, customer_id int, email text, name text",
    "products": "tenant_id tenant, product_id int, sku text, name text, price num, active bool",
    "orders": "tenant_id tenant, order_id int, customer_id int, status text, currency text, total num, note text,"
    " placed_at time, version int",
    "order_items": "tenant_id tenant, order_id int, line int, product_id int, quantity int, unit_price num",
    "order_events": "tenant_id tenant, order_id int, event int, status text",
    "coupons": "tenant_id tenant, code text, percent int",
    "open_orders": "tenant_id tenant, order_id int, customer_id int, status text, total num",
    "order_lines": "tenant_id tenant, order_id int, status text, line int, product_id int, amount num",
}
_OTHER_TABLES: Final = {
    "devices": "device_id device, model text",
    "readings": "device_id device, at time, value float",
    "device_notes": "device_id device, note_id int, note text",
    "docs": "doc_id doc, title text",
    "currencies": "currency text, name text, minor_units int",
    "whole_currencies": "currency text, name text",
    "audit": "audit_id int, actor text, action text",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column that an expression may name; ``name`` is qualified."""

    name: str
    type: str


def columns(table: str) -> tuple[Column, ...]:
    """The columns of a table, unqualified."""
    listed = (_TENANT_TABLES | _OTHER_TABLES)[table]
    return tuple(Column(*item.split()) for item in listed.split(", "))


TENANT_TABLES: Final = tuple(_TENANT_TABLES)
OTHER_TABLES: Final = tuple(_OTHER_TABLES)
VIEWS: Final = ("open_orders", "order_lines", "whole_currencies")

_TENANTS: Final = "(ARRAY['acme','globex','wayne','initech','hooli','nobody'])"

DISGUISE: Final = f"""
SET session_replication_role = replica;
DELETE FROM orders WHERE order_id > 9;
DELETE FROM order_items WHERE order_id > 9 OR line > 2;
DELETE FROM order_events WHERE order_id > 9 OR event > 2;
DELETE FROM customers WHERE customer_id > 9;
DELETE FROM products WHERE product_id > 9;
UPDATE customers SET name = {_TENANTS}[1 + customer_id % 6];
UPDATE products SET name = {_TENANTS}[1 + product_id % 6], sku = tenant_id || product_id;
UPDATE orders SET note = {_TENANTS}[1 + order_id % 7], currency = (ARRAY['EUR','JPY'])[1 + order_id % 2];
UPDATE coupons SET code = {_TENANTS}[1 + percent / 5];
UPDATE tenants SET name = {_TENANTS}[1 + length(tenant_id) % 6];
UPDATE devices SET model = {_TENANTS}[(1 + abs(device_id % 6))::int];
UPDATE device_notes SET note = {_TENANTS}[(1 + abs(device_id % 6))::int];
UPDATE docs SET title = {_TENANTS}[1 + length(title) % 6];
UPDATE audit SET actor = {_TENANTS}[1 + audit_id % 6];
UPDATE currencies SET name = {_TENANTS}[1 + ascii(currency) % 6] WHERE currency <> 'EUR';
ANALYZE;
"""
"""Fewer rows, and tenants' keys in their texts, so that a key taken from the wrong column finds rows. To be run on
every server as its superuser.
"""

CHANGED: Final = {
    "coupons": {"tenant_id": "tenant", "code": "text", "percent": "int"},
    "orders": {
        "tenant_id": "tenant",
        "order_id": "int",
        "customer_id": "int",
        "note": "text",
        "currency": "text",
    },
    "customers": {"tenant_id": "tenant", "customer_id": "int", "email": "text", "name": "text"},
    "devices": {"device_id": "device", "model": "text"},
    "device_notes": {"device_id": "device", "note_id": "int", "note": "text"},
    "readings": {"device_id": "device", "at": "time", "value": "float"},
    "docs": {"doc_id": "doc", "title": "text"},
    "audit": {"audit_id": "int", "actor": "text", "action": "text"},
    "currencies": {"currency": "text", "name": "text", "minor_units": "int"},
}
"""The tables that are changed, and the columns by which they are: others have defaults, or the statement is an error
on every server. The key comes first.
"""

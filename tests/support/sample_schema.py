"""The sample application's schema as a value, and more beside it that analysis and routing must tell apart.

Sharded by ``tenant_id`` (text, group tenant): tenants, customers, products, orders, order_items, order_events
and ``archived_orders``, a partition of orders. By ``device_id`` (int8, group device): devices, readings,
``alerts`` (int4). By ``doc_id`` (uuid, group doc): docs. By ``code`` (varchar(8), group code): coupons.
``currencies`` is a reference table, ``audit`` is local to shard-a, ``archive`` to shard-b, ``misc`` is not in
the configuration, ``gone`` is only there.
"""

from shardproxy.sql.schema import Column, Function, Relation, Schema
from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.tables import Local, Reference, Sharded, TableRules

TYPES = {
    "boolean": 16,
    "name": 19,
    "bigint": 20,
    "smallint": 21,
    "integer": 23,
    "text": 25,
    "bpchar": 1042,
    "character varying(8)": 1043,
    "timestamp with time zone": 1184,
    "numeric": 1700,
    "jsonb": 3802,
    "uuid": 2950,
    "citext": 16500,
}


def _table(name: str, columns: str, *, key: str = "", schema: str = "public", **more: object) -> Relation:
    """``columns``: ``name type, ...``; after the type ``!`` is NOT NULL, ``=`` a default, ``~`` a
    nondeterministic collation.
    """
    made = []
    for column in columns.split(","):
        column_name, _, type_name = column.strip().partition(" ")
        bare = type_name.rstrip("!=~")
        made.append(
            Column(
                column_name,
                TYPES[bare],
                bare,
                not_null="!" in type_name,
                deterministic="~" not in type_name,
                has_default="=" in type_name,
            )
        )
    kind = str(more.pop("kind", "r"))
    return Relation(schema, name, kind, tuple(made), tuple(key.split()), **more)  # type: ignore[arg-type]


_ORDER_COLUMNS = (
    "tenant_id text!, order_id bigint!=, customer_id bigint!, status text!=, currency text!, "
    "total numeric!=, note text, placed_at timestamp with time zone!=, version integer!="
)

RELATIONS = (
    _table("currencies", "currency text!, name text!, minor_units smallint!", key="currency"),
    _table("tenants", "tenant_id text!, name text!, plan text!, currency text!", key="tenant_id"),
    _table(
        "customers",
        "tenant_id text!, customer_id bigint!=, email text!, name text!",
        key="tenant_id customer_id",
    ),
    _table(
        "products",
        "tenant_id text!, product_id bigint!=, sku text!, name text!, price numeric!, attributes jsonb!=",
        key="tenant_id product_id",
    ),
    _table("orders", _ORDER_COLUMNS, key="tenant_id order_id", kind="p"),
    _table("archived_orders", _ORDER_COLUMNS, key="tenant_id order_id", parents=(("public", "orders"),)),
    _table(
        "order_items",
        "tenant_id text!, order_id bigint!, line smallint!, product_id bigint!, quantity integer!",
        key="tenant_id order_id line",
    ),
    _table(
        "order_events",
        "tenant_id text!, order_id bigint!, event integer!, status text!, details jsonb!=",
        key="tenant_id order_id event",
    ),
    _table("devices", "device_id bigint!, label text, owner uuid", key="device_id"),
    _table("readings", "device_id bigint!, at timestamp with time zone!, value numeric", key="device_id at"),
    _table("alerts", "device_id integer!, level smallint, tenant_id text", key="device_id"),
    _table("docs", "doc_id uuid!, title text, tenant_id text", key="doc_id"),
    _table("drafts", "doc_id uuid!=, title text", key="doc_id"),
    _table("coupons", "code character varying(8)!, amount numeric", key="code"),
    _table("padded", "code bpchar!, amount numeric"),
    _table("loose", "tenant_id text~, amount numeric"),
    _table("nullable", "tenant_id text, amount numeric"),
    _table("audit", "id bigint!=, tenant_id text, what text"),
    _table("archive", "id bigint!=, what text"),
    _table("misc", "id bigint!, tenant_id text"),
    _table("orders", "tenant_id text!, order_id bigint!", schema="reporting"),
    _table("numbers", "last_value bigint", kind="S"),
    _table("order_view", _ORDER_COLUMNS, kind="v", definition=" SELECT * FROM public.orders;"),
    _table(
        "open_orders",
        "tenant_id text, order_id bigint",
        kind="v",
        definition=" SELECT tenant_id, order_id FROM public.orders WHERE (status = 'new'::text);",
    ),
    _table(
        "acme_orders",
        "tenant_id text, order_id bigint",
        kind="v",
        definition=" SELECT tenant_id, order_id FROM public.orders WHERE (tenant_id = 'acme'::text);",
    ),
    _table(
        "totals",
        "tenant_id text, sum numeric",
        kind="v",
        definition=" SELECT tenant_id, sum(total) AS sum FROM public.orders GROUP BY tenant_id;",
    ),
    _table(
        "grand_total", "sum numeric", kind="v", definition=" SELECT sum(total) AS sum FROM public.orders;"
    ),
    _table(
        "latest",
        "tenant_id text, order_id bigint",
        kind="v",
        definition=" SELECT tenant_id, order_id FROM public.orders ORDER BY placed_at DESC LIMIT 10;",
    ),
    _table("unknown_view", "tenant_id text", kind="v"),
    _table("ruled", "tenant_id text!, order_id bigint!", has_user_rules=True),
    _table("stored", "tenant_id text", kind="m", definition=" SELECT tenant_id FROM public.orders;"),
)

FUNCTIONS = (
    Function("public", "total_of", "s", "f", 1),
    Function("public", "double", "i", "f", 1),
    Function("public", "touch", "v", "f", 0),
    Function("public", "settle", "v", "p", 1),
    Function("public", "median", "i", "a", 1, reads=False),
    Function("public", "similarity", "i", "f", 2, from_extension=True),
    Function("public", "uuid_generate_v4", "v", "f", 0, from_extension=True, reads=False),
    Function("public", "dblink", "v", "f", 2, from_extension=True, returns_set=True),
)

SYSTEM_RELATIONS = frozenset(
    {"pg_class", "pg_namespace", "pg_attribute", "pg_type", "pg_locks", "pg_stat_activity", "pg_settings"}
)


def _functions() -> dict[str, tuple[Function, ...]]:
    return {function.name: (function,) for function in FUNCTIONS}


SCHEMA = Schema(
    relations={(relation.schema, relation.name): relation for relation in RELATIONS},
    functions=_functions(),
    system_relations=SYSTEM_RELATIONS,
    schemas=frozenset({"public", "reporting"}),
    version=1,
)

_TENANT = Sharded("tenant_id", "tenant")
_DEVICE = Sharded("device_id", "device")

RULES = TableRules(
    rules={
        ("public", "currencies"): Reference(),
        ("public", "tenants"): _TENANT,
        ("public", "customers"): _TENANT,
        ("public", "products"): _TENANT,
        ("public", "orders"): _TENANT,
        ("public", "order_items"): _TENANT,
        ("public", "order_events"): _TENANT,
        ("public", "loose"): _TENANT,
        ("public", "nullable"): _TENANT,
        ("public", "ruled"): _TENANT,
        ("public", "devices"): _DEVICE,
        ("public", "readings"): _DEVICE,
        ("public", "alerts"): _DEVICE,
        ("public", "docs"): Sharded("doc_id", "doc"),
        ("public", "drafts"): Sharded("doc_id", "doc"),
        ("public", "coupons"): Sharded("code", "code"),
        ("public", "padded"): Sharded("code", "code"),
        ("public", "audit"): Local("shard-a"),
        ("public", "archive"): Local("shard-b"),
        ("public", "gone"): _TENANT,
    },
    groups={
        "tenant": KeyFamily.TEXT,
        "device": KeyFamily.INTEGER,
        "doc": KeyFamily.UUID,
        "code": KeyFamily.TEXT,
    },
    tenant_group="tenant",
)

SEARCH_PATH = ("public",)

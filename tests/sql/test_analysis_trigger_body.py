"""A trigger's function stays with the tenant of its row where the SQL in its body is bound to the row's key."""

import pytest

from shardproxy.sql.schema import Call, Column, Function, Relation
from shardproxy.topology import type_oids
from tests.support.triggered import after, said, schema

WRITE = "INSERT INTO customers VALUES ('acme', 1, 'e', 'n')"


def why(source: str, **fields: object) -> str:
    """``ok``, or what is not proven of an AFTER trigger of customers."""
    under = schema({"customers": {"triggers": (after("f"),)}}, {"f": source}, **fields)
    answer = said(WRITE, under)
    return answer if answer == "ok" else answer.partition(" | public.f: ")[2].removesuffix(".")


@pytest.mark.parametrize(
    "source",
    [
        "NEW.name := lower(NEW.name); RETURN NEW;",
        "IF NEW.name IS DISTINCT FROM OLD.name THEN NEW.name := nextval('numbers'); END IF;",
        # history, counters and checks of the same tenant
        "INSERT INTO order_events VALUES (NEW.tenant_id, 1, 2, 's', to_jsonb(NEW));",
        "INSERT INTO order_events (order_id, tenant_id) VALUES (1, OLD.tenant_id), (2, NEW.tenant_id);",
        "INSERT INTO order_events SELECT NEW.tenant_id, 1, 2, 's';",
        "INSERT INTO order_events SELECT o.tenant_id, o.line, 1, 's' FROM order_items o WHERE o.tenant_id = NEW.tenant_id;",
        "INSERT INTO order_events VALUES (NEW.tenant_id, 1, 2) ON CONFLICT (tenant_id, order_id, event) DO UPDATE SET status = 'x';",
        "INSERT INTO tenants VALUES (NEW.tenant_id, nextval('numbers'));",
        "UPDATE order_items SET quantity = 1 WHERE tenant_id = NEW.tenant_id AND order_id = NEW.customer_id;",
        "UPDATE order_items i SET quantity = 1 FROM products p WHERE i.tenant_id = p.tenant_id AND p.tenant_id = OLD.tenant_id;",
        "DELETE FROM order_items WHERE OLD.tenant_id = tenant_id;",
        "MERGE INTO tenants t USING (SELECT NEW.tenant_id AS k) n ON t.tenant_id = NEW.tenant_id"
        " WHEN MATCHED THEN UPDATE SET name = 'x' WHEN NOT MATCHED THEN INSERT (tenant_id) VALUES (NEW.tenant_id);",
        "IF NOT EXISTS (SELECT FROM products WHERE tenant_id = NEW.tenant_id) THEN RAISE 'no'; END IF;",
        "NEW.customer_id := (SELECT max(product_id) + 1 FROM products p WHERE p.tenant_id = NEW.tenant_id);",
        "SELECT count(*) INTO NEW.customer_id FROM products WHERE tenant_id = NEW.tenant_id;",
        "PERFORM 1 FROM products WHERE tenant_id = NEW.tenant_id FOR UPDATE;",
        "FOR r IN SELECT * FROM products WHERE tenant_id = NEW.tenant_id LOOP NEW.name := r.name; END LOOP;",
        "WITH p AS (SELECT * FROM products WHERE tenant_id = NEW.tenant_id) SELECT count(*) INTO n FROM p;",
        "INSERT INTO public.customers SELECT NEW.*;",
        "INSERT INTO public.customers VALUES (OLD.*);",
        "INSERT INTO order_events VALUES (NEW.*);",
        "PERFORM 1 FROM products WHERE tenant_id = NEW.tenant_id::pg_catalog.text;",
        "DELETE FROM order_items WHERE tenant_id = COALESCE(NEW.tenant_id, OLD.tenant_id);",
        # reference tables are the same on every shard
        "IF NOT EXISTS (SELECT FROM currencies WHERE currency = NEW.name) THEN RAISE 'no'; END IF;",
        "PERFORM 1 FROM products p JOIN currencies c ON c.currency = p.sku WHERE p.tenant_id = NEW.tenant_id;",
    ],
)
def test_proven(source: str) -> None:
    assert why(source) == "ok"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("PERFORM 1 FROM products;", "it is not bound to NEW.tenant_id or OLD.tenant_id"),
        ("PERFORM 1 FROM products WHERE tenant_id = 'acme';", "it is not bound"),
        ("PERFORM 1 FROM products WHERE tenant_id = NEW.name;", "it is not bound"),
        ("PERFORM 1 FROM products WHERE tenant_id = NEW.tenant_id OR active;", "it is not bound"),
        ("PERFORM 1 FROM products WHERE tenant_id IN (NEW.tenant_id, 'x');", "it is not bound"),
        ("PERFORM 1 FROM products WHERE tenant_id <> NEW.tenant_id;", "it is not bound"),
        ("PERFORM 1 FROM products WHERE tenant_id = lower(NEW.tenant_id);", "it is not bound"),
        (
            "PERFORM 1 FROM products WHERE tenant_id = NEW.tenant_id::text;",
            "it is not bound",
        ),  # perhaps a user's type
        ("PERFORM 1 FROM products WHERE tenant_id = COALESCE(OLD.tenant_id, 'x');", "it is not bound"),
        ("PERFORM 1 FROM products WHERE tenant_id = ANY (NEW.tenant_id);", "it is not bound"),
        ("PERFORM 1 FROM products p, order_items i WHERE p.tenant_id = NEW.tenant_id;", "it is not bound"),
        (
            "PERFORM 1 FROM products p LEFT JOIN order_items i ON i.tenant_id = NEW.tenant_id;",
            "it is not bound",
        ),
        (
            "DECLARE k text; BEGIN k := NEW.tenant_id; PERFORM 1 FROM products WHERE tenant_id = k; END",
            "it is not bound",
        ),
        ("UPDATE order_items SET quantity = 1;", "it is not bound"),
        ("DELETE FROM order_items WHERE order_id = OLD.customer_id;", "it is not bound"),
        ("INSERT INTO order_events VALUES ('globex', 1, 2);", "it is not bound"),
        ("INSERT INTO order_events VALUES (NEW.tenant_id, 1, 2), ('x', 1, 2);", "it is not bound"),
        ("INSERT INTO order_events (order_id) VALUES (1);", "it is not bound"),
        (
            "INSERT INTO order_events VALUES (NEW.name, 1, 2);",
            'a new row of "order_events" whose sharding key',
        ),
        ("INSERT INTO order_events SELECT tenant_id, 1, 2 FROM products;", "it is not bound"),
        (
            "UPDATE order_items SET tenant_id = 'x' WHERE tenant_id = NEW.tenant_id;",
            "it is not bound to NEW.tenant_id or OLD.tenant_id",
        ),
        ("PERFORM 1 FROM devices WHERE device_id = NEW.customer_id;", "it is not bound"),
        ("PERFORM 1 FROM coupons WHERE code = NEW.tenant_id;", "it is not bound"),  # another group
        ("PERFORM 1 FROM docs WHERE tenant_id = NEW.tenant_id;", "it is not bound"),
        ("INSERT INTO currencies VALUES (NEW.name);", 'writing the reference table "currencies"'),
        ("INSERT INTO audit VALUES (1, NEW.tenant_id);", "it is not bound"),
        ("PERFORM 1 FROM audit;", "it is not bound"),
        ("PERFORM 1 FROM misc;", "which the configuration does not name"),
        ("PERFORM 1 FROM nowhere;", "it is not certain which table nowhere is"),
        ("PERFORM 1 FROM orders WHERE tenant_id = NEW.tenant_id;", "it is not certain which table orders is"),
        ("PERFORM 1 FROM pg_class;", "it is not certain which table pg_class is"),
        ("PERFORM 1 FROM pg_catalog.pg_class;", "a table that is no tenant's"),
        ("PERFORM 1 FROM newtable;", "it is not certain"),  # a transition table
        ("WITH products AS (SELECT 1) SELECT 1 INTO n FROM products;", "it is not certain"),
        ("PERFORM total_of(1);", "the function total_of may read tables"),
        (
            "PERFORM 1 FROM products WHERE tenant_id = NEW.tenant_id AND sku = total_of(1);",
            "the function total_of may read",
        ),
        ("PERFORM query_to_xml('SELECT 1', true, true, '');", "which reads tables that are named in a value"),
        ("PERFORM dblink('', '');", "connects to another server"),
        ("PERFORM pg_notify('c', NEW.tenant_id);", "its notification is heard on its own shard only"),
        (
            "NEW.name := currval('numbers');",
            "which answers from the server connection of an earlier statement",
        ),
        ("PERFORM 1 FROM products WHERE tenant_id = $1;", "a parameter"),
        ("PERFORM 1; LOCK products;", "it runs LOCK"),
        ("x := 1 FROM;", "syntax error at end of input"),
        ("RETURN NEXT;", "ok"),
        (
            "INSERT INTO customers VALUES (NEW.tenant_id); NEW := OLD;",
            "it may assign tenant_id of NEW or OLD",
        ),
    ],
)
def test_not_proven(source: str, expected: str) -> None:
    assert expected in why(source)


@pytest.mark.parametrize(
    ("declared", "source"),
    [
        ("tenant_id text", "PERFORM 1 FROM products WHERE tenant_id = NEW.tenant_id"),
        ("v text", "PERFORM 1 FROM (SELECT tenant_id AS v FROM products) s WHERE v = NEW.tenant_id"),
        ("v text", "PERFORM 1 FROM products s (v) WHERE v = NEW.tenant_id"),
        ("products record", "PERFORM 1 FROM public.products WHERE products.tenant_id = NEW.tenant_id"),
        ("p record", "PERFORM 1 FROM products p WHERE p.tenant_id = NEW.tenant_id"),
        (
            "p record",
            "WITH p AS (SELECT * FROM products) SELECT 1 INTO x FROM p WHERE p.tenant_id = NEW.tenant_id",
        ),
        ("x int", "PERFORM 1 FROM products new WHERE new.tenant_id = 'globex'"),
        ("x int", "PERFORM 1 FROM (SELECT 'x' AS tg_op, * FROM products) s WHERE tenant_id = NEW.tenant_id"),
    ],
)
def test_a_name_that_may_be_a_variable_or_a_column_proves_nothing(declared: str, source: str) -> None:
    assert "is a variable and may be a column" in why(f"DECLARE {declared}; BEGIN {source}; END")


def test_a_loop_variable_is_one_too() -> None:
    loop = "FOR tenant_id IN 1..2 LOOP PERFORM 1 FROM products WHERE tenant_id = NEW.tenant_id; END LOOP;"
    assert "tenant_id is a variable and may be a column" in why(loop)


def test_a_bare_name_of_a_function_may_be_one_of_any_schema() -> None:
    hidden = {"upper": (Function("elsewhere", "upper", "v", "f", 1),)}
    under = schema(
        {"customers": {"triggers": (after("f"),)}},
        {"f": "NEW.name := upper(NEW.name);"},
        schemas=frozenset({"public", "reporting", "elsewhere"}),
    )
    assert said(WRITE, under) == "ok"
    under.functions["upper"] = hidden["upper"]  # type: ignore[index]
    assert "the function upper may read tables" in said(WRITE, under)


def test_a_users_equality_proves_nothing() -> None:
    assert "it is not bound" in why(
        "PERFORM 1 FROM products WHERE tenant_id = NEW.tenant_id;", user_operators=frozenset({"="})
    )


def test_a_key_that_is_cut_to_its_column_may_become_another() -> None:
    def table(name: str, length: int | None) -> Relation:
        text = (
            (type_oids.TEXT, "text")
            if length is None
            else (type_oids.VARCHAR, f"character varying({length})")
        )
        return Relation("public", name, "r", (Column("tenant_id", *text, not_null=True),))

    for own, other, expected in (
        (5, 5, "ok"),
        (5, 8, "ok"),
        (8, 5, "bound"),
        (None, 5, "bound"),
        (5, None, "ok"),
    ):
        changed = {
            name: {"columns": table(name, length).columns}
            for name, length in (("tenants", own), ("loose", other))
        }
        changed["tenants"]["triggers"] = (after("f"),)  # type: ignore[assignment]
        under = schema(changed, {"f": "INSERT INTO loose VALUES (NEW.tenant_id);"})
        answer = said("INSERT INTO tenants VALUES ('acme')", under)
        assert expected in answer, (own, other)


def test_a_table_without_its_key_proves_nothing() -> None:
    under = schema(
        {"loose": {"triggers": (after("f"),)}},
        {"f": "PERFORM 1 FROM products WHERE tenant_id = NEW.tenant_id;"},
    )
    assert "its table has no tenant_id of the group's type" in said("INSERT INTO loose VALUES ('a')", under)


def test_policies_of_a_table_that_the_body_reads_count() -> None:
    body = {"f": "PERFORM 1 FROM products WHERE tenant_id = NEW.tenant_id;"}
    policy = Call('the policy "p"', ("public", "total_of"), ("SELECT",))
    under = schema({"customers": {"triggers": (after("f"),)}, "products": {"calls": (policy,)}}, body)
    assert 'total_of behind the policy "p" of "products" may read tables' in said(WRITE, under)


def test_variables_of_types_that_are_checked_by_reading_prove_nothing() -> None:
    checked = {"code": (("public", "total_of"),)}
    for declared in ("x code", "x customers.name%TYPE", "x customers%ROWTYPE"):
        source = f"DECLARE {declared}; BEGIN RETURN NULL; END"
        assert why(source) == "ok"
        assert why(source, reading_types=checked) == "it may have a variable of the type code"
    assert why("DECLARE x text; BEGIN RETURN NULL; END", reading_types=checked) == "ok"


def test_a_record_may_have_columns_of_such_types() -> None:
    call = Call('the type code of column "sku"', ("public", "total_of"), ("INSERT", "UPDATE"))
    source = "SELECT * INTO r FROM products WHERE tenant_id = NEW.tenant_id; r.sku := 'x';"
    under = schema({"customers": {"triggers": (after("f"),)}, "products": {"calls": (call,)}}, {"f": source})
    assert 'a variable with the function total_of behind the type code of column "sku"' in said(WRITE, under)

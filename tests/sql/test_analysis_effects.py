"""What writes set off: it is proven harmless, vouched for, or the write is refused by name."""

from dataclasses import replace

import pytest

from shardproxy.sql.analysis.context import Finding
from shardproxy.sql.analysis.effects import HARMLESS, Effects, effects_of
from shardproxy.sql.schema import Call, Cast, ForeignKey, Relation, Trigger
from tests.support.sample_schema import RULES, SCHEMA
from tests.support.triggered import after, before, plan, said, schema

INSERT = "INSERT INTO orders (tenant_id, order_id) VALUES ('acme', 1)"
UPSERT = f"{INSERT} ON CONFLICT (tenant_id, order_id) DO UPDATE SET note = 'x'"
UPDATE = "UPDATE orders SET note = 'x' WHERE tenant_id = 'acme'"
DELETE = "DELETE FROM orders WHERE tenant_id = 'acme'"
MERGE = (
    "MERGE INTO orders o USING (VALUES ('acme', 1)) v (t, i) ON o.tenant_id = 'acme' AND o.order_id = v.i "
    "WHEN MATCHED THEN UPDATE SET note = 'x' WHEN NOT MATCHED THEN INSERT (tenant_id, order_id) VALUES ('acme', 1)"
)
COPY = "COPY orders FROM STDIN"
SELECT = "SELECT * FROM orders WHERE tenant_id = 'acme'"

STOLEN = 'writing "orders", where the trigger "steal" of "orders" may change the sharding key "tenant_id"'
EVIL = {"steal": "NEW.tenant_id := 'globex'; RETURN NEW;"}


@pytest.mark.parametrize(
    ("events", "refused"),
    [
        (
            ("INSERT",),
            (INSERT, UPSERT, MERGE, COPY, f"WITH w AS ({INSERT} RETURNING 1) SELECT 1", f"EXPLAIN {INSERT}"),
        ),
        (("UPDATE",), (UPDATE, UPSERT, MERGE, f"WITH w AS ({UPDATE} RETURNING 1) SELECT 1 FROM w")),
        (("DELETE",), ()),
    ],
)
def test_a_before_trigger_that_may_change_the_key_refuses_its_events(
    events: tuple[str, ...], refused: tuple[str, ...]
) -> None:
    under = schema({"orders": {"triggers": (before("steal", *events),)}}, EVIL)
    for sql in refused:
        assert said(sql, under) == f"{STOLEN} | public.steal: it may assign tenant_id of NEW or OLD."
    for sql in {INSERT, UPDATE, DELETE, SELECT} - set(refused):
        assert said(sql, under) == "ok"


def test_a_refusal_tells_what_to_declare_and_the_declaration_is_believed() -> None:
    under = schema({"orders": {"triggers": (before("steal"),)}}, EVIL)
    refusal = plan(INSERT, under).refusal
    assert refusal is not None
    assert refusal.hint == (
        "Declare public.steal under trusted_functions if it stays with its row's tenant, and leaves the key alone."
    )
    assert said(INSERT, under, ("steal",)) == "ok"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (None, "it is not written in PL/pgSQL, or has settings of its own"),
        ("RETURN other;", "it may return another row than NEW or OLD"),
        ("EXECUTE 'x' USING NEW INTO NEW; RETURN NEW;", "it runs EXECUTE"),
        ("CALL p(NEW.tenant_id); RETURN NEW;", "it runs CALL"),
    ],
)
def test_what_is_not_understood_may_change_the_key(source: str | None, why: str) -> None:
    under = schema({"orders": {"triggers": (before("steal"),)}}, {"steal": source})
    assert said(UPDATE, under) == f"{STOLEN} | public.steal: {why}."


def test_a_trigger_whose_function_is_not_known_may_do_anything() -> None:
    under = schema({"orders": {"triggers": (before("steal"),)}})
    assert said(UPDATE, under).startswith(STOLEN)


def test_an_after_trigger_cannot_change_its_row_but_must_not_go_by_another_key() -> None:
    under = schema(
        {"orders": {"triggers": (after("note"), after("odd"))}},
        {
            "note": "NEW.tenant_id := 'x'; RETURN other;",
            "odd": "NEW.tenant_id := 'x'; PERFORM 1 FROM customers;",
        },
    )
    assert said(INSERT, under) == (
        'the function public.odd behind the trigger "odd" of "orders", which may read sharded tables'
        " | public.odd: it may assign tenant_id of NEW or OLD."
    )


def test_postgresqls_own_trigger_functions_are_known() -> None:
    triggers = tuple(
        Trigger(name, (place, name), ("INSERT", "UPDATE"), changes_row=True)
        for place, name in sorted(HARMLESS)
    )
    assert said(INSERT, schema({"orders": {"triggers": triggers}})) == "ok"
    checking = Trigger("x", ("pg_catalog", "RI_FKey_cascade_del"), ("INSERT",), changes_row=True)
    assert said(INSERT, schema({"orders": {"triggers": (checking,)}})).startswith('writing "orders", where')


# --- tables that are reached from the one that is written -------------------------------------------------------------


def test_partitions_fire_their_own_triggers_and_rows_may_move_between_them() -> None:
    for event, refused in (("INSERT", (INSERT, UPDATE)), ("DELETE", ()), ("UPDATE", (UPDATE,))):
        under = schema({"archived_orders": {"triggers": (before("steal", event),)}}, EVIL)
        for sql in (INSERT, UPDATE, DELETE):
            assert said(sql, under).startswith("writing") is (sql in refused), (event, sql)


def test_children_fire_their_triggers_for_what_reaches_them() -> None:
    child = Relation(
        "public",
        "special",
        "r",
        SCHEMA.relations["public", "customers"].columns,
        parents=(("public", "customers"),),
    )
    under = schema({}, EVIL, replace(child, triggers=(before("steal"),)))
    assert said("INSERT INTO customers VALUES ('acme', 1, 'e', 'n')", under) == "ok"
    assert said("INSERT INTO special VALUES ('acme', 1, 'e', 'n')", under).startswith(
        'writing "special", where'
    )
    assert said("UPDATE customers SET name = 'x' WHERE tenant_id = 'acme'", under).startswith(
        'writing "customers", where'
    )


def test_triggers_of_tables_that_a_trigger_writes_count_too() -> None:
    history = (
        "INSERT INTO order_events VALUES (NEW.tenant_id, NEW.order_id, 1, NEW.status, '{}'); RETURN NULL;"
    )
    under = schema(
        {"orders": {"triggers": (after("note"),)}, "order_events": {"triggers": (before("steal"),)}},
        {"note": history, **EVIL},
    )
    assert said(UPDATE, under) == (
        'writing "orders", where the trigger "steal" of "order_events" may change the sharding key "tenant_id"'
        " | public.steal: it may assign tenant_id of NEW or OLD."
    )
    assert said(UPDATE, under, ("steal",)) == "ok"
    assert said(UPDATE, under, ("note",)) == "ok", (
        "whoever vouches for a trigger vouches for what it sets off"
    )


def test_triggers_that_set_off_each_other_come_to_an_end() -> None:
    touch = "UPDATE public.orders SET note = 'x' WHERE tenant_id = NEW.tenant_id AND order_id = NEW.order_id; RETURN NULL;"
    under = schema(
        {"orders": {"triggers": (after("one"),)}, "order_items": {"triggers": (after("two"),)}},
        {"one": touch.replace("public.orders SET note = 'x'", "order_items SET quantity = 1"), "two": touch},
    )
    assert said(UPDATE, under) == "ok"


# --- foreign keys -----------------------------------------------------------------------------------------------------


def key(**actions: object) -> dict[str, object]:
    both = ("tenant_id", "order_id")
    return {"foreign_keys": (ForeignKey("fk", both, ("public", "orders"), both, **actions),)}  # type: ignore[arg-type]


def test_a_cascade_fires_triggers_of_the_table_it_reaches() -> None:
    for actions, event, sql in (
        ({"on_delete": "c"}, "DELETE", DELETE),
        ({"on_delete": "n", "unset": ("order_id",)}, "UPDATE", DELETE),
        ({"on_update": "c"}, "UPDATE", UPDATE),
    ):
        audit = {"audited": "PERFORM 1 FROM orders; RETURN NULL;"}
        under = schema({"order_items": {"triggers": (after("audited", event),), **key(**actions)}}, audit)
        assert 'behind the trigger "audited" of "order_items"' in said(sql, under)
        assert said(INSERT, under) == "ok"


def test_plain_foreign_keys_touch_nothing() -> None:
    under = schema({"order_items": key() | {"triggers": (before("steal"),)}}, EVIL)
    assert said(DELETE, under) == "ok"


def test_a_foreign_key_must_not_unset_the_sharding_key() -> None:
    loose = tuple(
        replace(column, not_null=False) for column in SCHEMA.relations["public", "order_items"].columns
    )
    both = ("tenant_id", "order_id")
    refusal = 'writing "orders", where the foreign key "fk" of "order_items" may change the sharding key "tenant_id"'
    for actions, why in (
        ({"on_delete": "n", "unset": both}, "its ON DELETE SET NULL changes the column."),
        ({"on_delete": "d", "unset": both}, "its ON DELETE SET DEFAULT changes the column."),
    ):
        assert (
            said(DELETE, schema({"order_items": key(**actions) | {"columns": loose}})) == f"{refusal} | {why}"
        )
        assert said(DELETE, schema({"order_items": key(**actions)})) == "ok", "NOT NULL makes it an error"
        assert (
            said(
                DELETE,
                schema({"order_items": key(**actions | {"unset": ("order_id",)}) | {"columns": loose}}),
            )
            == "ok"
        )
    updated = schema({"order_items": key(on_update="n") | {"columns": loose}})
    assert said(UPDATE, updated) == f"{refusal} | its ON UPDATE SET NULL changes the column."


def test_a_cascade_that_brings_the_key_from_another_column_changes_it() -> None:
    crossed = ForeignKey("fk", ("tenant_id",), ("public", "orders"), ("status",), on_update="c")
    assert "ON UPDATE CASCADE changes the column" in said(
        UPDATE, schema({"order_items": {"foreign_keys": (crossed,)}})
    )


def test_a_cascade_stays_with_tables_that_are_spread_alike() -> None:
    reaching = ForeignKey("fk", ("currency",), ("public", "orders"), ("currency",), on_delete="c")
    for other in ("currencies", "devices", "audit", "misc"):
        assert said(DELETE, schema({other: {"foreign_keys": (reaching,)}})) == (
            f'writing "orders", where the foreign key "fk" of "{other}" may touch rows of other tenants'
            f' | "{other}" is spread otherwise than "orders".'
        )


def test_a_cascade_into_a_table_with_rules_is_refused() -> None:
    under = schema({"ruled": key(on_delete="c")})
    assert said(DELETE, under).endswith('| its table "ruled" has rules (CREATE RULE).')


# --- what calls functions by itself -----------------------------------------------------------------------------------

AUDITS = ("public", "total_of")


def test_defaults_and_checks_call_functions_where_rows_are_written() -> None:
    under = schema(
        {"orders": {"calls": (Call('the default of column "note"', AUDITS, ("INSERT", "UPDATE")),)}}
    )
    refusal = (
        'the function public.total_of behind the default of column "note" of "orders", which may read sharded tables'
        " | public.total_of: it may read tables."
    )
    for sql in (INSERT, UPSERT, UPDATE):
        assert said(sql, under) == refusal
    assert said(COPY, under).startswith(
        'COPY with the function public.total_of behind the default of column "note"'
    )
    for sql in (SELECT, DELETE):
        assert said(sql, under) == "ok"
    assert said(INSERT, under, ("total_of",)) == "ok"


def test_policies_call_functions_where_rows_are_read_too() -> None:
    under = schema(
        {"orders": {"calls": (Call('the policy "p"', AUDITS, ("SELECT", "INSERT", "UPDATE", "DELETE")),)}}
    )
    for sql in (SELECT, INSERT, UPDATE, DELETE):
        assert 'total_of behind the policy "p" of "orders"' in said(sql, under)
        assert said(sql, under, ("total_of",)) == "ok"


def test_types_that_check_their_values_are_refused_where_they_are_named() -> None:
    under = schema({}, reading_types={"code": (AUDITS,)})
    for expression in (
        "'x'::code",
        "CAST('x' AS public.code)",
        "ARRAY['x']::code[]",
        "code(note)",
        "o.code",
        "(o).code",
    ):
        sql = f"SELECT {expression} FROM orders o WHERE tenant_id = 'acme'"
        assert (
            said(sql, under) == "the function total_of behind the type code, which may read sharded tables | "
        )
        assert said(sql, under, ("total_of",)) == "ok"
    assert said(SELECT, under) == "ok"


def test_a_cast_that_no_name_shows_is_refused_everywhere() -> None:
    under = schema({}, reading_casts=(Cast("mine", "text", AUDITS),))
    for sql in (SELECT, INSERT, "SELECT 1"):
        assert said(sql, under).startswith("the function total_of behind the cast from mine to text, which")
        assert said(sql, under, ("total_of",)) == "ok"


def test_functions_and_operators_in_statements_are_vouched_for_by_the_same_list() -> None:
    under = schema({}, user_operators=frozenset({"+?"}), reading_operators={"+?": (AUDITS,)})
    for sql in ("SELECT total_of(1) FROM orders WHERE tenant_id = 'acme'", "SELECT 1 +? 1"):
        assert "total_of" in said(sql, under)
        assert said(sql, under, ("total_of",)) == "ok"


def test_a_temporary_table_is_no_hiding_place() -> None:
    behind = "the function total_of, which may read sharded tables | "
    for sql, tag in (
        ("CREATE TEMP TABLE x (n bigint DEFAULT total_of(1))", "CREATE TABLE"),
        ("CREATE TEMP TABLE x (n bigint CHECK (total_of(n) > 0))", "CREATE TABLE"),
        ("ALTER TABLE x ADD n bigint DEFAULT total_of(1)", "ALTER TABLE"),
        ("EXECUTE p(total_of(1))", "EXECUTE"),
    ):
        assert said(sql, SCHEMA) == f"{tag} with {behind}"
        assert said(sql, SCHEMA, ("total_of",)) == "ok"


def test_a_temporary_table_inherits_what_the_columns_of_others_call() -> None:
    under = schema(
        {"orders": {"calls": (Call('the type code of column "note"', AUDITS, ("INSERT", "UPDATE")),)}}
    )
    for sql in (
        "CREATE TEMP TABLE x (LIKE orders)",
        "CREATE TEMP TABLE x AS SELECT note FROM orders WHERE tenant_id = 'acme'",
        "SELECT note INTO TEMP x FROM orders WHERE tenant_id = 'acme'",
    ):
        assert 'with the function total_of behind the type code of column "note" of "orders"' in said(
            sql, under
        )
        assert said(sql, under, ("total_of",)) == "ok"
    assert said("CREATE TEMP TABLE x (LIKE customers)", under) == "ok"


def test_an_update_of_a_generated_key_is_refused() -> None:
    columns = tuple(
        replace(c, generated=c.name == "tenant_id") for c in SCHEMA.relations["public", "orders"].columns
    )
    under = schema({"orders": {"columns": columns}})
    for sql in (UPDATE, UPSERT, MERGE):
        assert said(sql, under) == 'UPDATE of table "orders", whose sharding key "tenant_id" is generated | '
    assert said(DELETE, under) == "ok"


# --- local tables, and the findings themselves ------------------------------------------------------------------------


def test_a_trigger_of_a_local_table_stays_on_its_shard() -> None:
    write = "INSERT INTO audit VALUES (1, 'acme', 'x')"
    for source, expected in (
        ("PERFORM 1 FROM audit; PERFORM 1 FROM currencies; NEW.tenant_id := 'x'; RETURN NEW;", "ok"),
        ("PERFORM 1 FROM archive; RETURN NEW;", "a local table and the function"),
        (
            "PERFORM 1 FROM orders WHERE tenant_id = NEW.tenant_id; RETURN NEW;",
            "a local table and the function",
        ),
        ("PERFORM 1 FROM orders WHERE tenant_id = 'acme'; RETURN NEW;", "a local table and the function"),
    ):
        assert said(write, schema({"audit": {"triggers": (before("f"),)}}, {"f": source})).startswith(
            expected
        )


def test_findings_are_worked_out_once_for_a_schema_and_its_rules() -> None:
    assert effects_of(SCHEMA, RULES) is effects_of(SCHEMA, RULES)
    assert effects_of(SCHEMA, replace(RULES)) is not effects_of(SCHEMA, RULES)
    effects = Effects(schema({"orders": {"triggers": (before("steal"),)}}, EVIL), RULES)
    step = (("public", "orders"), "UPDATE")
    assert effects.findings(step) is effects.findings(step)
    assert effects.findings(step) == (
        Finding(
            'the trigger "steal" of "orders"',
            "public.steal",
            "it may assign tenant_id of NEW or OLD",
            "tenant_id",
        ),
    )
    assert effects.findings((("public", "nowhere"), "UPDATE")) == ()

"""Differences between two shards are found, and said in words that name the object and both sides."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from shardproxy.monitor.schema_diff import differences, type_oid_differences
from shardproxy.sql.schema import Call, Cast, Column, ForeignKey, Function, Relation, Schema, Trigger
from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.tables import Local, Reference, RelationName, Sharded, TableRule, TableRules

NAMES = ("shard-a", "shard-b")
ORDERS = Relation(
    "public",
    "orders",
    "r",
    (Column("tenant_id", 25, "text", not_null=True), Column("status", 25, "text")),
    primary_key=("tenant_id",),
    unique_keys=(("status",),),
)
TOUCH = Trigger("touch", ("public", "touch"), ("INSERT",))
HAPPY = Relation("app", "happy", "v", (Column("one", 23, "integer"),), definition=" SELECT 1 AS one;")


def rules(**others: TableRule) -> TableRules:
    named: dict[RelationName, TableRule] = {("public", "orders"): Sharded("tenant_id", "tenant")}
    named |= {("public", name): rule for name, rule in others.items()}
    return TableRules(named, {"tenant": KeyFamily.TEXT}, "tenant")


def schema(*relations: Relation, **fields: object) -> Schema:
    base = Schema({(each.schema, each.name): each for each in relations}, {}, frozenset())
    return replace(base, **fields)  # type: ignore[arg-type]


def said(first: Schema, other: Schema, **others: TableRule) -> list[str]:
    return [each.what for each in differences(first, other, rules(**others), NAMES)]


def test_equal_schemas_do_not_differ() -> None:
    assert said(schema(ORDERS, HAPPY), schema(ORDERS, HAPPY)) == []


def test_a_difference_names_its_relation() -> None:
    (difference,) = differences(schema(ORDERS), schema(), rules(), NAMES)
    assert difference.relation == ("public", "orders")
    assert difference.what == "orders: shard-a has it, shard-b does not"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"columns": (ORDERS.columns[0], replace(ORDERS.columns[1], type_name="character varying(20)"))},
            "orders.status: shard-a has text, shard-b has character varying(20)",
        ),
        (
            {"columns": (ORDERS.columns[0], replace(ORDERS.columns[1], not_null=True, has_default=True))},
            "orders.status: shard-a has text, shard-b has text NOT NULL with a default",
        ),
        (
            {"columns": (ORDERS.columns[0], replace(ORDERS.columns[1], deterministic=False))},
            "orders.status: shard-a has text, shard-b has text with a nondeterministic collation",
        ),
        ({"columns": ORDERS.columns[:1]}, "orders.status: shard-a has it, shard-b does not"),
        (
            {"columns": (*ORDERS.columns, Column("extra", 23, "integer"))},
            "orders.extra: shard-b has it, shard-a does not",
        ),
        (
            {"columns": ORDERS.columns[::-1]},
            "orders: order of columns: shard-a has (tenant_id, status), shard-b has (status, tenant_id)",
        ),
        ({"kind": "p"}, "orders: shard-a has a table, shard-b has a partitioned table"),
        ({"primary_key": ()}, "orders: shard-a has primary key (tenant_id), shard-b has primary key ()"),
        ({"unique_keys": ()}, "orders: unique key (status): shard-a has it, shard-b does not"),
        ({"parents": (("app", "all"),)}, "orders: shard-a has parents (), shard-b has parents (app.all)"),
        ({"row_security": True}, "orders: row-level security: shard-b has it, shard-a does not"),
        ({"has_user_rules": True}, "orders: rules: shard-b has it, shard-a does not"),
        ({"triggers": (TOUCH,)}, "orders: trigger touch: shard-b has it, shard-a does not"),
        (
            {"calls": (Call("the check", ("public", "f"), ("INSERT",)),)},
            "orders: use of functions public.f by the check: shard-b has it, shard-a does not",
        ),
        (
            {"foreign_keys": (ForeignKey("fk", ("tenant_id",), ("app", "all"), ("id",)),)},
            "orders: foreign key (tenant_id) to app.all: shard-b has it, shard-a does not",
        ),
    ],
)
def test_each_property_of_a_table_is_compared(change: Mapping[str, object], expected: str) -> None:
    changed = replace(ORDERS, **change)  # type: ignore[arg-type]
    assert said(schema(ORDERS), schema(changed)) == [expected]


def test_what_has_a_name_must_be_defined_alike() -> None:
    other = replace(ORDERS, triggers=(replace(TOUCH, changes_row=True),))
    assert said(schema(replace(ORDERS, triggers=(TOUCH,))), schema(other)) == [
        "orders: trigger touch: shard-a and shard-b define it differently"
    ]
    key = ForeignKey("fk", ("tenant_id",), ("app", "all"), ("id",), on_delete="c")
    mine, renamed = (
        replace(ORDERS, foreign_keys=(key,)),
        replace(ORDERS, foreign_keys=(replace(key, name="fk1"),)),
    )
    assert said(schema(mine), schema(renamed)) == []


def test_functions_are_compared_by_what_is_known_of_their_source() -> None:
    function = Function("public", "f", "v", "f", 0, body="BEGIN RETURN NEW; END")
    for change in ({"body": "BEGIN RETURN OLD; END"}, {"body": None}, {"reads": False}):
        theirs = {"f": (replace(function, **change),)}  # type: ignore[arg-type]
        assert said(schema(functions={"f": (function,)}), schema(functions=theirs)) == [
            "function f: shard-a and shard-b define it differently"
        ]


def test_types_and_casts_that_call_functions_must_exist_on_both() -> None:
    mine = schema(
        reading_types={"code": (("public", "f"),)}, reading_casts=(Cast("a", "b", ("public", "f")),)
    )
    assert said(mine, schema()) == [
        "functions behind the type code: shard-a has it, shard-b does not",
        "cast from a to b by public.f: shard-a has it, shard-b does not",
    ]


def test_views_are_compared_by_definition() -> None:
    other = replace(HAPPY, definition=" SELECT 2 AS one;")
    assert said(schema(HAPPY), schema(other)) == [
        "app.happy: shard-a and shard-b define the view differently"
    ]


def test_tables_local_to_one_shard_may_differ_with_all_their_partitions() -> None:
    log = Relation("public", "log", "p", ())
    part = Relation("public", "log_2020", "p", (), parents=(("public", "log"),))
    leaf = Relation("public", "log_2020_01", "r", (), parents=(("public", "log_2020"),))
    assert said(schema(log, part, leaf), schema(), log=Local("shard-a")) == []
    assert said(schema(), schema(leaf, part, log), log=Local("shard-b")) == []
    assert len(said(schema(log, part, leaf), schema(), log=Reference())) == 3


def test_sequences_are_not_compared() -> None:
    assert said(schema(Relation("public", "log_id_seq", "S", ())), schema()) == []


def test_functions_must_be_equally_volatile() -> None:
    mine = {"twin": (Function("public", "twin", "s", "f", 1), Function("public", "twin", "v", "f", 2))}
    theirs = {"twin": (Function("public", "twin", "i", "f", 1), Function("public", "twin", "v", "f", 2))}
    assert said(schema(functions=mine), schema(functions=theirs)) == [
        "function twin: shard-a has 1 argument stable, 2 arguments volatile, "
        "shard-b has 1 argument immutable, 2 arguments volatile"
    ]
    assert said(schema(functions=mine), schema()) == ["function twin: shard-a has it, shard-b does not"]


def test_an_extension_may_be_missing_but_not_differ() -> None:
    mine = {"f": (Function("public", "f", "s", "f", 1, from_extension=True),)}
    theirs = {"f": (Function("public", "f", "i", "f", 1, from_extension=True),)}
    assert said(schema(functions=mine), schema()) == []
    assert len(said(schema(functions=mine), schema(functions=theirs))) == 1


def test_operators_and_enum_types_must_exist_on_both() -> None:
    mine = schema(user_operators=frozenset({"==="}), enum_types={("public", "mood"): 20000})
    assert said(mine, schema()) == [
        "operator ===: shard-a has it, shard-b does not",
        "enum type mood: shard-a has it, shard-b does not",
    ]


def test_user_types_with_another_oid_are_a_warning_of_their_own() -> None:
    def with_oid(oid: int) -> Schema:
        table = Relation(
            "public", "t", "r", (Column("m", oid, "public.mood"), Column("n", oid + 1, "app.kind"))
        )
        return schema(table, enum_types={("public", "mood"): oid})

    assert said(with_oid(20000), with_oid(20002)) == []
    assert [each.what for each in type_oid_differences(with_oid(20000), with_oid(20002), NAMES)] == [
        "type app.kind: shard-a has OID 20001, shard-b has OID 20003",
        "type mood: shard-a has OID 20000, shard-b has OID 20002",
    ]
    assert type_oid_differences(with_oid(20000), with_oid(20000), NAMES) == ()

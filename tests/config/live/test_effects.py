"""What ``check --live`` finds about triggers, defaults, policies and foreign keys, on real servers."""

from typing import Any

import pytest

from tests.config.live.conftest import Check, Sql

TABLE = (
    "ALTER DEFAULT PRIVILEGES IN SCHEMA live GRANT SELECT ON TABLES TO app; "
    "CREATE TABLE live.t (id text NOT NULL, a int, b int, PRIMARY KEY (id, a)); "
)
STEAL = (
    "CREATE FUNCTION live.steal() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.id := ''x''; RETURN NEW; END'; "
    "CREATE TRIGGER stealing BEFORE INSERT OR UPDATE ON live.t FOR EACH ROW EXECUTE FUNCTION live.steal(); "
)
READER = "CREATE FUNCTION live.reads(anyelement) RETURNS int LANGUAGE sql AS 'SELECT count(*)::int FROM public.orders'; "


def lines(found: list[str], key: str = "tables.'live.t'") -> list[str]:
    """What is said of one table, but for rows that its policies hide."""
    mine = [line.removeprefix(f"{key}: ") for line in found if line.startswith(key)]
    return [line for line in mine if "not counted" not in line]


def test_a_trigger_that_may_change_the_key(check: Check, config: dict[str, Any], on_shards: Sql) -> None:
    on_shards(TABLE + STEAL)
    config["tables"]["live.t"] = {"key": "id"}
    mistakes, warnings = check(config)
    assert mistakes == []
    assert lines(warnings) == [
        'INSERT, UPDATE are refused, because the trigger "stealing" of "t" may change the sharding key "id" '
        "(live.steal: it may assign id of NEW or OLD); declare live.steal under trusted_functions if it stays with "
        "its row's tenant, and leaves the key alone"
    ]
    config["trusted_functions"] = ["live.steal"]
    assert lines(check(config)[1]) == []


def test_what_one_shard_alone_has_is_named_with_it(
    check: Check, config: dict[str, Any], on_shards: Sql
) -> None:
    on_shards(TABLE)
    on_shards(STEAL, 1)
    config["tables"]["live.t"] = {"key": "id"}
    mistakes, warnings = check(config)
    assert (
        "tables.'live.t': live.t: trigger stealing: shard-b has it, shard-a does not; make the shards alike"
        in mistakes
    )
    (warning,) = lines(warnings)
    assert warning.startswith("on shard 'shard-b': INSERT, UPDATE are refused, because")


@pytest.mark.parametrize(
    ("ddl", "expected"),
    [
        (
            "ALTER TABLE live.t ALTER a SET DEFAULT live.reads(1)",
            'INSERT, UPDATE are refused, because the default of column "a" of "t" may touch rows of other tenants '
            "(live.reads: it may read tables)",
        ),
        (
            "ALTER TABLE live.t ADD CONSTRAINT c CHECK (live.reads(a) > 0)",
            'INSERT, UPDATE are refused, because the check "c" of "t" may touch rows of other tenants',
        ),
        (
            "CREATE POLICY p ON live.t USING (live.reads(a) > 0); ALTER TABLE live.t ENABLE ROW LEVEL SECURITY",
            'SELECT, INSERT, UPDATE, DELETE are refused, because the policy "p" of "t" may touch rows of other tenants',
        ),
        (
            "CREATE POLICY p ON live.t USING (id IN (SELECT tenant_id FROM public.tenants));"
            " ALTER TABLE live.t ENABLE ROW LEVEL SECURITY",
            "every statement on it is refused, because its policies read other tables; change them",
        ),
        (
            "CREATE FUNCTION live.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM 1 FROM public.orders; RETURN OLD; END'; "
            "CREATE TRIGGER looking AFTER DELETE ON live.t FOR EACH ROW EXECUTE FUNCTION live.f()",
            'DELETE is refused, because the trigger "looking" of "t" may touch rows of other tenants (live.f: in '
            '"SELECT 1 FROM public.orders": it is not bound to NEW.id or OLD.id)',
        ),
        (
            "CREATE TABLE live.child (id text, a int, PRIMARY KEY (id, a), FOREIGN KEY (id, a) REFERENCES live.t"
            " ON DELETE CASCADE); CREATE FUNCTION live.g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN EXECUTE x; END';"
            " CREATE TRIGGER deep AFTER DELETE ON live.child FOR EACH ROW EXECUTE FUNCTION live.g()",
            'DELETE is refused, because the trigger "deep" of "child" may touch rows of other tenants',
        ),
        (
            "CREATE RULE quiet AS ON DELETE TO live.t DO INSTEAD NOTHING",
            "writing it is refused, because it has rules",
        ),
    ],
)
def test_what_makes_statements_refused(
    check: Check, config: dict[str, Any], on_shards: Sql, ddl: str, expected: str
) -> None:
    on_shards(TABLE + READER + ddl)
    config["tables"] |= {"live.t": {"key": "id"}, "live.child": {"key": "id"}}
    if "live.child" not in ddl:
        del config["tables"]["live.child"]
    (warning,) = lines(check(config)[1])
    assert warning.startswith(expected)


def test_an_ordinary_schema_has_no_findings(check: Check, config: dict[str, Any], on_shards: Sql) -> None:
    on_shards(
        TABLE + "CREATE FUNCTION live.touch() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.b := 1; INSERT INTO live.log VALUES (NEW.id, NEW.a); RETURN NEW; END';"
        " CREATE TABLE live.log (id text NOT NULL, a int, FOREIGN KEY (id, a) REFERENCES live.t DEFERRABLE); "
        "CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON live.t FOR EACH ROW EXECUTE FUNCTION live.touch(); "
    )
    config["tables"] |= {"live.t": {"key": "id"}, "live.log": {"key": "id"}}
    mistakes, warnings = check(config)
    assert mistakes == []
    assert [*lines(warnings), *lines(warnings, "tables.'live.log'")] == []


@pytest.mark.parametrize(
    ("rule", "mistake"),
    [
        ({"key": "id"}, None),
        ({"key": "b", "group": "device"}, True),
        ({"local": "shard-a"}, True),
        ("reference", True),
    ],
)
def test_foreign_keys_between_tables_that_are_spread_otherwise(
    check: Check, config: dict[str, Any], on_shards: Sql, rule: Any, mistake: bool | None
) -> None:
    on_shards(
        TABLE
        + "CREATE TABLE live.child (id text, a int, b int, CONSTRAINT fk FOREIGN KEY (id, a) REFERENCES live.t)"
    )
    config["tables"] |= {"live.t": {"key": "id"}, "live.child": rule}
    mistakes, warnings = check(config)
    expected = (
        "the foreign key fk refers to live.t, which is spread otherwise, so no shard can check it; drop it"
    )
    assert lines(mistakes, "tables.'live.child'") == ([expected] if mistake else [])
    assert lines(warnings, "tables.'live.child'") == []


def test_a_foreign_key_without_the_sharding_keys_is_a_warning(
    check: Check, config: dict[str, Any], on_shards: Sql
) -> None:
    on_shards(
        TABLE
        + "ALTER TABLE live.t ADD UNIQUE (id, b); CREATE TABLE live.child (id text NOT NULL, a int, other text,"
        " CONSTRAINT fk FOREIGN KEY (other, a) REFERENCES live.t, CONSTRAINT good FOREIGN KEY (a, id) REFERENCES live.t (b, id))"
    )
    config["tables"] |= {"live.t": {"key": "id"}, "live.child": {"key": "id"}}
    mistakes, warnings = check(config)
    assert mistakes == []
    assert lines(warnings, "tables.'live.child'") == [
        "the foreign key fk to live.t does not refer from id to id, so it holds on each shard only; add the columns"
    ]


def test_a_generated_key(check: Check, config: dict[str, Any], on_shards: Sql) -> None:
    on_shards(
        "CREATE TABLE live.t (a text, id text GENERATED ALWAYS AS (lower(a)) STORED); ALTER TABLE live.t OWNER TO app"
    )
    config["tables"]["live.t"] = {"key": "id"}
    assert lines(check(config)[0]) == [
        "the key id is generated, so that an UPDATE changes it; make it a plain column"
    ]


def test_a_trusted_function_that_some_shards_lack(
    check: Check, config: dict[str, Any], on_shards: Sql
) -> None:
    on_shards(READER, 0, 2)
    config["trusted_functions"] = ["nowhere", "live.reads"]
    assert check(config)[0] == [
        "trusted_functions[0]: there is no function public.nowhere on shards 'shard-a', 'shard-b', 'shard-c'; "
        "create it, or remove it here",
        "trusted_functions[1]: there is no function live.reads on shard 'shard-b'; create it, or remove it here",
        "shards[1].primary: function live.reads: shard-a has it, shard-b does not; make the shards alike",
    ]

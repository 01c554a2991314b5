"""What PostgreSQL calls without being told by a statement: triggers, defaults, CHECKs, types, casts, foreign keys."""

from collections.abc import Iterator

import pytest

from shardproxy.demo.postgres import Server
from shardproxy.sql.schema import Call, Cast, ForeignKey, Schema, Trigger
from tests.monitor.test_schema_reader import create, read

DDL = """
CREATE EXTENSION tsm_system_rows;
CREATE EXTENSION moddatetime;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION tablefunc;
CREATE TABLE parents (tenant_id text, id int, PRIMARY KEY (tenant_id, id));
CREATE FUNCTION reads(anyelement) RETURNS boolean LANGUAGE sql AS 'SELECT count(*) > 0 FROM parents';
CREATE FUNCTION plain(anyelement) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION sworn(text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT count(*) > 0 FROM public.parents';
CREATE FUNCTION total(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT $1 + $2 > (SELECT count(*) FROM parents)';
CREATE OPERATOR +? (LEFTARG = int, RIGHTARG = int, FUNCTION = total);
CREATE FUNCTION defaulting(boolean DEFAULT reads(1)) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE DOMAIN code AS text CHECK (reads(VALUE));
CREATE DOMAIN inner_code AS code;
CREATE DOMAIN plain_code AS text CHECK (plain(VALUE));
CREATE DOMAIN xml_code AS text CHECK (query_to_xml(VALUE, true, true, '') IS NOT NULL);
CREATE TYPE pair AS (a int, b inner_code);
CREATE TYPE pairs AS RANGE (subtype = pair);
CREATE TYPE mine AS (a int);
CREATE TYPE other AS (a int);
CREATE FUNCTION to_other(mine) RETURNS other LANGUAGE plpgsql
    AS 'BEGIN RETURN (SELECT ROW(count(*))::other FROM parents); END';
CREATE FUNCTION to_text(mine) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(tenant_id) FROM parents); END';
CREATE FUNCTION to_mine(other) RETURNS mine LANGUAGE sql AS 'SELECT ROW(1)::mine';
CREATE CAST (mine AS other) WITH FUNCTION to_other(mine) AS ASSIGNMENT;
CREATE CAST (mine AS text) WITH FUNCTION to_text(mine);
CREATE CAST (other AS mine) WITH FUNCTION to_mine(other) AS IMPLICIT;
CREATE TABLE children (
    tenant_id text,
    id int DEFAULT defaulting(),
    parent int DEFAULT 1 CHECK (parent +? 1),
    code code,
    codes inner_code[],
    pair pair,
    plain plain_code,
    sworn boolean DEFAULT sworn('x'),
    at timestamp DEFAULT now(),
    cast_to text DEFAULT 'x'::inner_code,
    seen boolean GENERATED ALWAYS AS (sworn(tenant_id)) STORED,
    lo_fee int CHECK (lo_fee > 0),
    CONSTRAINT "Good" CHECK (plain(parent)),
    CONSTRAINT bad CHECK (reads(tenant_id)),
    CONSTRAINT xml CHECK (table_to_xml('parents', true, true, '') IS NOT NULL),
    CONSTRAINT one FOREIGN KEY (tenant_id, parent) REFERENCES parents ON DELETE SET NULL (parent) ON UPDATE CASCADE,
    CONSTRAINT two FOREIGN KEY (tenant_id, id) REFERENCES parents ON DELETE SET DEFAULT
);
CREATE INDEX ON children (sworn(tenant_id));
CREATE POLICY seen ON children USING (reads(id)) WITH CHECK (plain(id));
ALTER TABLE children ENABLE ROW LEVEL SECURITY;
CREATE POLICY asleep ON parents USING (reads(id));
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.at := now(); RETURN NEW; END';
CREATE FUNCTION tuned() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql SET standard_conforming_strings = off AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER a_touch BEFORE INSERT OR UPDATE OF parent ON children FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER b_after AFTER DELETE ON children FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER c_whole BEFORE INSERT ON children EXECUTE FUNCTION touch();
CREATE TRIGGER d_when AFTER UPDATE ON children FOR EACH ROW WHEN (reads(NEW.id)) EXECUTE FUNCTION touch();
CREATE TRIGGER e_off AFTER UPDATE ON children FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER f_truncate AFTER TRUNCATE ON children EXECUTE FUNCTION touch();
CREATE TRIGGER g_always BEFORE UPDATE ON children FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE CONSTRAINT TRIGGER h_later AFTER INSERT ON children DEFERRABLE FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE children DISABLE TRIGGER e_off, ENABLE ALWAYS TRIGGER g_always, ENABLE REPLICA TRIGGER c_whole;
CREATE TABLE measures (tenant_id text, day date) PARTITION BY RANGE (day);
CREATE TRIGGER cloned BEFORE INSERT ON measures FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TABLE measures_1 PARTITION OF measures FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
CREATE VIEW seen AS SELECT * FROM parents;
CREATE TRIGGER instead INSTEAD OF INSERT ON seen FOR EACH ROW EXECUTE FUNCTION touch();
"""

READS = ("public", "reads")
WRITES = ("INSERT", "UPDATE")


@pytest.fixture(scope="module")
def schema(primary: Server) -> Iterator[Schema]:
    create(primary, "effects", DDL)
    return read(primary, "effects")


def test_triggers_are_read_but_for_those_that_are_off_or_postgresqls_own(schema: Schema) -> None:
    touch = ("public", "touch")
    assert schema.relations["public", "children"].triggers == (
        Trigger("a_touch", touch, WRITES, changes_row=True),
        Trigger("b_after", touch, ("DELETE",)),
        Trigger("c_whole", touch, ("INSERT",)),
        Trigger("d_when", touch, ("UPDATE",)),
        Trigger(
            "g_always", ("pg_catalog", "suppress_redundant_updates_trigger"), ("UPDATE",), changes_row=True
        ),
        Trigger("h_later", touch, ("INSERT",)),
    )
    assert schema.relations["public", "parents"].triggers == ()
    assert schema.relations["public", "seen"].triggers == (Trigger("instead", touch, ("INSERT",)),)


def test_a_partition_has_its_parents_triggers(schema: Schema) -> None:
    expected = (Trigger("cloned", ("public", "touch"), ("INSERT",), changes_row=True),)
    assert schema.relations["public", "measures"].triggers == expected
    assert schema.relations["public", "measures_1"].triggers == expected


def test_the_source_of_a_trigger_function_is_kept_where_it_can_be_told_what_it_means(schema: Schema) -> None:
    assert schema.functions["touch"][0].body == "BEGIN NEW.at := now(); RETURN NEW; END"
    assert schema.functions["tuned"][0].body == "BEGIN RETURN NEW; END"
    assert schema.functions["odd"][0].body is None
    assert schema.functions["moddatetime"][0].body is None
    assert schema.functions["to_other"][0].body is None


def test_functions_that_may_touch_tables_are_found_wherever_they_are_called(schema: Schema) -> None:
    assert schema.relations["public", "children"].calls == (
        Call('the check "bad"', READS, WRITES),
        Call('the check "children_parent_check"', ("public", "total"), WRITES),
        Call('the check "xml"', ("pg_catalog", "table_to_xml"), WRITES),
        Call('the default of column "cast_to"', READS, WRITES),
        Call('the default of column "id"', ("public", "defaulting"), WRITES),
        Call('the policy "seen"', READS, ("SELECT", "INSERT", "UPDATE", "DELETE")),
        Call('the trigger "d_when"', READS, ("UPDATE",)),
        Call('the type public.code of column "code"', READS, WRITES),
        Call('the type public.inner_code[] of column "codes"', READS, WRITES),
        Call('the type public.pair of column "pair"', READS, WRITES),
    )
    assert schema.relations["public", "parents"].calls == (), "its policy is not in force"


def test_types_casts_and_operators_with_functions_that_may_touch_tables_are_known_by_name(
    schema: Schema,
) -> None:
    assert schema.reading_types == {
        "_children": (READS,),
        "_code": (READS,),
        "_inner_code": (READS,),
        "_pair": (READS,),
        "_pairs": (READS,),
        "_pairs_multirange": (READS,),
        "_xml_code": (("pg_catalog", "query_to_xml"),),
        "code": (READS,),
        "inner_code": (READS,),
        "pair": (READS,),
        "pairs": (READS,),
        "pairs_multirange": (READS,),
        "children": (READS,),
        "other": (("public", "to_other"),),
        "text": (("public", "to_text"),),
        "xml_code": (("pg_catalog", "query_to_xml"),),
    }
    assert schema.reading_casts == (Cast("public.mine", "public.other", ("public", "to_other")),)
    assert schema.reading_operators == {"+?": (("public", "total"),)}


def test_extensions_are_trusted_by_name(schema: Schema) -> None:
    assert not any(each.reads for name in ("similarity", "show_limit") for each in schema.functions[name])
    assert all(each.reads for each in schema.functions["crosstab"])
    assert all(each.reads for each in schema.functions["moddatetime"])


def test_foreign_keys_tell_their_actions(schema: Schema) -> None:
    assert schema.relations["public", "children"].foreign_keys == (
        ForeignKey(
            "one", ("tenant_id", "parent"), ("public", "parents"), ("tenant_id", "id"), "n", "c", ("parent",)
        ),
        ForeignKey(
            *(
                "two",
                ("tenant_id", "id"),
                ("public", "parents"),
                ("tenant_id", "id"),
                "d",
                "a",
                ("tenant_id", "id"),
            )
        ),
    )

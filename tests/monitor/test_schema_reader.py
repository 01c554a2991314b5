"""The schema reader, on a real server: what it reports is what PostgreSQL does."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from shardproxy.demo.postgres import Server
from shardproxy.monitor.schema_reader import fingerprint, read_schema
from shardproxy.sql.schema import Column, Function, Schema

DDL = """
CREATE TYPE public.mood AS ENUM ('sad', 'happy');
CREATE SCHEMA "Odd Schema";
CREATE COLLATION blind (provider = libc, locale = 'C');
-- Not every build has ICU, which alone can make one; what is read is this flag.
UPDATE pg_collation SET collisdeterministic = false WHERE collname = 'blind';
CREATE TABLE orders (
    tenant_id varchar(20) NOT NULL DEFAULT 'none',
    id bigint GENERATED ALWAYS AS IDENTITY,
    mood mood,
    note text COLLATE blind,
    twice int GENERATED ALWAYS AS (2) STORED,
    gone int,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (note) DEFERRABLE
);
ALTER TABLE orders DROP COLUMN gone;
CREATE UNIQUE INDEX ON orders (mood, tenant_id) INCLUDE (note);
CREATE UNIQUE INDEX ON orders (twice) WHERE id > 3;
CREATE UNIQUE INDEX ON orders (lower(note));
CREATE INDEX ON orders (twice);
CREATE TABLE events (tenant_id text, day date) PARTITION BY RANGE (day);
CREATE TABLE events_2020 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE VIEW "Odd Schema".happy AS SELECT id, note || 'x' AS note FROM orders WHERE mood = 'happy';
CREATE MATERIALIZED VIEW frozen AS SELECT 1 AS one;
CREATE RULE quiet AS ON DELETE TO events_2020 DO INSTEAD NOTHING;
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION twin(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION twin(int, int) RETURNS SETOF int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE act() LANGUAGE sql AS 'SELECT 1';
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
CREATE EXTENSION citext;
CREATE TEMP TABLE mine (x int);
"""


def create(server: Server, database: str, ddl: str) -> None:
    server.query(f"CREATE DATABASE {database}")
    server.query(ddl, dbname=database)


def read(server: Server, database: str, user: str = "postgres") -> Schema:
    async def once() -> Schema:
        connection = await asyncpg.connect(server.dsn(dbname=database, user=user), ssl=False)
        try:
            return await read_schema(connection)
        finally:
            await connection.close()

    return asyncio.run(once())


@pytest.fixture(scope="module")
def schema(primary: Server) -> Iterator[Schema]:
    primary.query("CREATE ROLE nobody LOGIN")
    create(primary, "app", DDL)
    return read(primary, "app", user="nobody")


def test_relations_of_users_are_read_and_no_others(schema: Schema) -> None:
    assert set(schema.relations) == {
        ("public", "orders"),
        ("public", "orders_id_seq"),
        ("public", "events"),
        ("public", "events_2020"),
        ("public", "frozen"),
        ("Odd Schema", "happy"),
    }
    kinds = {name: relation.kind for (_, name), relation in schema.relations.items()}
    assert kinds == {
        "orders": "r",
        "orders_id_seq": "S",
        "events": "p",
        "events_2020": "r",
        "frozen": "m",
        "happy": "v",
    }
    assert schema.schemas == {"public", "Odd Schema"}


def test_columns_keep_their_order_and_tell_type_default_and_collation(schema: Schema) -> None:
    mood = schema.enum_types["public", "mood"]
    assert schema.relations["public", "orders"].columns == (
        Column("tenant_id", 1043, "character varying(20)", not_null=True, has_default=True),
        Column("id", 20, "bigint", not_null=True, has_default=True),
        Column("mood", mood, "public.mood"),
        Column("note", 25, "text", deterministic=False),
        Column("twice", 23, "integer", has_default=True, generated=True),
    )


def test_only_keys_that_make_rows_unique_at_every_moment_are_unique_keys(schema: Schema) -> None:
    orders = schema.relations["public", "orders"]
    assert orders.primary_key == ("tenant_id", "id")
    assert orders.unique_keys == (("mood", "tenant_id"),)


def test_view_definitions_name_everything_with_its_schema(schema: Schema) -> None:
    definition = schema.relations["Odd Schema", "happy"].definition
    assert definition is not None
    assert "FROM public.orders" in definition
    assert "'happy'::public.mood" in definition
    assert schema.relations["public", "frozen"].definition == " SELECT 1 AS one;"
    assert schema.relations["public", "orders"].definition is None


def test_partitions_rules_and_row_security_are_seen(schema: Schema) -> None:
    partition = schema.relations["public", "events_2020"]
    assert partition.parents == (("public", "events"),)
    assert partition.has_user_rules
    assert not partition.row_security
    assert schema.relations["public", "events"].row_security
    assert not schema.relations["Odd Schema", "happy"].has_user_rules, (
        "a view's own _RETURN rule is not the user's"
    )


def test_functions_tell_volatility_kind_and_extension(schema: Schema) -> None:
    assert schema.functions["twin"] == (
        Function("public", "twin", "s", "f", 1, reads=False),
        Function("public", "twin", "v", "f", 2, returns_set=True, reads=False),
    )
    assert schema.functions["act"] == (Function("public", "act", "v", "p", 0, reads=False),)
    assert all(each.from_extension for each in schema.functions["citext_eq"])
    assert "now" not in schema.functions


def test_operators_of_extensions_are_not_the_users(schema: Schema) -> None:
    assert schema.user_operators == {"==="}


def test_system_relations_are_the_bare_names_of_pg_catalog(schema: Schema) -> None:
    assert {"pg_class", "pg_stat_activity", "pg_settings"} <= schema.system_relations
    assert "orders" not in schema.system_relations


def test_the_version_stays_with_the_content_and_changes_with_it(primary: Server, schema: Schema) -> None:
    assert read(primary, "app", user="nobody").version == schema.version > 0
    primary.query("ALTER FUNCTION twin(int) IMMUTABLE", dbname="app")
    changed = read(primary, "app", user="nobody")
    primary.query("ALTER FUNCTION twin(int) STABLE", dbname="app")
    assert changed.version != schema.version
    assert fingerprint(changed) != fingerprint(schema)
    assert read(primary, "app", user="nobody").version == schema.version


def test_a_schema_without_usage_is_hidden_from_the_search_path(primary: Server, schema: Schema) -> None:
    assert schema.hidden == {"Odd Schema"}
    everything = read(primary, "app")
    assert everything.hidden == frozenset()
    assert everything.version != schema.version
    assert fingerprint(everything) == fingerprint(schema)


def test_servers_with_equal_schemas_have_equal_fingerprints_although_oids_differ(
    primary: Server, schema: Schema
) -> None:
    create(primary, "twin", "CREATE TYPE later AS ENUM (); DROP TYPE later;" + DDL)
    twin = read(primary, "twin")
    assert twin.enum_types != schema.enum_types
    assert twin.version != schema.version
    assert fingerprint(twin) == fingerprint(schema)


def test_objects_of_users_are_never_called(primary: Server) -> None:
    """A role that may create functions cannot make the reader run them, whatever search_path it arranges."""
    create(
        primary,
        "hostile",
        """
        CREATE FUNCTION public.format_type(oid, int) RETURNS text LANGUAGE sql AS $$ SELECT 'hijacked' $$;
        CREATE FUNCTION public.never(name, name) RETURNS bool LANGUAGE sql AS $$ SELECT 1 / 0 > 0 $$;
        CREATE OPERATOR public.<> (LEFTARG = name, RIGHTARG = name, FUNCTION = public.never);
        CREATE TABLE public.pg_class (x int);
        ALTER DATABASE hostile SET search_path = public, pg_catalog;
        """,
    )
    schema = read(primary, "hostile")
    assert set(schema.relations) == {("public", "pg_class")}
    assert schema.relations["public", "pg_class"].columns[0].type_name == "integer"


def test_reading_leaves_the_connection_as_it_was(primary: Server, schema: Schema) -> None:
    async def settings() -> tuple[str, ...]:
        connection = await asyncpg.connect(primary.dsn(dbname="app"), ssl=False)
        try:
            await connection.execute("SET search_path = pg_temp; SET statement_timeout = 1234")
            await read_schema(connection)
            names = ("search_path", "statement_timeout", "lock_timeout", "transaction_read_only")
            return tuple([await connection.fetchval(f"SHOW {name}") for name in names])
        finally:
            await connection.close()

    assert asyncio.run(settings()) == ("pg_temp", "1234ms", "0", "off")


def test_what_a_move_puts_up_on_its_tables_is_not_part_of_the_schema(primary: Server) -> None:
    create(primary, "moving", "CREATE TABLE orders (tenant_id text PRIMARY KEY)")
    before = read(primary, "moving")
    trigger = "TRIGGER {0} AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION {1}"
    function = "CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
    primary.query(
        f"CREATE SCHEMA shardproxy; {function.format('shardproxy.written')}"
        f"CREATE {trigger.format('shardproxy_move_1_insert', 'shardproxy.written(1)')}",
        dbname="moving",
    )
    assert fingerprint(read(primary, "moving")) == fingerprint(before)
    primary.query(
        f"{function.format('public.shardproxy')} CREATE {trigger.format('theirs', 'public.shardproxy()')}",
        dbname="moving",
    )
    assert [each.name for each in read(primary, "moving").relations["public", "orders"].triggers] == [
        "theirs"
    ]

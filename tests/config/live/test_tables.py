"""What ``check --live`` finds about tables, on real servers."""

from collections.abc import Iterator
from typing import Any

import pytest

from shardproxy.demo.cluster import DATABASE
from tests.config.live.conftest import Check, Sql
from tests.support.cluster import Cluster


def test_a_right_configuration_has_no_mistakes(check: Check, config: dict[str, Any]) -> None:
    mistakes, _ = check(config)
    assert mistakes == []


@pytest.mark.parametrize(
    ("definition", "rule", "expected"),
    [
        ("id text", {"key": "id"}, None),
        ("id varchar(9)", {"key": "id"}, None),
        ("id int2", {"key": "id", "group": "device"}, None),
        ("id text", {"key": "tenant_id"}, "there is no column tenant_id, which is to be the sharding key"),
        (
            "id int8",
            {"key": "id"},
            "the key id is of type bigint, but group 'tenant' has text keys; "
            "correct the group's type or the column",
        ),
        ("id char(4)", {"key": "id"}, "the key id is of type character(4), but group 'tenant' has text keys"),
        (
            "id text",
            {"key": "id", "group": "doc"},
            "the key id is of type text, but group 'doc' has uuid keys",
        ),
        (
            "id text COLLATE live.any_case",
            {"key": "id"},
            "the key id has a nondeterministic collation; give it a deterministic one",
        ),
    ],
)
def test_keys(
    check: Check, config: dict[str, Any], on_shards: Sql, definition: str, rule: Any, expected: str | None
) -> None:
    on_shards(
        # As CREATE COLLATION (provider = icu, deterministic = false), which needs a build with ICU.
        'CREATE COLLATION live.any_case FROM "C"; '
        "UPDATE pg_collation SET collisdeterministic = false WHERE oid = 'live.any_case'::regcollation;"
        f"CREATE TABLE live.t ({definition}); ALTER TABLE live.t OWNER TO app"
    )
    config["tables"]["live.t"] = rule
    mistakes, _ = check(config)
    if expected is None:
        assert mistakes == []
    else:
        (mistake,) = mistakes
        assert mistake.startswith(f"tables.'live.t': {expected}")


def test_a_table_that_is_nowhere(check: Check, config: dict[str, Any]) -> None:
    config["tables"]["nowhere"] = "reference"
    assert check(config)[0] == [
        "tables.nowhere: there is no table nowhere on shards 'shard-a', 'shard-b', 'shard-c'; "
        "create it, or remove it here"
    ]


def test_a_table_that_one_shard_lacks(check: Check, config: dict[str, Any], on_shards: Sql) -> None:
    on_shards("CREATE TABLE live.t (id text); ALTER TABLE live.t OWNER TO app", 0, 2)
    config["tables"]["live.t"] = {"key": "id"}
    assert check(config)[0] == [
        "tables.'live.t': there is no table live.t on shard 'shard-b'; create it, or remove it here"
    ]


def test_a_local_table_may_be_on_its_shard_only(check: Check, config: dict[str, Any], on_shards: Sql) -> None:
    on_shards("CREATE TABLE live.t (id text); ALTER TABLE live.t OWNER TO app", 1)
    config["tables"]["live.t"] = {"local": "shard-b"}
    assert check(config)[0] == []
    config["tables"]["live.t"] = {"local": "shard-c"}
    assert check(config)[0][0].startswith("tables.'live.t': there is no table live.t on shard 'shard-c'")


def test_a_view_cannot_be_spread(check: Check, config: dict[str, Any], on_shards: Sql) -> None:
    on_shards("CREATE VIEW live.t AS SELECT 'x'::text AS id")
    config["tables"]["live.t"] = {"key": "id"}
    assert check(config)[0] == ["tables.'live.t': is a view; only tables can be listed, so remove it"]


def test_tables_that_differ_between_shards(check: Check, config: dict[str, Any], on_shards: Sql) -> None:
    on_shards("CREATE TABLE live.t (id text, a int); ALTER TABLE live.t OWNER TO app", 0, 1)
    on_shards("CREATE TABLE live.t (id text, a int8); ALTER TABLE live.t OWNER TO app", 2)
    on_shards("CREATE TABLE live.unlisted (id text)", 1)
    config["tables"]["live.t"] = {"key": "id"}
    assert check(config)[0] == [
        "shards[1].primary: live.unlisted: shard-b has it, shard-a does not; make the shards alike",
        "tables.'live.t': live.t.a: shard-a has integer, shard-c has bigint; make the shards alike",
    ]


def test_a_key_that_is_wrong_on_one_shard_names_the_shard(
    check: Check, config: dict[str, Any], on_shards: Sql
) -> None:
    on_shards("CREATE TABLE live.t (id text); ALTER TABLE live.t OWNER TO app", 0, 1)
    on_shards("CREATE TABLE live.t (id int8); ALTER TABLE live.t OWNER TO app", 2)
    config["tables"]["live.t"] = {"key": "id"}
    mistakes, _ = check(config)
    assert mistakes[0].startswith("tables.'live.t': on shard 'shard-c': the key id is of type bigint")


def test_a_unique_key_without_the_sharding_key_is_a_warning(
    check: Check, config: dict[str, Any], on_shards: Sql
) -> None:
    on_shards(
        "CREATE TABLE live.t (id text, n int PRIMARY KEY, UNIQUE (id, n)); ALTER TABLE live.t OWNER TO app"
    )
    config["tables"]["live.t"] = {"key": "id"}
    mistakes, warnings = check(config)
    assert mistakes == []
    assert (
        "tables.'live.t': unique key (n) does not contain id, so it is unique on each shard only; "
        "add the column" in warnings
    )


def test_rows_in_the_wrong_place_are_counted(
    check: Check, config: dict[str, Any], on_shards: Sql, cluster: Cluster
) -> None:
    tenant, other = cluster.tenants_of(0)[0], cluster.tenants_of(1)[0]
    on_shards("CREATE TABLE live.t (id text); ALTER TABLE live.t OWNER TO app")
    on_shards(f"INSERT INTO live.t VALUES ('{tenant}'), ('{other}'), ('{other}'), (NULL)", 0)
    on_shards(f"INSERT INTO live.t VALUES ('{other}')", 1)
    on_shards("CREATE TABLE live.here (id text); ALTER TABLE live.here OWNER TO app")
    on_shards("INSERT INTO live.here VALUES ('x')", 0, 2)
    config["tables"] |= {"live.t": {"key": "id"}, "live.here": {"local": "shard-a"}}
    assert check(config)[0] == [
        "tables.'live.t': 3 row(s) on shard 'shard-a' belong to other shards or have no key; "
        "move or delete them",
        "tables.'live.here': 1 row(s) on shard 'shard-c' are never seen, because the table is local to "
        "shard 'shard-a'; move or delete them",
    ]


def test_a_placement_says_where_rows_belong(check: Check, config: dict[str, Any], cluster: Cluster) -> None:
    """Without its placement, a placed tenant's rows are in the wrong place."""
    (tenant, _), *_ = config["placements"].items()
    del config["placements"][tenant]
    mistakes, _ = check(config)
    home = cluster.map.shards[cluster.owner(tenant)]
    assert any(m.startswith("tables.tenants: 1 row(s) on") and home in m for m in mistakes), mistakes


def test_rows_that_a_policy_would_hide_are_not_called_right(
    check: Check, config: dict[str, Any], on_shards: Sql
) -> None:
    on_shards(
        "CREATE TABLE live.t (id text); ALTER TABLE live.t ENABLE ROW LEVEL SECURITY; "
        "INSERT INTO live.t VALUES ('x'); GRANT SELECT ON live.t TO app"
    )
    config["tables"]["live.t"] = {"key": "id"}
    _, warnings = check(config)
    assert (
        "tables.'live.t': rows on shard 'shard-a' not counted: "
        'query would be affected by row-level security policy for table "t"'
    ) in warnings


def test_tables_that_are_not_listed_are_a_warning(
    check: Check, config: dict[str, Any], on_shards: Sql
) -> None:
    """A partition is as its parent is, and needs no line of its own."""
    on_shards(
        "CREATE TABLE live.listed (id text) PARTITION BY HASH (id);"
        "CREATE TABLE live.part PARTITION OF live.listed FOR VALUES WITH (MODULUS 1, REMAINDER 0);"
        "ALTER TABLE live.listed OWNER TO app"
    )
    config["tables"]["live.listed"] = {"key": "id"}
    mistakes, warnings = check(config)
    assert mistakes == []
    assert "tables: statements that use misc are refused; say how each table is spread" in warnings


@pytest.fixture
def mood(cluster: Cluster) -> Iterator[None]:
    """An enum whose OID differs between the shards."""
    primary = cluster.shards[1].primary
    primary.query("CREATE TYPE public.burn AS ENUM (); DROP TYPE public.burn", dbname=DATABASE)
    for shard in cluster.shards:
        shard.primary.query("CREATE TYPE public.mood AS ENUM ('ok')", dbname=DATABASE)
    yield
    for shard in cluster.shards:
        shard.primary.query("DROP TYPE public.mood", dbname=DATABASE)


@pytest.mark.usefixtures("mood")
def test_types_with_different_oids_are_a_warning(check: Check, config: dict[str, Any]) -> None:
    mistakes, warnings = check(config)
    assert mistakes == []
    assert any(w.startswith("shards[1].primary: type mood: shard-a has OID ") for w in warnings)

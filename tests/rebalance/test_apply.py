"""``shardproxy apply``: the map becomes what the file says; what cannot be is refused by name."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shardproxy.catalog import maps
from shardproxy.demo.cluster import DATABASE
from shardproxy.demo.postgres import Install, Run
from shardproxy.topology.shard_map import ShardMap
from shardproxy.topology.tables import Local, Sharded
from tests.support import rest
from tests.support.aio import run
from tests.support.growing import NEW, Growing
from tests.support.proxy import Proxy

ABC = ("shard-a", "shard-b", "shard-c")
QUIET = ("--progress", "none", "--grace", "1")


@pytest.fixture(scope="module")
def growing(install: Install) -> Iterator[Growing]:
    with Run(install) as run:
        growing = Growing.start(run, settings={"wal_level": "logical"})
        for server in (*(shard.primary for shard in growing.installed.cluster.shards), growing.new):
            server.query(
                "CREATE TABLE notes (tenant_id text, note_id int, PRIMARY KEY (tenant_id, note_id));"
                "CREATE TABLE hidden (key text PRIMARY KEY); ALTER TABLE notes OWNER TO app;"
                "ALTER TABLE hidden OWNER TO app",
                dbname=DATABASE,
            )
        yield growing


def current(growing: Growing) -> ShardMap:
    async def read() -> ShardMap:
        async with growing.installed.operator() as catalog:
            return await maps.read(catalog)

    return run(read())


def tables(growing: Growing, **changes: Any) -> dict[str, Any]:
    """The file's tables, as the map has them now, with changes; None takes one out."""
    known = {**growing.installed.cluster.config()["tables"], **changes}
    return {name: rule for name, rule in known.items() if rule is not None}


def applied(growing: Growing, directory: Path, *arguments: str, **sections: Any) -> dict[str, Any]:
    """What it says, as JSON."""
    result = growing.command(
        directory,
        "apply",
        "--json",
        "--yes",
        *QUIET,
        *arguments,
        shards=growing.config(*ABC)["shards"],
        **sections,
    )
    said: dict[str, Any] = json.loads(result.stdout)
    assert said["ok"] is (result.exit_code == 0)
    return said


def test_a_file_that_is_the_map_changes_nothing(growing: Growing, tmp_path: Path) -> None:
    before = current(growing).epoch
    said = applied(growing, tmp_path)
    assert (said["ok"], said["done"], said["steps"], said["obstacles"]) == (True, False, [], [])
    assert current(growing).epoch == before


def test_it_asks_first(growing: Growing, tmp_path: Path) -> None:
    before = current(growing).epoch
    sections = {
        "tables": tables(growing, notes={"key": "tenant_id"}),
        "shards": growing.config(*ABC)["shards"],
    }
    result = growing.command(tmp_path, "apply", *QUIET, **sections)
    assert result.exit_code == 1
    assert result.stdout.rstrip() == "table notes: new, sharded by tenant_id, group tenant"
    dry = growing.command(tmp_path, "apply", "--dry-run", *QUIET, **sections)
    assert (dry.exit_code, dry.stdout.rstrip()) == (0, result.stdout.rstrip())
    assert current(growing).epoch == before


def test_rules_change_while_a_sidecar_serves_and_it_is_never_wrong(growing: Growing, tmp_path: Path) -> None:
    insert, count = "INSERT INTO notes VALUES (%s, 1)", "SELECT count(*) FROM notes WHERE tenant_id = %s"
    tenants = [growing.installed.cluster.tenants_of(shard)[0] for shard in range(3)]
    with Proxy(growing.config(*ABC)) as proxy, psycopg.connect(proxy.dsn(), autocommit=True) as client:

        def follows() -> None:
            epoch = current(growing).epoch
            rest.wait_until(
                lambda: rest.metric(proxy, "shardproxy_map_epoch") == epoch, "the map is followed"
            )

        with pytest.raises(psycopg.errors.FeatureNotSupported):
            client.execute(count, (tenants[0],))
        said = applied(growing, tmp_path, tables=tables(growing, notes={"local": "shard-b"}))
        assert said["steps"] == ["table notes: new, local to shard-b"]
        assert said["done"]
        follows()
        client.execute(insert, ("x",))
        refused = applied(growing, tmp_path, tables=tables(growing, notes={"key": "tenant_id"}))
        assert [each["what"] for each in refused["obstacles"]] == [
            "notes is local to shard-b and is to be sharded by tenant_id, group tenant, and has rows on shard-b"
        ]
        client.execute("DELETE FROM notes")
        assert applied(growing, tmp_path, tables=tables(growing, notes={"key": "tenant_id"}))["done"]
        follows()
        for tenant in tenants:
            client.execute(insert, (tenant,))
            assert client.execute(count, (tenant,)).fetchone() == (1,)
        for shard, tenant in zip(growing.installed.cluster.shards, tenants, strict=True):
            assert shard.primary.query("SELECT tenant_id FROM notes", dbname=DATABASE) == tenant
        assert current(growing).tables.rules["public", "notes"] == Sharded("tenant_id", "tenant")
        refused = applied(growing, tmp_path)
        assert refused["obstacles"][0]["what"] == "notes has rows on shard-a and is not in the file"
        for tenant in tenants:
            client.execute("DELETE FROM notes WHERE tenant_id = %s", (tenant,))
        assert applied(growing, tmp_path)["steps"] == ["table notes: not served any more"]
        follows()
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            client.execute(count, (tenants[0],))


@pytest.mark.parametrize(
    ("sections", "what"),
    [
        (
            {"groups": {"tenant": "text", "device": "text", "doc": "uuid"}},
            "the group device has integer keys, not text ones",
        ),
        (
            {"tenant_group": "device", "placements": {}},
            "the tenants' group is tenant, and device in the file",
        ),
        ({"designated": "shard-b"}, "the designated shard is shard-a"),
        (
            {"tables": {"orders": {"key": "note"}}},
            "orders is sharded by tenant_id, group tenant and is to be sharded by note",
        ),
        (
            {"tables": {"currencies": {"local": "shard-a"}}},
            "currencies is a reference table and is to be local to shard-a",
        ),
        ({"tables": {"notes": {"key": "note_id"}}}, "notes on shard-a has no text column note_id"),
        ({"tables": {"nowhere": "reference"}}, "there is no table nowhere on shard-a, shard-b, shard-c"),
        ({"tables": {"orders": None}}, "orders has rows on shard-a and is not in the file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_is_refused_by_name(
    growing: Growing, tmp_path: Path, sections: dict[str, Any], what: str
) -> None:
    before = current(growing).epoch
    if "tables" in sections:
        sections = {"tables": tables(growing, **sections["tables"])}
    said = applied(growing, tmp_path, **sections)
    assert not said["ok"]
    assert said["obstacles"][0]["what"].startswith(what)
    assert current(growing).epoch == before


def test_rows_in_the_wrong_place_are_counted(growing: Growing, tmp_path: Path) -> None:
    tenant = growing.installed.cluster.tenants_of(2)[0]
    server = growing.installed.cluster.shards[1].primary
    server.query(f"INSERT INTO notes VALUES ('{tenant}', 1), ('{tenant}', 2)", dbname=DATABASE)
    try:
        said = applied(growing, tmp_path, tables=tables(growing, notes={"key": "tenant_id"}))
        assert said["obstacles"][0]["what"] == "2 rows of notes on shard-b belong to other shards"
    finally:
        server.query("DELETE FROM notes", dbname=DATABASE)


def test_a_shard_weights_and_placements_at_once(growing: Growing, tmp_path: Path) -> None:
    tenant = growing.installed.cluster.tenants_of(0)[0]
    config = growing.config()
    config["shards"][0]["weight"] = 2
    growing.query(
        "INSERT INTO currencies "
        + growing.installed.cluster.shards[0].primary.query(
            "SELECT 'VALUES ' || string_agg(format('(%L, %L, %s)', currency, name, minor_units), ',') FROM currencies",
            dbname=DATABASE,
        )
    )
    placements = {**config["placements"], tenant: "shard-b"}
    result = growing.command(
        tmp_path, "apply", "--json", "--yes", *QUIET, shards=config["shards"], placements=placements
    )
    said = json.loads(result.stdout)
    assert result.exit_code == 0, said["obstacles"]
    assert said["steps"] == [
        f"shard {NEW}: new, with weight 1",
        "shard shard-a: weight 2",
        f"{tenant}: placed on shard-b",
    ]
    (plan,) = said["moves"]
    assert plan["moves"][0]["rows"] > 0
    shard_map = current(growing)
    assert shard_map.shards == (*ABC, NEW)
    assert shard_map.weights == (2, 1, 1, 1)
    assert shard_map.placements["tenant", tenant.encode()] == 1
    assert shard_map.tables.rules["public", "audit"] == Local("shard-a")
    assert said["buckets"] > 1000
    assert said["rows"] > 0
    assert list(shard_map.owners) == list(shard_map.aim())
    assert int(growing.query("SELECT count(*) FROM orders")) > 0
    refused = applied(growing, tmp_path, placements=placements)
    assert refused["obstacles"][0]["what"] == f"{NEW} is in the map and not in the file"

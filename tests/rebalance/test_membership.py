"""``shardproxy shard add`` and ``remove``: what is in the way is named, and what is done can be done again."""

import json
import re
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shardproxy.catalog import maps
from shardproxy.demo.cluster import APP_USER, DATABASE
from shardproxy.demo.postgres import Install, Run
from shardproxy.rebalance import membership
from shardproxy.rebalance.membership import with_shard, without_shard
from shardproxy.rebalance.obstacles import Obstructed
from shardproxy.topology.moves import Moving
from tests.support.aio import run
from tests.support.growing import NEW, Growing
from tests.topology.maps import same, shard_map


@pytest.fixture(scope="module")
def one(install: Install) -> Iterator[Growing]:
    with Run(install) as run:
        yield Growing.start(run)


@pytest.fixture
def growing(one: Growing) -> Iterator[Growing]:
    yield one
    one.clear()


def in_the_way(growing: Growing, **options: object) -> dict[str, str]:
    """What is in the way, each with its remedy; as the dry run says it, and the real one too."""
    dry = run(growing.add(dry_run=True, **options))
    found = {each.what: each.remedy for each in dry.obstacles if not each.warning}
    if found:
        with pytest.raises(Obstructed) as obstructed:
            run(growing.add(**options))
        assert {each.what: each.remedy for each in obstructed.value.obstacles} == found
    return found


def current(growing: Growing) -> tuple[str, ...]:
    async def read() -> tuple[str, ...]:
        async with growing.installed.operator() as catalog:
            return (await maps.read(catalog)).shards

    return run(read())


def test_a_shard_is_added_and_removed_from_the_command_line(growing: Growing, tmp_path: Path) -> None:
    dry = growing.command(tmp_path, "shard", "add", NEW, "--copy-reference", "--dry-run")
    assert dry.exit_code == 0
    first, then = dry.stdout.splitlines()
    assert first == "nothing is in the way"
    assert re.fullmatch(r"\d+ buckets would move there: [\d,]+ rows, .*B", then)
    added = growing.command(
        tmp_path, "shard", "add", NEW, "--copy-reference", "--weight", "0", "--no-rebalance"
    )
    assert added.exit_code == 0
    assert added.stdout.startswith(f"{NEW} is in the map, and owns nothing yet (epoch ")
    assert f"copied {growing.query('SELECT count(*) FROM currencies')} rows of reference" in added.stderr
    assert current(growing)[-1] == NEW
    again = growing.command(tmp_path, "shard", "add", NEW)
    assert again.exit_code == 1
    assert f'the shard "{NEW}" is in the map already' in again.stderr
    removed = growing.command(tmp_path, "shard", "remove", NEW, "--json")
    assert removed.exit_code == 0
    assert json.loads(removed.stdout)["shard"] == NEW
    assert NEW not in current(growing)


@pytest.mark.parametrize(
    ("sql", "what", "remedy"),
    [
        ("ALTER TABLE orders ADD extra int", "the schemas differ: orders.extra", "make them equal"),
        (
            f"REVOKE UPDATE, DELETE ON orders FROM {APP_USER}",
            f'"{APP_USER}" may not UPDATE, DELETE on orders on {NEW}',
            "GRANT it there",
        ),
        (
            "INSERT INTO devices (device_id, model) VALUES (7, 'x')",
            f"devices has rows on {NEW}, which owns none",
            "delete them there",
        ),
        (
            "INSERT INTO currencies VALUES ('XXX', 'x', 2)",
            f"the reference table currencies has 1 rows on {NEW}",
            "make them equal, or empty it there",
        ),
        ("CREATE SCHEMA shardproxy", f'{NEW}: the schema "shardproxy" is not ours', "rename that schema"),
    ],
)
def test_what_differs_is_named_and_nothing_is_changed(
    growing: Growing, sql: str, what: str, remedy: str
) -> None:
    undo = {
        "ALTER TABLE orders ADD extra int": "ALTER TABLE orders DROP extra",
        f"REVOKE UPDATE, DELETE ON orders FROM {APP_USER}": f"GRANT UPDATE, DELETE ON orders TO {APP_USER}",
    }
    growing.query(sql)
    try:
        ((found, how),) = in_the_way(growing).items()
        assert found.startswith(what)
        assert how.startswith(remedy)
        assert NEW not in current(growing)
    finally:
        growing.query(undo.get(sql, "SELECT 1"))


def test_empty_reference_tables_are_named_unless_they_are_to_be_filled(growing: Growing) -> None:
    ((what, remedy),) = in_the_way(growing, copy_reference=False).items()
    assert what.startswith(f"the reference table currencies has 0 rows on {NEW} and ")
    assert remedy == "--copy-reference copies them"
    run(growing.add())
    rows = "SELECT string_agg(c::text, '' ORDER BY currency) FROM currencies AS c"
    assert growing.query(rows) == growing.installed.cluster.shards[0].primary.query(rows, dbname=DATABASE)
    run(membership.remove(growing.installation, NEW))


def test_another_shards_server_is_not_taken_for_a_new_one(growing: Growing) -> None:
    specs = dict(growing.installation.shards)
    specs[NEW] = replace(specs["shard-b"], name=NEW)
    installation = replace(growing.installation, shards=specs)
    change = run(membership.add(installation, NEW, APP_USER, dry_run=True))
    assert [each.what for each in change.obstacles] == [
        f'the server at the address of {NEW} is shard "shard-b" of this installation'
    ]


def test_an_addition_that_stopped_before_the_map_is_repeated_or_taken_back(growing: Growing) -> None:
    run(growing.add())
    run(membership.remove(growing.installation, NEW))
    installation = growing.installation

    async def stopped() -> None:
        async with growing.installed.operator() as catalog:
            shard_map = await maps.read(catalog)
            await membership._install_fence(installation, catalog, NEW, APP_USER, shard_map)

    run(stopped())
    run(membership.remove(installation, NEW))
    assert growing.query("SELECT count(*) FROM pg_namespace WHERE nspname = 'shardproxy'") == "0"
    run(stopped())
    run(growing.add())
    assert current(growing)[-1] == NEW
    run(membership.remove(installation, NEW))


def test_a_shard_that_owns_something_stays(growing: Growing) -> None:
    def removing(name: str) -> list[str]:
        return [
            each.what for each in run(membership.remove(growing.installation, name, dry_run=True)).obstacles
        ]

    a, b = removing("shard-a"), removing("shard-b")
    assert a[:2] == ["shard-a has the catalog", "shard-a is the designated shard"]
    assert a[-1] == "the table audit is local to shard-a"
    assert b[0].startswith("shard-b owns ")
    assert b[1] == "1 placements are on shard-b"


def test_a_map_with_and_without_a_shard() -> None:
    before = shard_map()
    more = with_shard(before, "d", 3)
    assert (more.shards, more.weights, more.absent) == (("a", "b", "c", "d"), (1, 1, 1, 3), frozenset())
    assert more.owners == before.owners
    assert same(without_shard(more, "d", "a"), before)
    with pytest.raises(Obstructed, match="cannot be removed"):
        without_shard(more, "b", "a")


def test_a_shard_in_the_middle_goes_and_the_others_keep_what_they_have() -> None:
    before = shard_map()
    owners = array("H", (2 if owner == 1 else owner for owner in before.owners))
    placements = dict.fromkeys(before.placements, 2)
    rules = {name: rule for name, rule in before.tables.rules.items() if name[1] != "audit"}
    empty = replace(before, owners=owners, placements=placements, tables=replace(before.tables, rules=rules))
    after = without_shard(empty, "b", "a")
    assert after.shards == ("a", "c")
    assert {after.shards[owner] for owner in after.owners} == {"a", "c"}
    assert [after.shards[owner] for owner in after.owners] == [empty.shards[owner] for owner in empty.owners]
    assert set(after.placements.values()) == {1}
    moving = replace(empty, moves=(Moving(7, 0, 2),))
    with pytest.raises(Obstructed, match="1 obstacle"):
        without_shard(moving, "b", "a")

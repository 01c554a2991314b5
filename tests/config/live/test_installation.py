"""What ``check --live`` finds about fences and the catalog, on an installation."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from shardproxy.demo.cluster import DATABASE
from shardproxy.demo.postgres import Install, Run
from shardproxy.topology.moves import Moving
from tests.config.live.conftest import Check
from tests.support import cluster as clusters
from tests.support.aio import run
from tests.support.installed import Installed, placed


@pytest.fixture(scope="module")
def installed(install: Install) -> Iterator[Installed]:
    with Run(install) as run:
        yield Installed.make(clusters.start(run))


@pytest.fixture
def config(installed: Installed) -> dict[str, Any]:
    return deepcopy(installed.config())


def sql(installed: Installed, shard: int, text: str) -> str:
    return installed.cluster.shards[shard].primary.query(text, dbname=DATABASE)


def test_an_installation_that_agrees(check: Check, config: dict[str, Any]) -> None:
    assert check(config)[0] == []


def test_differences_from_the_catalog(check: Check, config: dict[str, Any]) -> None:
    config["tables"]["audit"] = "reference"
    config["placements"] = {}
    mistakes, warnings = check(config)
    assert "tables.audit: is a reference table here and local to shard-a in the catalog" in mistakes
    assert "shards: differs from the catalog, which counts: 2 placements differ" in warnings


def test_rows_are_where_the_catalog_says(check: Check, config: dict[str, Any], installed: Installed) -> None:
    """The configuration's placements are wishes; a tenant that has moved is not misplaced."""
    config["placements"] = {}
    assert not any("row(s) on shard" in mistake for mistake in check(config)[0])
    tenant = installed.cluster.tenants_of(0)[0]
    run(installed.publish(placed(tenant, 1), 0, 1))
    try:
        mistakes = check(config)[0]
        assert any("row(s) on shard 'shard-a' belong to other shards" in mistake for mistake in mistakes)
    finally:
        run(installed.publish(placed(tenant, 0), 0, 1))


def test_what_a_move_has_on_both_shards_is_not_misplaced_and_the_rest_is_counted(
    check: Check, config: dict[str, Any], installed: Installed
) -> None:
    moved, other = installed.cluster.tenants_of(0)[:2]
    for change in (placed(moved, 1), placed(other, 1)):
        run(installed.publish(change, 0, 1))
    move = Moving(7, 0, 1, keys=frozenset((("tenant", moved.encode()),)), moved=True)
    run(installed.publish(lambda old: replace(old, moves=(move,)), 0, 1))
    try:
        (of_tenants,) = [each for each in check(config)[0] if each.startswith("tables.tenants:")]
        assert "1 row(s) on shard 'shard-a' belong to other shards" in of_tenants
    finally:
        run(installed.publish(lambda old: replace(old, moves=()), 0, 1))
        for change in (placed(moved, 0), placed(other, 0)):
            run(installed.publish(change, 0, 1))


def test_a_shard_of_another_installation(check: Check, config: dict[str, Any], installed: Installed) -> None:
    before = sql(installed, 1, "SELECT installation FROM shardproxy.shard")
    sql(installed, 1, "UPDATE shardproxy.shard SET installation = gen_random_uuid()")
    try:
        (mistake,) = check(config)[0]
        assert mistake.startswith("shards[1].primary: 127.0.0.1:")
        assert "is shard 'shard-b' of installation" in mistake
    finally:
        sql(installed, 1, f"UPDATE shardproxy.shard SET installation = '{before}'")


def test_a_shard_without_a_fence(check: Check, config: dict[str, Any], installed: Installed) -> None:
    sql(installed, 2, "ALTER SCHEMA shardproxy RENAME TO away")
    try:
        assert any(mistake.endswith("has no fence; run shardproxy init") for mistake in check(config)[0])
    finally:
        sql(installed, 2, "ALTER SCHEMA away RENAME TO shardproxy")


def test_a_fence_or_a_catalog_that_came_from_a_backup(
    check: Check, config: dict[str, Any], installed: Installed
) -> None:
    run(installed.publish(lambda old: old, 1))
    oldest, newest = sql(installed, 1, "SELECT oldest_epoch, newest_epoch FROM shardproxy.shard").split("|")
    for change, expected in (
        (f"newest_epoch = {int(newest) - 1}", "was it restored from a backup?"),
        (
            f"(oldest_epoch, newest_epoch) = ({int(newest) + 1}, {int(newest) + 1})",
            "was the catalog restored",
        ),
    ):
        sql(installed, 1, f"UPDATE shardproxy.shard SET {change}")
        try:
            (mistake,) = check(config)[0]
            assert expected in mistake
        finally:
            restored = f"(oldest_epoch, newest_epoch) = ({oldest}, {newest})"
            sql(installed, 1, f"UPDATE shardproxy.shard SET {restored}")


def test_a_catalog_that_is_elsewhere(check: Check, config: dict[str, Any]) -> None:
    config["catalog"] = {"shard": "shard-b"}
    (mistake,) = check(config)[0]
    assert mistake == "catalog.shard: there is no catalog on shard-b; it is on shard-a"


def test_a_role_that_was_granted_nothing(check: Check, config: dict[str, Any], installed: Installed) -> None:
    sql(installed, 1, "REVOKE SELECT ON shardproxy.shard FROM app")
    try:
        (mistake,) = check(config)[0]
        assert mistake.endswith("permission denied for table shard; run shardproxy init, which grants it")
    finally:
        sql(installed, 1, "GRANT SELECT ON shardproxy.shard TO app")

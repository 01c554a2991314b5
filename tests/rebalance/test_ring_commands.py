"""``shardproxy rebalance``, ``shard`` and ``tenant pin``: what they print, for people and as JSON, and how they end."""

import json
import os
import signal
from collections.abc import Callable, Iterator

import pytest
from typer.testing import Result

from shardproxy.topology.keys import BUCKETS, bucket
from tests.rebalance.installed import Installed
from tests.rebalance.mover import Mover
from tests.support import sample
from tests.support.rest import wait_until

Shardproxy = Callable[..., Result]
MANNER = ("--grace", "1", "--batch-buckets", str(BUCKETS))


@pytest.fixture
def ring(installed: Installed, shardproxy: Shardproxy) -> Iterator[Installed]:
    """The shared installation, which is as it was before when the test is done."""
    before = installed.map()
    yield installed
    for name, weight in zip(before.shards, before.weights, strict=True):
        shardproxy("shard", "weight", name, str(weight), "--no-rebalance")
    assert shardproxy("rebalance", "--by", "ring", *MANNER).exit_code == 0
    for (_, key), owner in before.placements.items():
        shardproxy("tenant", "pin", str(key, "utf-8"), "--to", before.shards[owner], "--grace", "1")  # type: ignore[arg-type]
    assert (installed.map().owners, installed.map().placements) == (before.owners, before.placements)


def test_shards_are_listed(installed: Installed, shardproxy: Shardproxy) -> None:
    lines = shardproxy("shard", "list").stdout.splitlines()
    assert len(lines) == 4
    buckets = installed.map().owners.count(0)
    assert lines[1].split()[:3] == ["shard-a", "1", f"{buckets:,}"]
    assert "up, epochs" in lines[1]
    assert lines[1].endswith("catalog, designated, local audit")
    found = json.loads(shardproxy("shard", "list", "--json").stdout)["shards"]
    assert [each["aimed"] for each in found] == [each["buckets"] for each in found]
    placed = list(installed.map().placements.values())
    assert [each["placed"] for each in found] == [placed.count(shard) for shard in range(3)]
    assert found[0]["primary"]["failure"] is None


def test_a_weight_is_published_planned_and_followed(ring: Installed, shardproxy: Shardproxy) -> None:
    epoch = ring.map().epoch
    dry = shardproxy("shard", "weight", "shard-b", "2", "--dry-run")
    assert dry.exit_code == 0, dry.stderr
    assert dry.stdout.splitlines()[1].split()[:3] == ["shard-a", "shard-b", "2"]
    assert ring.map().epoch == epoch
    said = shardproxy("shard", "weight", "shard-b", "2", "--no-rebalance").stdout
    assert said.splitlines()[0] == f"shard-b has weight 2 in epoch {epoch + 1}"
    pending = sum(a != b for a, b in zip(ring.map().aim(), ring.map().owners, strict=True))
    assert said.splitlines()[1] == f"{pending} buckets are to be moved: shardproxy rebalance"
    plan = json.loads(shardproxy("rebalance", "--dry-run", "--json").stdout)
    assert (plan["ok"], plan["buckets"], plan["obstacles"]) == (True, pending, [])
    assert plan["rows"] == sum(each["rows"] for each in plan["batches"]) > 0
    result = shardproxy("rebalance", *MANNER)
    assert result.exit_code == 0, result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["move", "move"]
    assert f"all: 0 of {pending:,} buckets" in result.stderr
    assert ring.map().owners == ring.map().aim()
    assert shardproxy("rebalance").stdout == "there is nothing to move\n"
    assert ring.left_behind() == []


def test_a_shard_is_drained_and_what_is_in_the_way_of_it_is_named(
    ring: Installed, shardproxy: Shardproxy
) -> None:
    epoch = ring.map().epoch
    refused = shardproxy("shard", "drain", "shard-a")
    assert refused.exit_code == 1
    for words in ("has the catalog", "the designated one", "local tables: audit"):
        assert words in refused.stderr
    assert ring.map().epoch == epoch
    plan = json.loads(shardproxy("shard", "drain", "shard-c", "--dry-run", "--json").stdout)
    there = [place for place, owner in ring.map().placements.items() if owner == 2]
    assert (plan["ok"], plan["keys"]) == (True, len(there))
    result = shardproxy("shard", "drain", "shard-c", *MANNER, "--parallel", "2")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "shard-c is empty: it may be removed"
    assert ring.map().owners.count(2) == 0
    assert there
    assert ring.map().placements.keys().isdisjoint(there)
    assert 2 not in ring.map().placements.values()
    for table in ("orders", "readings", "docs"):
        assert ring.query("shard-c", f"SELECT count(*) FROM {table}") == [(0,)]
    assert ring.left_behind() == []


def test_ctrl_c_in_the_middle_says_that_the_same_command_goes_on(
    ring: Installed, shardproxy: Shardproxy
) -> None:
    shardproxy("shard", "weight", "shard-b", "2", "--no-rebalance")
    with Mover(ring, "rebalance", *MANNER, fail="copy.slot:stop") as mover:
        mover.wait_until_stopped()
        os.kill(mover.process.pid, signal.SIGINT)
        mover.go_on()
        _, errors = mover.process.communicate(timeout=30)
    assert mover.process.returncode == 130, errors
    move = ring.newest_move()
    assert f"move {move} is stopped; it goes on with:  shardproxy rebalance\n" in errors.decode()
    with Mover(ring, "rebalance", *MANNER) as mover:
        assert [each["state"] for each in mover.result()["moves"]] == ["done", "done"]
    assert ring.map().owners == ring.map().aim()
    wait_until(lambda: not ring.left_behind(), "nothing is left behind")


@pytest.mark.parametrize("point", ["announce.told", "flip.published"])
def test_after_a_kill_the_same_command_goes_on(ring: Installed, shardproxy: Shardproxy, point: str) -> None:
    shardproxy("shard", "weight", "shard-b", "2", "--no-rebalance")
    with Mover(ring, "rebalance", *MANNER, fail=f"{point}:kill") as mover:
        mover.wait_until_killed()
    killed = ring.newest_move()
    with Mover(ring, "rebalance", *MANNER) as mover:
        moves = mover.result()["moves"]
    assert [each["move"] for each in moves] == [killed, killed + 1]
    assert ring.map().owners == ring.map().aim()
    wait_until(lambda: not ring.left_behind(), "nothing is left behind")


def test_by_size_and_by_load(ring: Installed, shardproxy: Shardproxy) -> None:
    load = shardproxy("rebalance", "--by", "load", "--json")
    assert (load.exit_code, json.loads(load.stdout)["sqlstate"]) == (1, "0A000")
    assert shardproxy("rebalance", "--by", "size", "--tolerance", "much").exit_code == 2
    dry = shardproxy("rebalance", "--by", "size", "--dry-run", "--json", "--tolerance", "5%")
    plan = json.loads(dry.stdout)
    assert [each["shard"] for each in plan["shards"]] == ["shard-a", "shard-b", "shard-c"]
    assert sum(each["after"] for each in plan["shards"]) == sum(each["bytes"] for each in plan["shards"])
    assert plan["buckets"] > 0
    said = json.loads(shardproxy("rebalance", "--by", "size", "--tolerance", "5%", *MANNER, "--json").stdout)
    assert said["ok"] is True
    assert sum(len(each["buckets"]) for each in said["moves"]) == plan["buckets"]
    stays = shardproxy("rebalance", "--dry-run").stdout
    assert stays.startswith("there is nothing to move\n")
    assert f"{plan['buckets']} buckets stay where rebalance --by size has put them" in stays
    back = json.loads(shardproxy("rebalance", "--by", "ring", "--dry-run", "--json").stdout)
    assert (back["buckets"], back["evened"]) == (plan["buckets"], plan["buckets"])


def test_a_tenant_is_pinned_and_unpinned(ring: Installed, shardproxy: Shardproxy) -> None:
    before = {key.decode() for _, key in ring.map().placements if isinstance(key, bytes)}
    name = next(tenant for tenant in sample.tenants() if tenant not in before)
    home = ring.where(name)
    assert shardproxy("tenant", "pin", name).stdout == f"{name} is on {home}, placed\n"
    assert shardproxy("tenant", "pin", name).stdout == f"{name} is on {home} already, placed\n"
    assert "placed there" in shardproxy("tenant", "show", name).stdout
    listed = json.loads(shardproxy("tenant", "list", "--json").stdout)["tenants"]
    assert {each["tenant"] for each in listed if each["placed"]} == before | {name}
    said = json.loads(shardproxy("tenant", "unpin", name, "--json").stdout)
    assert (said["shard"], said["placed"], said["changed"], said["moves"]) == (home, False, True, [])
    away = next(tenant for tenant in sorted(before) if ring.where(tenant) != home_of(ring, tenant))
    lines = shardproxy("tenant", "unpin", away, "--grace", "1").stdout.splitlines()
    assert lines[0].startswith("move ")
    assert lines[1].endswith("not placed: it is where its bucket is")


def home_of(installed: Installed, tenant: str) -> str:
    """The shard of a tenant's bucket."""
    shard_map = installed.map()
    return shard_map.shards[shard_map.owners[bucket(sample.FAMILIES["tenant"], tenant.encode())]]

"""A series of moves towards the ring: on with it after a stop, beside others, and past what is placed."""

import asyncio

import pytest

from shardproxy.catalog.journal import Buckets, Keys
from shardproxy.demo.postgres import Server
from shardproxy.errors import ShardproxyError
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance import sizes
from shardproxy.rebalance.aims import set_evened, set_weight
from shardproxy.rebalance.by_size import run_by_size
from shardproxy.rebalance.drain import drain, plan_drain
from shardproxy.rebalance.move import Outcome
from shardproxy.rebalance.obstacles import Obstructed
from shardproxy.rebalance.plan import Size
from shardproxy.rebalance.progress import Progress, Report, silent
from shardproxy.rebalance.ring import Goal, Limits, to_aim
from shardproxy.rebalance.series import Manner, plan_series, run_series
from shardproxy.topology.keys import BUCKETS, KeyFamily, bucket
from shardproxy.topology.tables import Local, Sharded
from tests.rebalance.installed import QUICK
from tests.rebalance.listening import At
from tests.rebalance.pair import ORDERS, Pair
from tests.support.aio import run

DEVICES = "CREATE TABLE devices (device_id bigint PRIMARY KEY, model text);"
AUDIT = "CREATE TABLE audit (id int);"
TENANTS = 120
WHOLE = Manner(QUICK, Limits(buckets=BUCKETS))
SMALL = Manner(QUICK, Limits(buckets=4096))


class Stopped(Exception):
    """What a test raises in the middle of a series."""


def stop() -> None:
    raise Stopped


@pytest.fixture
def pair(servers: tuple[Server, Server]) -> Pair:
    """Everything is on ``left``, and ``right`` has no weight yet."""
    rules = {"orders": Sharded("tenant_id", "tenant"), "devices": Sharded("device_id", "device")}
    pair = Pair.create(servers, ORDERS + DEVICES, dict(rules))
    pair.query(
        "left",
        "INSERT INTO orders SELECT 't' || t, i, repeat('x', t) FROM generate_series(1, %s) AS t, "
        "generate_series(1, 3) AS i",
        TENANTS,
    )
    pair.query("left", "INSERT INTO devices SELECT d, 'x' FROM generate_series(1, 50) AS d")
    return pair


def weigh(pair: Pair, name: str, weight: int) -> None:
    run(set_weight(pair.installation(), name, weight))


def rebalanced(pair: Pair, manner: Manner = WHOLE, report: Report = silent) -> list[Outcome]:
    return run(run_series(pair.installation(), to_aim, manner, report), 120)


def check_rows(pair: Pair) -> None:
    """Every row is on its shard, and none is lost."""
    shard_map = pair.map()
    found = {
        name: pair.query(name, "SELECT DISTINCT tenant_id, count(*) FROM orders GROUP BY 1")
        for name in ("left", "right")
    }
    assert sorted(tenant for rows in found.values() for tenant, _ in rows) == sorted(
        f"t{number}" for number in range(1, TENANTS + 1)
    )
    for name, rows in found.items():
        for tenant, count in rows:
            owner = shard_map.owner("tenant", KeyFamily.TEXT, tenant.encode())
            assert (shard_map.shards[owner], count) == (name, 3)
    devices = {name: pair.query(name, "SELECT device_id FROM devices") for name in ("left", "right")}
    for name, rows in devices.items():
        for (device,) in rows:
            assert shard_map.shards[shard_map.owner("device", KeyFamily.INTEGER, device)] == name
    assert sum(map(len, devices.values())) == 50


def test_a_weight_moves_the_rings_share_of_every_group_and_nothing_else(pair: Pair) -> None:
    pair.move(Keys("tenant", ("t1",)))
    placed = {("tenant", b"t1"): 1}
    weigh(pair, "right", 1)
    epoch = pair.map().epoch
    assert pair.map().owners.count(1) == 0
    goal = to_aim(pair.map())
    said: list[Progress] = []
    outcomes = rebalanced(pair, SMALL, said.append)
    assert pair.map().owners == pair.map().aim()
    assert sorted(number for each in outcomes for number in each.what.buckets) == sorted(goal.buckets)  # type: ignore[union-attr]
    assert len(outcomes) == -(-len(goal.buckets) // 4096) > 1
    assert all(each.verified == "exact" for each in outcomes)
    assert pair.map().placements == placed
    assert pair.map().epoch > epoch
    assert (
        sum(each.rows for each in outcomes)
        == sum(pair.query("right", f"SELECT count(*) FROM {table}")[0][0] for table in ("orders", "devices"))
        - 3
    )
    check_rows(pair)
    assert pair.left_behind() == []
    overall = [each.overall for each in said if each.overall is not None]
    assert [each.rows for each in overall] == sorted(each.rows for each in overall)
    assert overall[-1].buckets < overall[-1].total_buckets == len(goal.buckets)
    assert overall[-1].rows == overall[-1].total_rows
    assert 0 < overall[-1].share <= 1
    assert rebalanced(pair) == []


def test_the_sizes_are_those_of_the_rows(pair: Pair) -> None:
    pair.move(Keys("tenant", ("t1",)))
    pair.query("right", "INSERT INTO orders VALUES ('t2', 99, 'misplaced')")
    shard_map = pair.map()
    found = run(sizes.measure(pair.installation(), shard_map, sizes.everything(shard_map), silent), 60)
    assert found.keys[("tenant", b"t1")].rows == 3
    total = sum((*found.buckets.values(), *found.keys.values()), Size())
    assert total.rows == 3 * TENANTS + 50
    at_home = bucket(KeyFamily.TEXT, b"t7")
    beside = [t for t in range(1, TENANTS + 1) if bucket(KeyFamily.TEXT, b"t%d" % t) == at_home]
    width = "SELECT sum(pg_column_size(tenant_id) + pg_column_size(id) + pg_column_size(note)) FROM orders "
    of_rows = pair.query("left", width + "WHERE tenant_id = ANY (%s)", [f"t{t}" for t in beside])[0][0]
    devices = [d for d in range(1, 51) if bucket(KeyFamily.INTEGER, d) == at_home]
    assert found.buckets[at_home].bytes == of_rows + sum(8 + 2 for _ in devices)
    only = run(sizes.measure(pair.installation(), shard_map, Goal({at_home: 1}), silent), 60)
    assert only.buckets == {at_home: found.buckets[at_home]}


@pytest.mark.parametrize("step", ["copy", "fence", "clean"])
def test_after_a_stop_the_same_command_goes_on(pair: Pair, step: str) -> None:
    weigh(pair, "right", 1)
    with pytest.raises(Stopped):
        rebalanced(pair, SMALL, At(step, stop))
    first, _ = run(rebalance.read(pair.installation(), 1))
    assert not first.has_ended
    outcomes = rebalanced(pair, SMALL)
    assert outcomes[0].number == 1
    assert pair.map().owners == pair.map().aim()
    check_rows(pair)
    assert pair.left_behind() == []


def test_what_somebody_else_changes_meanwhile_is_taken_up(pair: Pair) -> None:
    """In the middle of the first batch a tenant is pinned to where it is, and the weight is taken back."""
    weigh(pair, "right", 1)
    back = At("follow", lambda: asyncio.create_task(set_weight(pair.installation(), "right", 0)))
    rebalanced(pair, SMALL, back)
    assert back.happened
    assert pair.map().weights == (1, 0)
    assert pair.map().owners.count(1) == 0
    check_rows(pair)


def test_some_at_a_time(pair: Pair) -> None:
    weigh(pair, "right", 1)
    under_way: set[int] = set()
    most = 0

    def report(progress: Progress) -> None:
        nonlocal most
        if progress.move is not None:
            (under_way.discard if progress.step == "done" else under_way.add)(progress.move)
            most = max(most, len(under_way))

    outcomes = rebalanced(pair, Manner(QUICK, Limits(buckets=2048), 3), report)
    assert len(outcomes) >= 4
    assert most == 3
    check_rows(pair)
    assert pair.left_behind() == []


def test_one_that_cannot_go_on_stops_the_series_and_leaves_the_others_whole(pair: Pair) -> None:
    """The table is locked by the moves beside it, so it is altered when they allow it."""
    weigh(pair, "right", 1)
    alter = asyncio.to_thread(pair.query, "right", "ALTER TABLE orders ADD extra int")
    broken = At("follow", lambda: asyncio.create_task(alter), "close")
    with pytest.raises(ShardproxyError):
        rebalanced(pair, Manner(QUICK, Limits(buckets=2048), 2), broken)
    pair.query("left", "ALTER TABLE orders ADD extra int")
    rebalanced(pair, Manner(QUICK, Limits(buckets=2048), 2))
    check_rows(pair)
    assert pair.left_behind() == []


def test_a_plan_changes_nothing_and_names_what_is_in_the_way(pair: Pair) -> None:
    weigh(pair, "right", 1)
    epoch = pair.map().epoch
    plan = run(plan_series(pair.installation(), to_aim, SMALL))
    assert plan.obstacles == ()
    assert plan.size.rows == sum(each.size.rows for each in plan.batches) > 0
    pair.query("right", "ALTER TABLE orders DROP COLUMN note")
    plan = run(plan_series(pair.installation(), to_aim, SMALL))
    assert "orders.note" in str(plan.obstacles)
    with pytest.raises(Obstructed):
        rebalanced(pair)
    assert pair.map().epoch == epoch
    assert pair.query("left", "SELECT count(*) FROM shardproxy.move") == [(0,)]


def test_a_drained_shard_is_empty(pair: Pair) -> None:
    weigh(pair, "right", 1)
    rebalanced(pair)
    here, other = tenants_of(pair, "right")[:2], tenants_of(pair, "left")[0]
    pair.move(Keys("tenant", (other,)))
    for tenant in here:
        pair.query("right", "INSERT INTO orders VALUES (%s, 4)", tenant)
        pair.query("right", "DELETE FROM orders WHERE tenant_id = %s AND id = 4", tenant)
    drained = run(drain(pair.installation(), "right", WHOLE, silent), 120)
    assert drained.rows == ()
    kinds = [type(each.what) for each in drained.moves]
    assert kinds == [Buckets, Keys]
    assert pair.map().weights == (1, 0)
    assert pair.map().owners.count(1) == 0
    assert pair.map().placements == {}
    check_rows(pair)
    assert pair.left_behind() == []


def tenants_of(pair: Pair, name: str) -> list[str]:
    return [row[0] for row in pair.query(name, "SELECT DISTINCT tenant_id FROM orders ORDER BY 1")]


def test_a_shard_with_more_than_buckets_on_it_is_not_drained(servers: tuple[Server, Server]) -> None:
    rules = {"orders": Sharded("tenant_id", "tenant"), "audit": Local("right")}
    pair = Pair.create(servers, ORDERS + AUDIT, dict(rules))
    weigh(pair, "right", 1)
    epoch = pair.map().epoch
    for name, words in (
        ("left", ["has the catalog", "is the designated one"]),
        ("right", ["local tables: audit"]),
    ):
        for refused in (drain, plan_drain):
            with pytest.raises(Obstructed) as obstructed:
                run(refused(pair.installation(), name, WHOLE, silent))
            assert len(obstructed.value.obstacles) == len(words)
            assert all(word in str(obstructed.value.detail) for word in words)
    with pytest.raises(ShardproxyError, match="unknown"):
        run(drain(pair.installation(), "middle", WHOLE, silent))
    assert pair.map().epoch == epoch


def test_what_nobody_owns_on_a_drained_shard_is_told(pair: Pair) -> None:
    pair.query("right", "INSERT INTO devices VALUES (1, 'misplaced')")
    assert run(drain(pair.installation(), "right", WHOLE, silent), 60).rows == ("devices",)


def test_the_last_weight_cannot_be_taken(pair: Pair) -> None:
    with pytest.raises(ShardproxyError, match="the only shard with a weight"):
        weigh(pair, "left", 0)
    with pytest.raises(ShardproxyError, match="unknown"):
        weigh(pair, "middle", 1)
    epoch = pair.map().epoch
    weigh(pair, "left", 1)
    assert pair.map().epoch == epoch


def test_shards_are_evened_out_by_size_and_the_ring_leaves_it_so(pair: Pair) -> None:
    weigh(pair, "right", 1)
    rebalanced(pair)
    big = tenants_of(pair, "left")[:10]
    pair.query(
        "left",
        "INSERT INTO orders SELECT t, i, repeat('y', 100) FROM unnest(%s::text[]) AS t, "
        "generate_series(10, 60) AS i",
        big,
    )
    measured, outcomes = run(run_by_size(pair.installation(), 0.1, WHOLE, silent), 120)
    assert measured.evened.even
    assert outcomes
    shard_map = pair.map()
    found = run(sizes.measure(pair.installation(), shard_map, sizes.everything(shard_map), silent), 60)
    loads = [0, 0]
    for number, size in found.buckets.items():
        loads[shard_map.owners[number]] += size.bytes
    assert tuple(loads) == measured.evened.after
    assert abs(loads[0] - loads[1]) <= 0.2 * sum(loads) / 2
    assert rebalanced(pair) == []
    assert run(run_by_size(pair.installation(), 0.1, WHOLE, silent), 60)[1] == []
    run(set_evened(pair.installation(), frozenset()))
    assert sorted(to_aim(pair.map()).buckets) == sorted(measured.evened.targets)
    rebalanced(pair)
    assert pair.map().owners == pair.map().ring()

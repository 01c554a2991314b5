"""Stopping a move and going on with it, undoing it, and several at the same time."""

import asyncio
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from shardproxy.catalog.journal import Keys
from shardproxy.catalog.locks import CLASS_MOVER
from shardproxy.demo.postgres import Server
from shardproxy.errors import ShardproxyError
from shardproxy.rebalance import connections
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.connections import Busy
from shardproxy.rebalance.driver import ForwardOnly
from shardproxy.rebalance.installation import Installation
from shardproxy.rebalance.obstacles import Obstructed
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.progress import Progress
from shardproxy.rebalance.steps import ORDER, Step
from tests.rebalance.installed import QUICK
from tests.rebalance.listening import At
from tests.rebalance.pair import ORDERS, PASSWORD, Pair
from tests.support.aio import run

BEFORE_THE_FLIP = [step.value for step in ORDER[: ORDER.index(Step.FLIP) + 1]]
AFTER_IT = [step.value for step in ORDER[ORDER.index(Step.VERIFY) : -1] if step is not Step.SOAK]
"""Without a rollback window a move does not soak."""


class Stopped(Exception):
    """What a test raises in the middle of a move."""


def stop() -> None:
    raise Stopped


@pytest.fixture
def pair(servers: tuple[Server, Server]) -> Pair:
    pair = Pair.create(servers)
    pair.query("left", "INSERT INTO orders SELECT 'acme', i, 'x' FROM generate_series(1, 100) AS i")
    return pair


def stopped_at(pair: Pair, step: str) -> None:
    with pytest.raises(Stopped):
        pair.move("acme", report=At(step, stop))
    move, entries = run(rebalance.read(pair.installation(), 1))
    assert (move.step, move.failure) == (step, "Stopped")
    assert entries[-1].what == "Stopped"


@pytest.mark.parametrize("step", BEFORE_THE_FLIP)
def test_before_the_flip_a_move_can_be_undone_or_gone_on_with(pair: Pair, step: str) -> None:
    stopped_at(pair, step)
    assert pair.query("left", "SELECT state FROM shardproxy.moving WHERE state <> 'moving'") == []
    outcome = run(rebalance.abort(pair.installation(), 1), 60)
    assert outcome.state == "aborted"
    assert pair.left_behind() == []
    assert pair.query("right", "SELECT count(*) FROM orders") == [(0,)]
    assert (pair.map().moves, pair.map().placements) == ((), {})
    assert run(rebalance.abort(pair.installation(), 1), 60).state == "aborted"
    [again] = pair.move("acme")
    assert (again.number, again.state, again.rows) == (2, "done", 100)


@pytest.mark.parametrize("step", AFTER_IT)
def test_after_the_flip_a_move_only_goes_forward(pair: Pair, step: str) -> None:
    stopped_at(pair, step)
    with pytest.raises(ForwardOnly) as refused:
        run(rebalance.abort(pair.installation(), 1), 60)
    assert "can only go forward" in refused.value.message
    assert run(rebalance.resume(pair.installation(), 1), 60).state == "done"
    assert pair.left_behind() == []
    assert pair.query("left", "SELECT count(*) FROM orders") == [(0,)]
    assert pair.query("right", "SELECT count(*) FROM orders") == [(100,)]
    with pytest.raises(ForwardOnly):
        run(rebalance.abort(pair.installation(), 1), 60)
    assert run(rebalance.resume(pair.installation(), 1), 60).state == "done"


def test_one_process_drives_a_move(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PREDECESSOR_TIMEOUT", 0.2)
    stopped_at(pair, "copy")
    with psycopg.connect(pair.servers[0].dsn(dbname=pair.database)) as other:
        other.execute("SELECT pg_advisory_lock(%s, 1)", (CLASS_MOVER,))
        with pytest.raises(Busy) as busy:
            run(rebalance.resume(pair.installation(), 1), 60)
        assert f"pid {other.info.backend_pid}" in busy.value.message


def test_a_move_that_does_not_exist(pair: Pair) -> None:
    with pytest.raises(ShardproxyError) as unknown:
        run(rebalance.resume(pair.installation(), 7), 60)
    assert unknown.value.sqlstate == "P0002"


def test_without_a_catalog_there_are_no_moves(pair: Pair) -> None:
    installation = pair.installation()
    elsewhere = Installation(installation.shards, "right")
    with pytest.raises(ShardproxyError) as missing:
        run(rebalance.newest(elsewhere, 10))
    assert missing.value.message == 'there is no catalog on shard "right"'
    with pytest.raises(ShardproxyError):
        run(rebalance.move(elsewhere, Keys("tenant", ("acme",)), "right", QUICK))


def test_a_server_that_is_another_shard_is_not_touched(pair: Pair) -> None:
    """The addresses of the two shards have been mixed up since the move was begun."""
    stopped_at(pair, "copy")
    left, right = pair.installation().shards.values()
    mixed = {"left": left, "right": replace(right, primary=left.primary)}
    with pytest.raises(ShardproxyError) as wrong:
        run(rebalance.resume(Installation(mixed, "left"), 1))
    assert 'address of shard "right" is not that shard' in wrong.value.message
    assert run(rebalance.resume(pair.installation(), 1), 60).state == "done"


def test_who_is_slower_with_the_same_tenant_is_told_so_and_leaves_nothing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have looked for obstacles before either has announced its move."""
    installation = pair.installation()

    async def scenario() -> list[Any]:
        barrier = asyncio.Barrier(2)

        async def one() -> Any:
            return await rebalance.move(installation, Keys("tenant", ("acme",)), "right", QUICK)

        real = rebalance.make_plan

        async def plan(*arguments: Any) -> Any:
            made = await real(*arguments)
            await barrier.wait()
            return made

        monkeypatch.setattr(rebalance, "make_plan", plan)
        return await asyncio.gather(one(), one(), return_exceptions=True)

    outcomes = run(scenario(), 60)
    failed = [each for each in outcomes if isinstance(each, ShardproxyError)]
    assert len(failed) == 1
    assert "acme" in str(failed[0].detail or failed[0].message)
    assert pair.query("left", "SELECT state FROM shardproxy.move ORDER BY state") == [("aborted",), ("done",)]
    assert pair.left_behind() == []


def test_several_tenants_move_together_and_what_is_there_stays(pair: Pair) -> None:
    pair.query("left", "INSERT INTO orders VALUES ('globex', 1), ('initech', 1), ('hooli', 1)")
    pair.move("hooli")
    outcomes = pair.move(Keys("tenant", ("acme", "globex", "hooli")))
    assert [each.what for each in outcomes] == [Keys("tenant", ("acme", "globex"))]
    assert pair.query("left", "SELECT DISTINCT tenant_id FROM orders") == [("initech",)]
    assert pair.move("hooli") == []


def test_moves_in_both_directions_at_the_same_time(pair: Pair) -> None:
    pair.query(
        "left",
        "INSERT INTO orders SELECT 't' || t, i FROM generate_series(1, 6) AS t, generate_series(1, 50) AS i",
    )
    for tenant in ("t4", "t5"):
        pair.move(tenant)
    installation = pair.installation()

    async def scenario() -> None:
        moves = [(tenant, "right") for tenant in ("t1", "t2")] + [(tenant, "left") for tenant in ("t4", "t5")]
        await asyncio.gather(
            *(rebalance.move(installation, Keys("tenant", (tenant,)), to, QUICK) for tenant, to in moves)
        )

    run(scenario(), 60)
    assert pair.query("right", "SELECT tenant_id, count(*) FROM orders GROUP BY 1 ORDER BY 1") == [
        ("t1", 50),
        ("t2", 50),
    ]
    assert pair.query("left", "SELECT count(*) FROM orders WHERE tenant_id LIKE 't%'") == [(200,)]
    assert pair.left_behind() == []


def test_a_slot_waits_for_older_transactions_and_says_so(pair: Pair) -> None:
    said: list[str] = []
    with psycopg.connect(pair.servers[0].dsn(dbname=pair.database)) as old:
        old.execute("SELECT shardproxy.enter(0, NULL)")
        old.execute("SELECT pg_current_xact_id()")

        def note(progress: Progress) -> None:
            said.append(progress.what)
            if progress.what.startswith("waiting for 1 older transactions on left"):
                assert f"pid {old.info.backend_pid}" in progress.what
                old.commit()

        pair.move("acme", report=note)
    assert any(what.startswith("waiting for 1 older") for what in said)


def test_a_stream_that_is_lost_is_made_anew(pair: Pair) -> None:
    drop = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database();"
    lose = At("follow", lambda: pair.query("right", f"ALTER SUBSCRIPTION {SUBSCRIPTION} DISABLE"))
    gone = At("fence", stop)

    with pytest.raises(Stopped):
        pair.move("acme", report=lambda progress: (lose(progress), gone(progress)))
    assert lose.happened
    pair.query("left", drop)
    pair.query("right", f"ALTER SUBSCRIPTION {SUBSCRIPTION} DISABLE")
    pair.query(
        "left",
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()",
    )
    pair.query("left", "UPDATE orders SET note = 'y'")
    outcome = run(rebalance.resume(pair.installation(), 1), 60)
    assert outcome.verified == "exact"
    assert pair.query("right", "SELECT DISTINCT note FROM orders") == [("y",)]
    assert pair.left_behind() == []


SUBSCRIPTION = "shardproxy_move_1"


def test_changes_that_cannot_be_applied_stop_the_move_by_name(pair: Pair) -> None:
    block = At(
        "copy", lambda: pair.query("right", "INSERT INTO orders VALUES ('acme', 999, 'in the way')"), "copied"
    )
    clash = At("follow", lambda: pair.query("left", "INSERT INTO orders VALUES ('acme', 999, 'x')"))
    with pytest.raises(ShardproxyError) as failed:
        pair.move("acme", report=lambda progress: (block(progress), clash(progress)))
    assert "shard right cannot apply the changes" in failed.value.message
    assert run(rebalance.abort(pair.installation(), 1), 60).state == "aborted"
    assert pair.left_behind() == []


def test_a_schema_that_is_changed_on_one_shard_meanwhile_stops_the_move(pair: Pair) -> None:
    with pytest.raises(Obstructed) as obstructed:
        pair.move(
            "acme",
            report=At("follow", lambda: pair.query("right", "ALTER TABLE orders ADD extra int"), "close"),
        )
    assert "orders.extra" in str(obstructed.value.detail)
    pair.query("left", "ALTER TABLE orders ADD extra int")
    assert run(rebalance.resume(pair.installation(), 1), 60).state == "done"


@pytest.mark.parametrize(
    "change", ["TRUNCATE orders", "TRUNCATE orders; INSERT INTO orders VALUES ('acme', 7, 'new')"]
)
def test_a_table_that_is_truncated_meanwhile_without_triggers_is_copied_anew(pair: Pair, change: str) -> None:
    past_triggers = f"SET session_replication_role = replica; {change}"
    [outcome] = pair.move("acme", report=At("follow", lambda: pair.query("left", past_triggers), "close"))
    assert outcome.verified == "exact"
    rows = [] if change == "TRUNCATE orders" else [("acme", 7, "new")]
    assert pair.query("right", "SELECT * FROM orders") == rows
    assert pair.left_behind() == []


def test_an_operator_that_is_no_superuser(servers: tuple[Server, Server]) -> None:
    if servers[0].install.version < (16, 0):
        pytest.skip("PostgreSQL 15 lets only superusers create subscriptions")
    for server in servers:
        server.query(
            f"CREATE ROLE shop LOGIN; CREATE ROLE mover LOGIN PASSWORD '{PASSWORD}' REPLICATION"
            " IN ROLE pg_create_subscription, pg_signal_backend, pg_read_all_stats, shop;"
            "GRANT SET ON PARAMETER session_replication_role TO mover"
        )
    pair = Pair.create(
        servers,
        "GRANT ALL ON SCHEMA public TO shop;" + ORDERS + "ALTER TABLE orders OWNER TO shop",
        user="mover",
    )
    pair.query("left", "INSERT INTO orders SELECT 'acme', i, 'x' FROM generate_series(1, 100) AS i")
    at = At("follow", lambda: pair.query("left", "UPDATE orders SET note = 'y'"), "close")
    [outcome] = pair.move("acme", user="mover", report=at)
    assert outcome.verified == "exact"
    assert pair.query("right", "SELECT DISTINCT note, count(*) FROM orders GROUP BY 1") == [("y", 100)]
    assert pair.left_behind() == []


def test_a_rate_is_kept(pair: Pair) -> None:
    """100 rows at 100 a second, copied and deleted: about a second each. The first piece goes at once."""
    [outcome] = pair.move("acme", options=MoveOptions(grace=1, max_rate=100, batch=20))
    assert outcome.steps["clean"] > 0.7

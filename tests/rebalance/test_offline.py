"""Moves that follow no stream: the rows are held, copied, compared and given to the target; or given back."""

from collections.abc import Callable

import psycopg
import pytest

from shardproxy.backend.epoch import enter_script
from shardproxy.catalog.journal import Keys
from shardproxy.demo.postgres import Server
from shardproxy.errors import ShardproxyError
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.driver import ForwardOnly
from shardproxy.rebalance.obstacles import Obstructed
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.plan import make_plan
from shardproxy.rebalance.steps import OFFLINE, Step
from shardproxy.rebalance.verify import VerificationFailed
from tests.rebalance.listening import At
from tests.rebalance.pair import ORDERS, Pair
from tests.support.aio import run

HELD = MoveOptions(grace=1.0, patience=30.0, offline=True)
ROWS = "SELECT count(*) FROM orders WHERE tenant_id = 'acme'"
BEFORE_THE_FLIP = [step.value for step in OFFLINE[: OFFLINE.index(Step.FLIP) + 1]]


class Stopped(Exception):
    """What a test raises in the middle of a move."""


def stop() -> None:
    raise Stopped


@pytest.fixture
def pair(servers: tuple[Server, Server]) -> Pair:
    pair = Pair.create(servers)
    pair.query("left", "INSERT INTO orders SELECT 'acme', i, 'x' FROM generate_series(1, 100) AS i")
    return pair


def test_servers_without_logical_decoding_move_tenants_offline(new_server: Callable[..., Server]) -> None:
    settings = {"wal_level": "replica", "max_replication_slots": "0"}
    pair = Pair.create((new_server("left", settings=settings), new_server("right", settings=settings)))
    pair.query("left", "INSERT INTO orders SELECT 'acme', i, 'x' FROM generate_series(1, 100) AS i")
    with pytest.raises(Obstructed) as obstructed:
        pair.move("acme")
    assert "shard left: wal_level is replica" in str(obstructed.value.detail)
    assert "or move with --offline" in str(obstructed.value.detail)
    plan = run(make_plan(pair.installation(), Keys("tenant", ("acme",)), "right", HELD))
    assert plan.obstacles == ()
    assert plan.moves[0].held > 0.5
    [moved] = pair.move("acme", options=HELD)
    assert (moved.state, moved.verified, moved.rows) == ("done", "exact", 100)
    assert list(moved.steps) == [step.value for step in OFFLINE[:-1]]
    assert (pair.query("left", ROWS), pair.query("right", ROWS)) == ([(0,)], [(100,)])
    assert pair.left_behind() == []


def test_what_only_a_stream_minds_is_no_obstacle(servers: tuple[Server, Server]) -> None:
    ddl = "CREATE UNLOGGED TABLE orders (tenant_id text, id int, note text)"
    pair = Pair.create(servers, ddl)
    pair.query("left", "INSERT INTO orders SELECT 'acme', i, 'x' FROM generate_series(1, 100) AS i")
    with pytest.raises(Obstructed):
        pair.move("acme")
    assert pair.move("acme", options=HELD)[0].state == "done"
    assert (pair.query("left", ROWS), pair.query("right", ROWS)) == ([(0,)], [(100,)])


def test_there_is_no_way_back_from_an_offline_move(pair: Pair) -> None:
    with pytest.raises(ShardproxyError, match="no way back"):
        pair.move("acme", options=MoveOptions(offline=True, rollback_window=60))


def test_nobody_uses_the_rows_meanwhile(pair: Pair) -> None:
    """The guard tells a sidecar that has the map of the move."""
    refused: list[str] = []

    def use() -> None:
        with psycopg.connect(pair.servers[0].dsn(dbname=pair.database), autocommit=True) as sidecar:
            sidecar.execute(enter_script(pair.map().shard_epochs[0], None))
            try:
                sidecar.execute("CALL shardproxy.guard(1)")
            except psycopg.errors.DatabaseError as error:
                refused.append(error.sqlstate or "")

    asked = [At(step, use) for step in ("hold", "carry", "compare", "flip")]
    pair.move("acme", options=HELD, report=lambda progress: [at(progress) for at in asked] and None)
    assert all(at.happened for at in asked)
    assert refused == ["SP001"] * 3  # not before they were held


@pytest.mark.parametrize("step", BEFORE_THE_FLIP)
def test_before_the_flip_it_can_be_undone_or_gone_on_with(pair: Pair, step: str) -> None:
    for number, go_on in ((1, rebalance.abort), (2, rebalance.resume)):
        with pytest.raises(Stopped):
            pair.move("acme", options=HELD, report=At(step, stop))
        assert pair.query("left", "SELECT state FROM shardproxy.moving WHERE state <> 'moving'") == []
        outcome = run(go_on(pair.installation(), number), 60)
        assert pair.left_behind() == []
        assert pair.map().moves == ()
    assert outcome.verified == "exact"
    assert (pair.query("left", ROWS), pair.query("right", ROWS)) == ([(0,)], [(100,)])


@pytest.mark.parametrize("step", ["retire_source", "clean", "settle"])
def test_after_the_flip_it_only_goes_forward(pair: Pair, step: str) -> None:
    with pytest.raises(Stopped):
        pair.move("acme", options=HELD, report=At(step, stop))
    with pytest.raises(ForwardOnly):
        run(rebalance.abort(pair.installation(), 1), 60)
    assert run(rebalance.resume(pair.installation(), 1), 60).state == "done"
    assert pair.left_behind() == []


def test_a_difference_gives_the_rows_back_and_the_copy_is_made_anew(pair: Pair) -> None:
    wrong = At("compare", lambda: pair.query("right", "DELETE FROM orders WHERE id = 7"))
    with pytest.raises(VerificationFailed) as failed:
        pair.move("acme", options=HELD, report=wrong)
    assert "left owns the rows as before" in str(failed.value.hint)
    shard_map = pair.map()
    assert shard_map.owner("tenant", shard_map.tables.groups["tenant"], b"acme") == 0
    assert pair.query("left", "SELECT state FROM shardproxy.moving") == [("moving",)]
    assert run(rebalance.resume(pair.installation(), 1), 60).verified == "exact"
    assert (pair.query("left", ROWS), pair.query("right", ROWS)) == ([(0,)], [(100,)])
    assert pair.left_behind() == []


def test_a_column_that_one_shard_got_meanwhile_gives_the_rows_back(pair: Pair) -> None:
    change = At("compare", lambda: pair.query("left", "ALTER TABLE orders ADD extra int DEFAULT 7"))
    with pytest.raises(Obstructed) as obstructed:
        pair.move("acme", options=HELD, report=change)
    assert "orders.extra" in str(obstructed.value.detail)
    assert pair.query("left", "SELECT state FROM shardproxy.moving") == [("moving",)]
    assert run(rebalance.abort(pair.installation(), 1), 60).state == "aborted"
    assert pair.left_behind() == []


def test_sequences_skip_ahead(servers: tuple[Server, Server]) -> None:
    pair = Pair.create(servers, ORDERS + "ALTER TABLE orders ALTER id ADD GENERATED ALWAYS AS IDENTITY")
    pair.query("left", "INSERT INTO orders (tenant_id) SELECT 'acme' FROM generate_series(1, 100)")
    pair.move("acme", options=HELD)
    pair.query("right", "INSERT INTO orders (tenant_id) VALUES ('acme')")
    assert pair.query("right", ROWS) == [(101,)]

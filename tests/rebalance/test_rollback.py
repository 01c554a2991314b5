"""The way back: a move whose rollback window is open can be rolled back, with all that was written since; and one
whose verification finds differences reverses itself.
"""

from collections.abc import Callable

import psycopg
import pytest

from shardproxy.catalog.journal import Keys
from shardproxy.demo.postgres import Server
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance import way_back
from shardproxy.rebalance.connections import Busy
from shardproxy.rebalance.drive import Soak
from shardproxy.rebalance.driver import Differed, ForwardOnly
from shardproxy.rebalance.move import Outcome
from shardproxy.rebalance.obstacles import Obstructed
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.progress import Progress, Report, silent
from shardproxy.rebalance.rollback import NoWayBack
from shardproxy.rebalance.steps import ORDER, Step
from shardproxy.rebalance.verify import VerificationFailed
from tests.rebalance.listening import At
from tests.rebalance.pair import ORDERS, PASSWORD, Pair
from tests.support.aio import run
from tests.support.rest import wait_until

HOUR = MoveOptions(grace=1.0, patience=30.0, rollback_window=3600.0)
MOMENT = MoveOptions(grace=1.0, patience=30.0, rollback_window=0.01)
CHANGES = """
INSERT INTO orders VALUES ('acme', 999, 'new');
UPDATE orders SET note = 'new' WHERE tenant_id = 'acme' AND id < 10;
DELETE FROM orders WHERE tenant_id = 'acme' AND id > 90;
"""
ROWS = "SELECT id, note FROM orders WHERE tenant_id = 'acme' ORDER BY id"


class Stopped(Exception):
    """What a test raises in the middle of a move."""


def stop() -> None:
    raise Stopped


@pytest.fixture
def pair(servers: tuple[Server, Server]) -> Pair:
    pair = Pair.create(servers)
    pair.query("left", "INSERT INTO orders SELECT 'acme', i, 'x' FROM generate_series(1, 100) AS i")
    pair.query("right", "INSERT INTO orders VALUES ('globex', 1, 'x')")
    return pair


def owner(pair: Pair) -> str:
    shard_map = pair.map()
    return shard_map.shards[shard_map.owner("tenant", shard_map.tables.groups["tenant"], b"acme")]


def roll_back(pair: Pair, number: int = 1, report: Report = silent) -> Outcome:
    return run(rebalance.roll_back(pair.installation(), number, report), 60)


def resume(pair: Pair, number: int, **options: object) -> Outcome:
    return run(rebalance.resume(pair.installation(), number, **options), 60)  # type: ignore[arg-type]


def test_a_move_rests_in_its_window_and_the_source_follows(pair: Pair) -> None:
    [moved] = pair.move("acme", options=HOUR)
    assert (moved.state, moved.verified, owner(pair)) == ("running", "exact", "right")
    assert moved.until is not None
    pair.query("right", CHANGES)
    expected = pair.query("right", ROWS)
    wait_until(lambda: pair.query("left", ROWS) == expected, "the source has followed")
    assert resume(pair, 1).state == "running"
    assert pair.query("left", ROWS) == expected
    with pytest.raises(ForwardOnly):
        run(rebalance.abort(pair.installation(), 1), 60)
    assert resume(pair, 1, soak=Soak.END).state == "done"
    assert pair.query("left", ROWS) == []
    assert pair.query("right", ROWS) == expected
    assert pair.left_behind() == []
    assert pair.map().moves == ()
    with pytest.raises(NoWayBack, match="has ended"):
        roll_back(pair)


def test_a_window_that_is_over_ends_the_move(pair: Pair) -> None:
    said: list[Progress] = []
    [moved] = run(
        rebalance.move(
            pair.installation(), Keys("tenant", ("acme",)), "right", MOMENT, said.append, wait=True
        ),
        60,
    )
    assert (moved.state, moved.until) == ("done", None)
    assert "soak" in [each.step for each in said]
    assert pair.left_behind() == []


def test_a_move_is_rolled_back_with_all_that_was_written_since(pair: Pair) -> None:
    before = pair.query("left", ROWS)
    pair.move("acme", options=HOUR)
    pair.query("right", CHANGES)
    expected = pair.query("right", ROWS)
    assert expected != before
    seen: list[tuple[int, bool]] = []

    def look(_: Progress) -> None:
        seen.extend((move.number, move.moved) for move in pair.map().moves)

    back = roll_back(pair, report=look)
    assert (back.number, back.state, back.source, back.target) == (2, "done", "right", "left")
    assert back.verified == "exact"
    # One entry at every moment: that of the first, then that of the second, before and after its flip.
    assert list(dict.fromkeys(seen)) == [(1, True), (2, False), (2, True)]
    assert owner(pair) == "left"
    assert pair.query("left", ROWS) == expected
    assert pair.query("right", "SELECT tenant_id, id FROM orders") == [("globex", 1)]
    assert pair.left_behind() == []
    assert (pair.map().moves, pair.map().placements) == ((), {})
    first, entries = run(rebalance.read(pair.installation(), 1))
    assert (first.state, entries[-1].what) == ("aborted", "rolled back by move 2")
    [again] = pair.move("acme")
    assert (again.number, again.state) == (3, "done")


@pytest.mark.parametrize("step", [step.value for step in ORDER[: ORDER.index(Step.FLIP) + 1]])
def test_before_its_flip_a_rollback_can_be_undone_or_gone_on_with(pair: Pair, step: str) -> None:
    pair.move("acme", options=HOUR)
    for number in (2, 3):
        with pytest.raises(Stopped):
            roll_back(pair, report=At(step, stop))
        with pytest.raises(Busy, match=f"is being rolled back by move {number}"):
            resume(pair, 1, soak=Soak.END)
        if number == 2:
            assert run(rebalance.abort(pair.installation(), 2), 60).state == "aborted"
            assert [(move.number, move.moved) for move in pair.map().moves] == [(1, True)]
            assert pair.query("right", "SELECT * FROM shardproxy.moving") == []
            assert pair.query("left", "SELECT move, state FROM shardproxy.moving") == [(1, "moved")]
            pair.query("right", CHANGES)
            wait_until(lambda: pair.query("left", ROWS) == pair.query("right", ROWS), "it soaks as before")
    expected = pair.query("right", ROWS)
    assert resume(pair, 3).state == "done"
    assert (owner(pair), pair.query("left", ROWS)) == ("left", expected)
    assert pair.left_behind() == []


@pytest.mark.parametrize("step", ["verify", "retire_source", "clean", "settle"])
def test_after_its_flip_a_rollback_only_goes_forward(pair: Pair, step: str) -> None:
    pair.move("acme", options=HOUR)
    with pytest.raises(Stopped):
        roll_back(pair, report=At(step, stop))
    assert owner(pair) == "left"
    with pytest.raises(ForwardOnly):
        run(rebalance.abort(pair.installation(), 2), 60)
    assert resume(pair, 2).state == "done"
    assert resume(pair, 1).state == "aborted"
    assert pair.left_behind() == []


@pytest.mark.parametrize(
    ("damage", "rows"),
    [
        ("DELETE FROM orders WHERE id = 7", 99),
        ("INSERT INTO orders VALUES ('acme', 998, 'x')", 101),
        ("UPDATE orders SET note = 'y' WHERE id < 3", 100),
    ],
)
def test_a_move_whose_sides_differ_reverses_itself_and_deletes_nothing(
    pair: Pair, damage: str, rows: int
) -> None:
    """What was written meanwhile returns with it; what was wrong does not."""
    wrong = At("follow", lambda: pair.query("right", damage), "close behind")
    write = "INSERT INTO orders VALUES ('acme', 999, 'new'); UPDATE orders SET note = 'z' WHERE id = 50"
    meanwhile = At("verify", lambda: pair.query("right", write))
    with pytest.raises(Differed) as differed:
        pair.move("acme", report=lambda progress: (wrong(progress), meanwhile(progress)))
    assert meanwhile.happened
    assert "move 2 has reversed it: left owns the rows" in differed.value.message
    assert "shardproxy moves resume 2 --accept-differences" in str(differed.value.hint)
    assert f"100 rows on left, {rows} on right" in str(differed.value.detail)
    assert owner(pair) == "left"
    right_rows = pair.query("right", "SELECT count(*) FROM orders WHERE tenant_id = 'acme'")
    assert right_rows == [(rows + 1,)]
    expected = sorted([(i, "z" if i == 50 else "x") for i in range(1, 101)] + [(999, "new")])
    assert pair.query("left", ROWS) == expected
    assert resume(pair, 1).state == "aborted"
    with pytest.raises(VerificationFailed):
        resume(pair, 2)
    assert resume(pair, 2, accept_differences=True).state == "done"
    assert pair.query("left", ROWS) == expected
    assert pair.query("right", ROWS) == []
    assert pair.left_behind() == []


def test_a_reversal_that_cannot_be_applied_stops_and_says_so(pair: Pair) -> None:
    """A row that the target had lost was inserted there anew: the source has it already."""
    lose = At("follow", lambda: pair.query("right", "DELETE FROM orders WHERE id = 7"), "close behind")
    anew = At("verify", lambda: pair.query("right", "INSERT INTO orders VALUES ('acme', 7, 'anew')"))
    with pytest.raises(Differed) as differed:
        pair.move("acme", report=lambda progress: (lose(progress), anew(progress)))
    assert "it could not be reversed: shard left cannot apply the changes" in differed.value.message
    assert owner(pair) == "right"
    assert run(rebalance.abort(pair.installation(), 2), 60).state == "aborted"
    assert resume(pair, 1, accept_differences=True, soak=Soak.END).state == "done"
    assert pair.query("right", "SELECT note FROM orders WHERE id = 7") == [("anew",)]
    assert pair.left_behind() == []


def test_what_the_stream_brought_does_not_come_back(pair: Pair) -> None:
    """Changes made while the way back is there already, and before the cut-over, are in its slot too."""
    late = "UPDATE orders SET note = 'late'; INSERT INTO orders VALUES ('acme', 997, 'late')"
    change = At("fence", lambda: pair.query("left", late))
    pair.move("acme", options=HOUR, report=change)
    assert change.happened
    pair.query("right", CHANGES)
    expected = pair.query("right", ROWS)
    wait_until(lambda: pair.query("left", ROWS) == expected, "the source has followed")
    assert roll_back(pair).verified == "exact"
    assert pair.query("left", ROWS) == expected


def test_a_table_that_was_truncated_since_cannot_be_rolled_back(pair: Pair) -> None:
    pair.move("acme", options=HOUR)
    pair.query("right", "TRUNCATE orders")
    with pytest.raises(NoWayBack, match="truncated"):
        roll_back(pair)
    assert owner(pair) == "right"
    assert run(rebalance.read(pair.installation(), 2))[0].state == "aborted"
    assert resume(pair, 1, soak=Soak.END).state == "done"
    assert pair.left_behind() == []


def test_a_way_back_that_is_lost_cannot_be_rolled_back(pair: Pair) -> None:
    pair.move("acme", options=HOUR)
    pair.query("left", "ALTER SUBSCRIPTION shardproxy_back_1 DISABLE")
    drop = (
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
        " WHERE database = current_database() AND NOT active"
    )
    wait_until(lambda: pair.query("right", drop), "nobody reads the slot, and it is dropped")
    with pytest.raises(NoWayBack):
        roll_back(pair)
    assert [(move.number, move.moved) for move in pair.map().moves] == [(1, True)]
    assert resume(pair, 1, soak=Soak.END).state == "done"
    assert pair.left_behind() == []


def test_a_way_back_that_nobody_asked_for_holds_nothing_up(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way_back, "LONGEST_WAIT", 0.1)
    said: list[str] = []
    with psycopg.connect(pair.servers[1].dsn(dbname=pair.database)) as old:
        old.execute("SELECT shardproxy.enter(0, NULL)")
        old.execute("INSERT INTO orders VALUES ('globex', 2)")
        [moved] = pair.move("acme", report=lambda progress: said.append(progress.what))
    assert moved.state == "done"
    assert "no way back: older transactions on the target" in said
    assert pair.left_behind() == []


def test_a_move_that_does_not_soak_cannot_be_rolled_back(pair: Pair) -> None:
    with pytest.raises(Stopped):
        pair.move("acme", report=At("follow", stop))
    with pytest.raises(NoWayBack, match="in step follow"):
        roll_back(pair)
    assert run(rebalance.abort(pair.installation(), 1), 60).state == "aborted"


def test_a_target_that_cannot_send_changes_has_no_way_back(new_server: Callable[..., Server]) -> None:
    pair = Pair.create((new_server("left"), new_server("right", settings={"wal_level": "replica"})))
    pair.query("left", "INSERT INTO orders SELECT 'acme', i, 'x' FROM generate_series(1, 10) AS i")
    [said] = pair.obstacles("acme")
    assert (said.what, said.warning) == ("no way back: shard right: wal_level is replica", True)
    with pytest.raises(Obstructed, match="1 obstacle"):
        pair.move("acme", options=HOUR)
    [moved] = pair.move("acme")
    assert (moved.state, pair.left_behind()) == ("done", [])


def test_an_operator_that_is_no_superuser_rolls_back(servers: tuple[Server, Server]) -> None:
    """It may not set the position of a subscription, so that of the slot is."""
    if servers[0].install.version < (16, 0):
        pytest.skip("PostgreSQL 15 lets only superusers create subscriptions")
    for server in servers:
        server.query(
            f"CREATE ROLE keeper LOGIN; CREATE ROLE returner LOGIN PASSWORD '{PASSWORD}' REPLICATION"
            " IN ROLE pg_create_subscription, pg_signal_backend, pg_read_all_stats, keeper;"
            "GRANT SET ON PARAMETER session_replication_role TO returner"
        )
    ddl = "GRANT ALL ON SCHEMA public TO keeper;" + ORDERS + "ALTER TABLE orders OWNER TO keeper"
    pair = Pair.create(servers, ddl, user="returner")
    pair.query("left", "INSERT INTO orders SELECT 'acme', i, 'x' FROM generate_series(1, 100) AS i")
    pair.move("acme", user="returner", options=HOUR)
    pair.query("right", CHANGES)
    expected = pair.query("right", ROWS)
    back = run(rebalance.roll_back(pair.installation("returner"), 1), 60)
    assert (back.state, back.verified, pair.query("left", ROWS)) == ("done", "exact", expected)
    assert pair.left_behind() == []

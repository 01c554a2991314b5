"""The two sides are compared, exactly; where they differ nothing is deleted. A move that has no way back stops
then; the others reverse themselves (test_rollback.py).
"""

import pytest

from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.verify import VerificationFailed
from tests.rebalance.listening import At
from tests.rebalance.pair import Pair
from tests.support.aio import run

END_SNAPSHOT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'shardproxy snapshot%'"


ONE_WAY = MoveOptions(grace=1.0, patience=30.0, way_back=False)


@pytest.fixture
def pair(servers: tuple) -> Pair:
    pair = Pair.create(servers)
    pair.query("left", "INSERT INTO orders SELECT 'acme', i, 'x' FROM generate_series(1, 100) AS i")
    return pair


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            "DELETE FROM orders WHERE id = 7",
            "100 rows on left, 99 on right; there 1 are missing and 0 are wrong",
        ),
        (
            "INSERT INTO orders VALUES ('acme', 999, 'x')",
            "100 rows on left, 101 on right; there 0 are missing and 1",
        ),
        (
            "UPDATE orders SET note = 'y' WHERE id < 3",
            "100 rows on left, 100 on right; there 0 are missing and 2",
        ),
    ],
)
def test_a_difference_stops_the_move_and_deletes_nothing(pair: Pair, damage: str, said: str) -> None:
    """The damage is done on the target before the cut-over, as a fault of the copy or of the stream would."""
    at = At("follow", lambda: pair.query("right", damage), "close behind")
    with pytest.raises(VerificationFailed) as failed:
        pair.move("acme", options=ONE_WAY, report=at)
    assert at.happened
    assert said in str(failed.value.detail)
    assert pair.query("left", "SELECT count(*) FROM orders") == [(100,)]
    assert pair.map().owner("tenant", pair.map().tables.groups["tenant"], b"acme") == 1
    with pytest.raises(VerificationFailed):
        run(rebalance.resume(pair.installation(), 1), 60)
    outcome = run(rebalance.resume(pair.installation(), 1, accept_differences=True), 60)
    assert (outcome.state, outcome.verified) == ("done", "differences were accepted")
    assert pair.query("left", "SELECT count(*) FROM orders") == [(0,)]
    assert pair.left_behind() == []


def test_writes_after_the_cut_over_are_no_differences(pair: Pair) -> None:
    changes = "UPDATE orders SET note = 'new' WHERE id < 10; DELETE FROM orders WHERE id > 90"
    at = At("verify", lambda: pair.query("right", changes))
    [outcome] = pair.move("acme", report=at)
    assert at.happened
    assert outcome.verified == "exact"
    assert pair.query("right", "SELECT count(*), count(*) FILTER (WHERE note = 'new') FROM orders") == [
        (90, 9)
    ]


def test_without_the_snapshot_changes_since_are_set_aside(pair: Pair) -> None:
    def lose_it_and_write() -> None:
        pair.query("right", END_SNAPSHOT)
        pair.query("right", "UPDATE orders SET note = 'new' WHERE id < 10")
        pair.query("right", "INSERT INTO orders VALUES ('acme', 999, 'new')")

    [outcome] = pair.move("acme", report=At("verify", lose_it_and_write))
    assert outcome.verified == "without what was changed since"


def test_without_the_snapshot_a_row_that_is_gone_stops_the_move(pair: Pair) -> None:
    def lose_it_and_delete() -> None:
        pair.query("right", END_SNAPSHOT)
        pair.query("right", "DELETE FROM orders WHERE id = 7")

    with pytest.raises(VerificationFailed) as failed:
        pair.move("acme", options=ONE_WAY, report=At("verify", lose_it_and_delete))
    assert "1 are missing (deleted since, or lost) and 0 are wrong" in str(failed.value.detail)
    assert pair.query("left", "SELECT count(*) FROM orders") == [(100,)]
    run(rebalance.resume(pair.installation(), 1, accept_differences=True), 60)
    assert pair.left_behind() == []


def test_without_the_snapshot_an_old_row_that_is_wrong_stops_the_move(pair: Pair) -> None:
    pair_damage = At(
        "follow", lambda: pair.query("right", "UPDATE orders SET note = 'y' WHERE id = 3"), "close behind"
    )
    lose = At("verify", lambda: pair.query("right", END_SNAPSHOT))

    with pytest.raises(VerificationFailed) as failed:
        pair.move("acme", options=ONE_WAY, report=lambda progress: (pair_damage(progress), lose(progress)))
    assert "0 are missing (deleted since, or lost) and 1 are wrong" in str(failed.value.detail)

"""A source that keeps no more WAL for a slot than its disk has room for: the move copies anew, and loses nothing."""

from collections.abc import Iterator

import pytest

from shardproxy.demo.postgres import Install, Run, Server
from tests.rebalance.listening import At
from tests.rebalance.pair import NAMES, Pair
from tests.support.rest import wait_until

SLOTS = "SELECT wal_status FROM pg_replication_slots WHERE slot_name ~ '^shardproxy_move_1_'"


@pytest.fixture
def pair(install: Install) -> Iterator[Pair]:
    with Run(install) as run:
        settings = {"max_slot_wal_keep_size": "16MB", "wal_keep_size": "0"}
        left, right = (Server.create(run, name, settings=settings).start() for name in NAMES)
        pair = Pair.create((left, right))
        pair.query("left", "INSERT INTO orders SELECT 'acme', i, 'x' FROM generate_series(1, 100) AS i")
        yield pair


def test_a_slot_that_is_given_up_for_room_is_made_anew(pair: Pair) -> None:
    def write_a_lot() -> None:
        pair.query("right", "ALTER SUBSCRIPTION shardproxy_move_1 DISABLE")
        inactive = "SELECT slot_name FROM pg_replication_slots WHERE active"
        wait_until(lambda: not pair.query("left", inactive), "nobody follows")
        pair.query("left", "UPDATE orders SET note = 'y'")
        for _ in range(4):
            pair.query("left", "SELECT pg_logical_emit_message(false, 'room', repeat('x', 1000000))")
            pair.query("left", "SELECT pg_switch_wal()")
        pair.query("left", "CHECKPOINT")
        assert pair.query("left", SLOTS) == [("lost",)]

    lose = At("follow", write_a_lot)
    [outcome] = pair.move("acme", report=lose)
    assert lose.happened
    assert (outcome.state, outcome.verified) == ("done", "exact")
    assert pair.query("right", "SELECT note, count(*) FROM orders GROUP BY note") == [("y", 100)]
    assert pair.left_behind() == []

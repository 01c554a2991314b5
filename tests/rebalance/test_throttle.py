"""A move goes no faster than it may: rows and bytes in a second, and no cut-over while the stream is late."""

import psycopg
import pytest

from shardproxy.demo.postgres import Server
from shardproxy.rebalance import move as rebalance
from shardproxy.rebalance.obstacles import Obstructed
from shardproxy.rebalance.options import MoveOptions
from shardproxy.rebalance.progress import Progress
from tests.rebalance.listening import At
from tests.rebalance.pair import Pair
from tests.support.aio import run

ROWS, WIDTH = 3000, 1000
SHARES = 0.7
"""What of the expected time a copy takes at least: its first pieces go at once."""


@pytest.fixture
def pair(servers: tuple[Server, Server]) -> Pair:
    pair = Pair.create(servers)
    pair.query(
        "left",
        f"INSERT INTO orders SELECT 'acme', i, repeat('x', {WIDTH}) FROM generate_series(1, {ROWS}) AS i",
    )
    return pair


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [({"max_rate": ROWS // 2}, 2.0), ({"max_bytes": ROWS * WIDTH // 2}, 2.0), ({}, 0.0)],
    ids=["rows", "bytes", "none"],
)
@pytest.mark.parametrize("offline", [False, True])
def test_a_copy_is_no_faster_than_it_may_be(
    pair: Pair, limit: dict[str, int], seconds: float, offline: bool
) -> None:
    [outcome] = pair.move("acme", options=MoveOptions(grace=1, offline=offline, **limit))
    took = outcome.steps["carry" if offline else "copy"]
    if limit:
        assert seconds * SHARES < took < seconds * 3
    else:
        assert took < seconds + 1.5


def test_no_cut_over_begins_while_the_stream_is_later_than_it_may_be(pair: Pair) -> None:
    """The target's apply worker is held up by a lock for as long as the mover waits for its first mark."""
    said: list[Progress] = []
    with psycopg.connect(pair.servers[1].dsn(dbname=pair.database)) as holder:
        holder.execute("SELECT shardproxy.enter(0, NULL)")
        hold = At("follow", lambda: holder.execute("LOCK TABLE shardproxy.marker IN EXCLUSIVE MODE"))
        let_go = At("follow", holder.rollback, "waiting for the stream")

        def report(progress: Progress) -> None:
            said.append(progress)
            hold(progress)
            let_go(progress)

        holder.commit()
        [outcome] = pair.move("acme", options=MoveOptions(grace=5, max_lag=0.3), report=report)
    assert outcome.state == "done"
    lags = [each.lag for each in said if each.step == "follow" and each.what != "waiting for the stream"]
    measured = [lag for lag in lags if lag is not None]
    assert measured[0] > 0.3  # too late: measured again
    assert measured[-1] <= 0.3
    assert len(measured) >= 2


class Stopped(Exception):
    """What a test raises in the middle of a move."""


def stop() -> None:
    raise Stopped


def test_a_shard_takes_part_in_so_many_moves_at_a_time(pair: Pair) -> None:
    pair.query("left", "INSERT INTO orders VALUES ('globex', 1, 'x')")
    with pytest.raises(Stopped):
        pair.move("acme", report=At("copy", stop))
    with pytest.raises(Obstructed) as obstructed:
        pair.move("globex", options=MoveOptions(grace=1, concurrent=1))
    assert "shard left takes part in 1 unfinished moves: 1" in str(obstructed.value.detail)
    assert "shard right takes part in 1 unfinished moves: 1" in str(obstructed.value.detail)
    assert pair.move("globex", options=MoveOptions(grace=1, concurrent=2))[0].state == "done"
    run(rebalance.abort(pair.installation(), 1), 60)
    assert pair.left_behind() == []

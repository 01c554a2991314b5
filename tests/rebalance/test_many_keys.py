"""A group with hundreds of thousands of keys moves as one with a few does: nothing lists the keys."""

import pytest

from shardproxy.demo.postgres import Server
from shardproxy.rebalance.aims import set_weight
from shardproxy.rebalance.ring import to_aim
from shardproxy.rebalance.series import run_series
from shardproxy.topology.tables import Sharded
from tests.rebalance.listening import At
from tests.rebalance.pair import Pair
from tests.rebalance.test_series import WHOLE
from tests.support.aio import run

KEYS = 300_000
ORDERS = "CREATE TABLE orders (order_number bigint PRIMARY KEY, state text NOT NULL);"


@pytest.mark.timeout(180)
def test_a_group_with_many_keys_moves_by_its_buckets(servers: tuple[Server, Server]) -> None:
    pair = Pair.create(servers, ORDERS, {"orders": Sharded("order_number", "device")})
    pair.query("left", "INSERT INTO orders SELECT n, 'new' FROM generate_series(1, %s) AS n", KEYS)
    run(set_weight(pair.installation(), "right", 1))
    longest: list[int] = []

    def look() -> None:
        """While it copies: what PostgreSQL has to keep of the row filter does not grow with the keys."""
        filters = "SELECT length(pg_get_expr(prqual, prrelid)) FROM pg_publication_rel"
        longest.extend(row[0] for row in pair.query("left", filters))
        pair.query("left", "UPDATE orders SET state = 'seen' WHERE order_number %% 1000 = %s", 0)
        pair.query(
            "left",
            "INSERT INTO orders SELECT n, 'late' FROM generate_series(%s, %s) AS n",
            KEYS + 1,
            KEYS + 50,
        )

    [outcome] = run(run_series(pair.installation(), to_aim, WHOLE, At("copy", look, "copied")), 120)
    assert outcome.verified == "exact"
    assert max(longest) < 10_000
    here = pair.query("left", "SELECT order_number, state FROM orders")
    there = pair.query("right", "SELECT order_number, state FROM orders")
    assert len(there) == pytest.approx(KEYS / 2, rel=0.1)
    expected = {n: "seen" if n % 1000 == 0 else "new" for n in range(1, KEYS + 1)}
    expected |= dict.fromkeys(range(KEYS + 1, KEYS + 51), "late")
    assert dict(here) | dict(there) == expected
    assert len(here) + len(there) == len(expected)
    assert pair.left_behind() == []
    print(f"{outcome.rows} rows in {outcome.seconds:.1f} s: {outcome.steps}, paused {outcome.pause}")

"""Pinning tenants: ring changes leave them alone, and while something moves nothing is placed."""

from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shardproxy.catalog.journal import Buckets, Keys
from shardproxy.demo.postgres import Server
from shardproxy.rebalance import pins
from shardproxy.rebalance.aims import set_weight
from shardproxy.rebalance.pins import Pinned
from shardproxy.rebalance.ring import to_aim
from shardproxy.rebalance.series import run_series
from shardproxy.rebalance.what import MapConflict
from shardproxy.topology.keys import BUCKETS, KeyFamily, bucket
from tests.rebalance.installed import QUICK
from tests.rebalance.listening import At
from tests.rebalance.pair import Pair
from tests.rebalance.test_series import WHOLE
from tests.support.aio import run

ACME = Keys("tenant", ("acme",))
PLACE = ("tenant", b"acme")


@pytest.fixture
def pair(servers: tuple[Server, Server]) -> Pair:
    pair = Pair.create(servers)
    pair.query("left", "INSERT INTO orders SELECT t, 1 FROM unnest('{acme,globex,initech}'::text[]) AS t")
    return pair


def pin(pair: Pair, to: str | None = None) -> Pinned:
    return run(pins.pin(pair.installation(), ACME, to, QUICK), 60)


def unpin(pair: Pair) -> Pinned:
    return run(pins.unpin(pair.installation(), ACME, QUICK), 60)


def test_a_pinned_tenant_stays_where_it_is_when_its_bucket_leaves(pair: Pair) -> None:
    assert pin(pair) == Pinned("left", placed=True, changed=True)
    assert pin(pair) == Pinned("left", placed=True, changed=False)
    run(set_weight(pair.installation(), "right", 1))
    run(set_weight(pair.installation(), "left", 0))
    run(run_series(pair.installation(), to_aim, WHOLE), 60)
    assert pair.query("left", "SELECT tenant_id FROM orders") == [("acme",)]
    assert pair.map().placements == {PLACE: 0}
    unpinned = unpin(pair)
    assert (unpinned.shard, unpinned.placed, len(unpinned.moves)) == ("right", False, 1)
    assert pair.query("right", "SELECT count(*) FROM orders") == [(3,)]
    assert pair.map().placements == {}
    assert not unpin(pair).changed


def test_a_tenant_is_pinned_elsewhere_and_at_home(pair: Pair) -> None:
    assert len(pin(pair, "right").moves) == 1
    assert pair.map().placements == {PLACE: 1}
    assert len(pin(pair, "left").moves) == 1
    assert pair.map().placements == {PLACE: 0}
    assert unpin(pair) == Pinned("left", placed=False, changed=True)
    assert pair.map().placements == {}


def test_a_tenant_without_rows_can_be_unpinned(pair: Pair) -> None:
    pin(pair, "right")
    pair.query("right", "DELETE FROM orders")
    assert unpin(pair).shard == "left"
    assert pair.map().placements == {}


@pytest.mark.parametrize("what", [ACME, Buckets((bucket(KeyFamily.TEXT, b"acme"),))], ids=["key", "bucket"])
def test_nothing_is_pinned_on_its_way(pair: Pair, what: Keys | Buckets) -> None:
    refused = Refused()
    report = At("copy", lambda: refused.add(run_in_thread(lambda: pins.pin(pair.installation(), ACME))))
    pair.move(what, report=report)
    assert "is moving: move 1" in refused.messages[0]


def test_a_placement_on_a_bucket_on_its_way_is_not_dropped(pair: Pair) -> None:
    pin(pair)
    refused = Refused()
    report = At("copy", lambda: refused.add(run_in_thread(lambda: pins.unpin(pair.installation(), ACME))))
    pair.move(Buckets((bucket(KeyFamily.TEXT, b"acme"),)), report=report)
    assert refused.messages[0].startswith("the bucket of acme is moving")
    assert pair.query("left", "SELECT tenant_id FROM orders ORDER BY 1")[0] == ("acme",)


def test_a_tenant_that_is_pinned_before_its_bucket_is_announced_does_not_go_along(pair: Pair) -> None:
    """The mover has looked at the tables before; had it kept to that, it would delete rows that are in use."""
    report = At("announce", lambda: run_in_thread(lambda: pins.pin(pair.installation(), ACME)))
    [outcome] = pair.move(Buckets(tuple(range(BUCKETS))), report=report)
    assert report.happened
    assert outcome.verified == "exact"
    assert pair.query("left", "SELECT tenant_id FROM orders") == [("acme",)]
    assert pair.query("right", "SELECT tenant_id FROM orders ORDER BY 1") == [("globex",), ("initech",)]
    assert pair.map().placements == {PLACE: 0}


def run_in_thread(work: Callable[[], Coroutine[Any, Any, Any]]) -> BaseException | None:
    """Run it while this thread's loop stands still; what it raised."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: run(work(), 30)).exception()


class Refused:
    """What was refused in the middle of a move."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def add(self, failure: BaseException | None) -> None:
        assert isinstance(failure, MapConflict), failure
        self.messages.append(failure.message)

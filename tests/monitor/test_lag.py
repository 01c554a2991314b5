"""Lag, measured with our clock against positions of the primary that were seen."""

import pytest

from shardproxy.monitor.lag import REMEMBERED, Lag, PrimaryHistory, measure
from shardproxy.monitor.servers import Sighting
from shardproxy.routing.route import Role


def history(*seen: tuple[float, int]) -> PrimaryHistory:
    made = PrimaryHistory()
    for now, written in seen:
        made.record(now, written)
    return made


def replica(
    replayed: int | None, *, received: int | None = None, age: float | None = None, streaming: bool = True
) -> Sighting:
    return Sighting(
        Role.REPLICA,
        replayed=replayed,
        received=replayed if received is None else received,
        replay_age=age,
        streaming=streaming,
    )


BUSY = ((10.0, 100), (11.0, 200), (12.0, 300))


@pytest.mark.parametrize(
    ("replayed", "expected"),
    [
        (300, Lag(0, 0.0)),
        (400, Lag(0, 0.0)),  # the replica was looked at later than the primary
        (299, Lag(1, 1.5)),
        (200, Lag(100, 1.5)),
        (100, Lag(200, 2.5)),
    ],
)
def test_a_replica_is_behind_since_the_last_time_it_was_complete(replayed: int, expected: Lag) -> None:
    assert measure(replica(replayed), history(*BUSY), primary_reachable=True, now=12.5) == expected


def test_an_old_last_commit_is_no_lag_while_the_primary_writes_nothing() -> None:
    lag = measure(
        replica(100, age=3600.0), history((10.0, 100), (11.0, 100)), primary_reachable=True, now=11.2
    )
    assert lag == Lag(0, 0.0)


def test_a_clock_that_is_slow_on_the_replica_does_not_hide_lag() -> None:
    lag = measure(replica(100, age=-3600.0), history(*BUSY), primary_reachable=True, now=12.5)
    assert lag.seconds == 2.5


def test_who_was_behind_before_we_looked_is_as_late_as_its_last_commit_and_no_less_than_we_know() -> None:
    assert measure(replica(50, age=90.0), history(*BUSY), primary_reachable=True, now=12.5) == Lag(250, 90.0)
    assert measure(replica(50, age=-5.0), history(*BUSY), primary_reachable=True, now=12.5) == Lag(250, 2.5)


def test_received_but_not_replayed_is_lag() -> None:
    lag = measure(replica(100, received=900), history((10.0, 300)), primary_reachable=True, now=10.1)
    assert lag.bytes == 800


def test_without_the_primary_a_streaming_replica_that_replayed_all_is_complete() -> None:
    assert measure(replica(300), history(*BUSY), primary_reachable=False, now=99.0) == Lag(0, 0.0)


def test_without_the_primary_any_other_replica_gets_older_from_when_it_was_complete() -> None:
    cut_off = replica(300, streaming=False)
    assert measure(cut_off, history(*BUSY), primary_reachable=False, now=99.0) == Lag(0, 87.0)
    paused = replica(200, received=300)
    assert measure(paused, history(*BUSY), primary_reachable=False, now=99.0) == Lag(100, 88.0)


def test_what_nothing_is_known_of_has_no_lag_rather_than_none_at_all() -> None:
    assert measure(replica(None), history(), primary_reachable=True, now=1.0) == Lag(None, None)
    assert measure(replica(100, streaming=False), history(), primary_reachable=False, now=1.0).seconds is None


def test_the_history_is_bounded_and_can_be_cleared() -> None:
    kept = history(*((float(i), i) for i in range(REMEMBERED + 5)))
    assert kept.oldest == (5.0, 5)
    assert kept.newest == (float(REMEMBERED + 4), REMEMBERED + 4)
    kept.clear()
    assert kept.newest is None
    assert kept.complete_at(1000) is None

"""Counters: what they count, that they stay bounded, that a snapshot stands still, what they cost."""

import timeit

import pytest

from shardproxy.counters import LATENCY_BOUNDS, OTHER, Counters, Histogram, Tally, sqlstate_class


def test_a_bound_belongs_to_its_own_bucket() -> None:
    histogram = Histogram(bounds=(1.0, 2.0))
    for value in (0.0, 1.0, 1.5, 2.0, 2.1):
        histogram.observe(value)
    assert histogram.buckets == [2, 2, 1]
    assert histogram.count == 5
    assert histogram.total == pytest.approx(6.6)


def test_latency_bounds_rise_from_50_microseconds_to_a_minute() -> None:
    assert list(LATENCY_BOUNDS) == sorted(set(LATENCY_BOUNDS))
    assert (LATENCY_BOUNDS[0], LATENCY_BOUNDS[-1]) == (50e-6, 60.0)


def test_a_tally_keeps_known_labels_and_counts_the_rest_as_other() -> None:
    tally = Tally(limit=2)
    for label in ("a", "b", "c", "d", "a"):
        tally.add(label)
    assert list(tally) == [("a", 2), ("b", 1), (OTHER, 2)]
    assert tally["c"] == 0
    assert tally.total == 5


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [
        ("23505", "23"),
        ("XX000", "XX"),
        ("0A000", "0A"),
        ("", OTHER),
        ("235", OTHER),
        ("é3505", OTHER),
        ("ab000", OTHER),
    ],
)
def test_errors_are_counted_by_the_class_of_their_sqlstate(sqlstate: str, expected: str) -> None:
    assert sqlstate_class(sqlstate) == expected


def test_the_same_counters_are_given_to_everyone_who_asks() -> None:
    counters = Counters()
    counters.shard("shard-a", "primary").queries += 1
    counters.shard("shard-a", "primary").queries += 1
    counters.shard("shard-a", "replica").queries += 1
    assert counters.shard("shard-a", "primary").queries == 2
    assert counters.pool("shard-a", "primary") is counters.pool("shard-a", "primary")


def test_a_snapshot_has_every_figure_and_no_longer_changes() -> None:
    counters = Counters()

    def count_everything_once() -> None:
        shard, pool, proxy = counters.shard("s", "primary"), counters.pool("s", "primary"), counters.proxy
        for counted in (shard, pool, proxy):
            for name in counted.__slots__:
                value = getattr(counted, name)
                if isinstance(value, int):
                    setattr(counted, name, value + 1)
                elif isinstance(value, Tally):
                    value.add("label")
                else:
                    value.observe(1.0)

    def figures(of: Counters) -> list[object]:
        found: list[object] = []
        for counted in (of.shards["s", "primary"], of.pools["s", "primary"], of.proxy):
            for name in counted.__slots__:
                value = getattr(counted, name)
                found.append(value if isinstance(value, int) else value.total)
        return found

    count_everything_once()
    snapshot = counters.snapshot()
    count_everything_once()
    assert set(figures(snapshot)) == {1}
    assert set(figures(counters)) == {2}


def test_an_increment_costs_a_fraction_of_a_microsecond() -> None:
    counters = Counters()
    shard = counters.shard("s", "primary")

    def cost(statement: str) -> float:
        """Nanoseconds a run; the best of several, since other processes share the machine."""
        runs = 20_000
        return min(timeit.repeat(statement, globals={"shard": shard}, number=runs, repeat=7)) / runs * 1e9

    # About 20 and 95 ns on a quiet machine; the limits leave room for a slow one, not for a lock.
    assert cost("shard.queries += 1") < 150
    assert cost("shard.latency.observe(0.0007)") < 500

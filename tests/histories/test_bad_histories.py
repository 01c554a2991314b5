"""Every kind of damage to a good history is found, and named as what it is."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.histories import bad, good
from tests.histories.checkers.anomaly import Anomaly, Kind
from tests.histories.checkers.cycles import cycles
from tests.histories.checkers.elements import elements
from tests.histories.checkers.orders import orders
from tests.histories.checkers.registers import registers
from tests.histories.checkers.sets import sets
from tests.histories.checkers.totals import totals
from tests.histories.history import History, Isolation

Damage = Callable[[History, Random], History | None]
Checker = Callable[[History], list[Anomaly]]
seeds = st.integers(0, 1 << 32)
often = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


def check_lists(history: History) -> list[Anomaly]:
    return elements(history) + orders(history) + cycles(history)


def check_sets(history: History) -> list[Anomaly]:
    return elements(history) + sets(history)


def check_bank(history: History) -> list[Anomaly]:
    return elements(history) + sets(history) + totals(history, good.OPENING)


def found(make: Callable[[int], History], damage: Damage, seed: int, check: Checker) -> set[Kind]:
    """The kinds of anomalies in the damaged history; there were none before."""
    history = make(seed)
    damaged = damage(history, Random(seed))
    assume(damaged is not None)
    assert check(history) == []
    assert damaged is not None
    return {anomaly.kind for anomaly in check(damaged)}


@given(seeds)
@often
@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (bad.lost_at_the_end, Kind.LOST),
        (bad.lost_in_the_middle, Kind.LOST),
        (bad.doubled, Kind.DOUBLED),
        (bad.from_nowhere, Kind.FROM_NOWHERE),
        (bad.dirty, Kind.UNDONE),
        (bad.reordered, Kind.REORDERED),
        (bad.stale, Kind.STALE),
        (bad.future, Kind.FUTURE),
        (bad.own_unseen, Kind.OWN),
        (bad.split, Kind.LOST),
        (bad.torn, Kind.TORN),
    ],
)
def test_damaged_lists(damage: Damage, kind: Kind, seed: int) -> None:
    assert kind in found(good.lists, damage, seed, check_lists)


@given(seeds)
@often
@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (bad.lost_at_the_end, Kind.LOST),
        (bad.lost_in_the_middle, Kind.LOST),
        (bad.doubled, Kind.DOUBLED),
        (bad.from_nowhere, Kind.FROM_NOWHERE),
        (bad.dirty, Kind.UNDONE),
        (bad.stale, Kind.STALE),
        (bad.returned, Kind.RETURNED),
    ],
)
def test_damaged_sets(damage: Damage, kind: Kind, seed: int) -> None:
    assert kind in found(good.sets, damage, seed, check_sets)


@given(seeds)
@often
@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (bad.lost_update, Kind.FORKED),
        (bad.lost_swap, Kind.LOST),
        (bad.stale_register, Kind.STALE),
    ],
)
def test_damaged_registers(damage: Damage, kind: Kind, seed: int) -> None:
    assert kind in found(good.registers, damage, seed, registers)


@given(seeds)
@often
@pytest.mark.parametrize("damage", [bad.unbalanced, bad.half_a_ledger])
def test_damaged_banks(damage: Damage, seed: int) -> None:
    assert Kind.UNBALANCED in found(good.bank, damage, seed, check_bank)


EVERY = list(Isolation)
SNAPSHOT = [Isolation.REPEATABLE_READ, Isolation.SERIALIZABLE]


@given(seeds)
@often
@pytest.mark.parametrize("level", Isolation)
@pytest.mark.parametrize(
    ("damage", "kind", "levels"),
    [
        (bad.crossed, Kind.WRITE_CYCLE, EVERY),
        (bad.mutually_read, Kind.READ_CYCLE, EVERY),
        (bad.half_seen, Kind.SNAPSHOT_CYCLE, SNAPSHOT),
        (bad.skewed, Kind.SERIAL_CYCLE, [Isolation.SERIALIZABLE]),
    ],
)
def test_what_a_level_excludes_is_an_anomaly_at_that_level_only(
    damage: Callable[[History, Isolation], History],
    kind: Kind,
    levels: list[Isolation],
    level: Isolation,
    seed: int,
) -> None:
    kinds = {anomaly.kind for anomaly in check_lists(damage(good.lists(seed, turns=5), level))}
    assert kinds == ({kind} if level in levels else set())


@given(seeds)
@often
@pytest.mark.parametrize("level", Isolation)
def test_the_middle_of_a_transaction_is_excluded_at_every_level(level: Isolation, seed: int) -> None:
    damaged = bad.intermediate(good.lists(seed, turns=5), level)
    assert Kind.INTERMEDIATE in {anomaly.kind for anomaly in check_lists(damaged)}

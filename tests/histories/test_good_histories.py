"""No checker complains about a history of a correct store, however its clients interleave."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.histories import good
from tests.histories.checkers.cycles import cycles
from tests.histories.checkers.elements import elements
from tests.histories.checkers.orders import orders
from tests.histories.checkers.real_time import Scope
from tests.histories.checkers.registers import registers
from tests.histories.checkers.sets import sets
from tests.histories.checkers.totals import totals

seeds = st.integers(0, 1 << 32)


@given(seeds)
@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("scope", Scope)
def test_lists(scope: Scope, seed: int) -> None:
    history = good.lists(seed)
    assert elements(history) + orders(history, scope) + cycles(history) == []


@given(seeds, st.booleans())
@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("scope", Scope)
def test_sets(scope: Scope, seed: int, removals: bool) -> None:
    history = good.sets(seed, removals=removals)
    assert elements(history) + sets(history, scope) == []


@given(seeds, st.booleans())
@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("scope", Scope)
def test_registers(scope: Scope, seed: int, counters: bool) -> None:
    assert registers(good.registers(seed, counters=counters), scope=scope) == []


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_bank(seed: int) -> None:
    history = good.bank(seed)
    assert elements(history) + sets(history) + totals(history, good.OPENING) == []

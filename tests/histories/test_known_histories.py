"""What each checker says of small histories that one can judge by looking at them."""

from collections.abc import Callable

import pytest

from tests.histories.checkers.anomaly import Anomaly, Kind
from tests.histories.checkers.cycles import cycles
from tests.histories.checkers.elements import elements
from tests.histories.checkers.orders import orders
from tests.histories.checkers.real_time import Scope
from tests.histories.checkers.registers import registers
from tests.histories.checkers.sets import sets
from tests.histories.checkers.totals import BALANCES, ENTRIES, TOTAL, Entry, totals
from tests.histories.history import Append, History, Isolation, Outcome, Read, Transaction
from tests.histories.told import history

Check = Callable[..., list[Anomaly]]


def kinds(check: Check, text: str, **how: object) -> set[Kind]:
    """The kinds of anomalies in a history that is told as text."""
    return {anomaly.kind for anomaly in check(history(text), **how)}


def test_whether_writes_count_is_known_only_of_those_that_were_acknowledged_or_failed() -> None:
    begun = """
        1 0-1 ok      append x a
        2 2-3 failed  append x b
        3 4-5 unknown append x c
    """
    assert kinds(elements, begun + "final x [a]") == set()
    assert kinds(elements, begun + "final x [a c]") == set()
    assert kinds(elements, begun + "final x [c]") == {Kind.LOST}
    assert kinds(elements, begun + "final x [a b]") == {Kind.UNDONE}
    assert kinds(elements, begun + "final x [a d]") == {Kind.FROM_NOWHERE}
    assert kinds(elements, begun + "final x [a c a]") == {Kind.DOUBLED}


def test_what_was_read_is_not_lost_later_though_nobody_knows_that_it_was_written() -> None:
    begun = """
        1 0-1 unknown append x a
        2 2-3 ok      read x [a]
    """
    assert kinds(elements, begun + "final x [a]") == set()
    assert kinds(elements, begun + "final x []") == {Kind.LOST}


def test_nobody_reads_what_another_transaction_undid() -> None:
    assert kinds(elements, "1 0-9 failed append x a; read x [a]\n2 0-9 ok read x []") == set()
    assert kinds(elements, "1 0-9 failed append x a\n2 0-9 ok read x [a]") == {Kind.UNDONE}


def test_a_transaction_sees_its_own_writes() -> None:
    assert kinds(elements, "1 0-9 ok append x a; read x [a]\nfinal x [a]") == set()
    assert kinds(elements, "1 0-9 ok append x a; read x []\nfinal x [a]") == {Kind.OWN}


def test_a_transaction_of_unknown_outcome_is_there_as_a_whole_or_not_at_all() -> None:
    begun = """
        1 0-1 ok      append x a
        2 2-3 unknown append x b; append y c; remove x a
    """
    assert kinds(elements, begun + "final x [b]\nfinal y [c]") == set()
    assert kinds(elements, begun + "final x [a]\nfinal y []") == set()
    assert kinds(elements, begun + "final x [b]\nfinal y []") == {Kind.TORN}
    assert kinds(elements, begun + "final x [a b]\nfinal y [c]") == {Kind.TORN}


def test_an_element_that_is_attempted_twice_is_a_mistake_of_the_workload() -> None:
    with pytest.raises(ValueError, match="twice"):
        elements(history("1 0-1 ok append x a\n2 2-3 ok append x a"))


def test_every_read_of_a_list_is_a_beginning_of_one_order() -> None:
    written = """
        1 0-9 ok append x a
        2 0-9 ok append x b
    """
    assert kinds(orders, written + "3 0-9 ok read x [a]\nfinal x [a b]") == set()
    assert kinds(orders, written + "3 0-9 ok read x [b]\nfinal x [a b]") == {Kind.REORDERED}
    assert kinds(orders, written + "3 0-9 ok read x [a]\n4 0-9 ok read x [b]\nfinal x []") == {Kind.REORDERED}
    assert kinds(orders, written + "3 0-9 ok append x c; read x [a c b]\nfinal x [a b c]") == {Kind.REORDERED}


def test_a_list_agrees_with_real_time() -> None:
    written = """
        1 0-1 ok append x a
        2 5-6 ok append x b
    """
    assert kinds(orders, written + "3 3-4 ok read x [a]\nfinal x [a b]") == set()
    assert kinds(orders, written + "3 7-8 ok read x [a]\nfinal x [a b]") == {Kind.STALE}
    assert kinds(orders, written + "3 3-4 ok read x [a b]\nfinal x [a b]") == {Kind.FUTURE}
    assert kinds(orders, written + "3 7-8 ok read x [b a]\nfinal x [b a]") == {Kind.REORDERED}
    turned = "3 5-6 ok read x [a b]\n4 7-8 ok read x [a]\nfinal x [a b]"
    assert kinds(orders, "1 0-1 ok append x a\n2 5-9 ok append x b\n" + turned) == {Kind.STALE}


def test_a_write_of_unknown_outcome_may_take_effect_long_after_it_was_given_up() -> None:
    written = "1 0-1 unknown append x a\n2 5-6 ok read x []\n"
    assert kinds(orders, written + "2 7-8 ok read x [a]\nfinal x [a]") == set()
    assert kinds(sets, written + "2 7-8 ok read x [a]\nfinal x [a]") == set()


OWN = "1 0-1 ok append x a\n1 2-3 ok read x []\nfinal x [a]"
OTHERS = "1 0-1 ok append x a\n2 2-3 ok read x []\nfinal x [a]"
BACK = "1 0-1 ok append x a\n2 2-3 ok read x [a]\n2 4-5 ok read x []\nfinal x [a]"
FAITHFUL = "1 0-1 ok append x a\n2 2-3 ok read x []\n2 4-5 ok read x [a]\n1 4-5 ok read x [a]\nfinal x [a]"


@pytest.mark.parametrize("check", [orders, sets])
@pytest.mark.parametrize(
    ("scope", "told", "stale"),
    [
        (Scope.EVERYBODY, OWN, True),
        (Scope.EVERYBODY, OTHERS, True),
        (Scope.EVERYBODY, BACK, True),
        (Scope.SESSION, OWN, True),
        (Scope.SESSION, OTHERS, False),
        (Scope.SESSION, BACK, True),
        (Scope.OWN_WRITES, OWN, True),
        (Scope.OWN_WRITES, OTHERS, False),
        (Scope.OWN_WRITES, BACK, False),
        (Scope.SESSION, FAITHFUL, False),
        (Scope.OWN_WRITES, FAITHFUL, False),
    ],
)
def test_whose_knowledge_a_read_must_not_fall_behind(
    check: Check, scope: Scope, told: str, stale: bool
) -> None:
    assert (Kind.STALE in kinds(check, told, scope=scope)) == stale


def test_a_set_is_not_read_in_two_states_that_do_not_follow_one_another() -> None:
    written = "1 0-9 ok append x a\n2 0-9 ok append x b\n"
    assert kinds(sets, written + "3 0-9 ok read x [a]\n4 0-9 ok read x [b a]") == set()
    assert kinds(sets, written + "3 0-9 ok read x [a]\n4 0-9 ok read x [b]") == {Kind.FORKED}


def test_an_element_that_is_gone_does_not_come_back() -> None:
    written = "1 0-1 ok append x a\n2 4-5 ok remove x a\n"
    assert kinds(sets, written + "3 2-3 ok read x [a]\n3 4-5 ok read x [a]\n3 6-7 ok read x []") == set()
    assert kinds(sets, written + "3 6-7 ok read x [a]") == {Kind.RETURNED}
    assert kinds(sets, written + "3 2-3 ok read x []") == {Kind.STALE}
    maybe = "1 0-1 ok append x a\n2 2-3 unknown remove x a\n"
    assert kinds(sets, maybe + "3 4-5 ok read x [a]\n3 6-7 ok read x []") == set()
    assert kinds(sets, maybe + "3 4-5 ok read x []\n3 6-7 ok read x [a]") == {Kind.RETURNED}
    assert kinds(elements, written + "final x [a]") == {Kind.RETURNED}


def test_a_register_is_one_chain_of_values() -> None:
    written = "1 0-1 ok swap r 0 a\n2 2-3 unknown swap r a b\n"
    assert kinds(registers, written + "final r a") == set()
    assert kinds(registers, written + "final r b") == set()
    assert kinds(registers, written + "3 4-5 ok swap r b c\nfinal r c") == set()
    assert kinds(registers, written + "3 4-5 ok swap r a c\nfinal r c") == set()
    assert kinds(registers, written + "3 4-5 ok swap r 0 c\nfinal r a") == {Kind.FORKED}
    assert Kind.LOST in kinds(registers, written + "final r 0")
    assert Kind.LOST in kinds(registers, written + "final r z")
    assert kinds(registers, written + "3 4-5 ok read r z\nfinal r a") == {Kind.FROM_NOWHERE}
    assert kinds(registers, "1 0-1 failed swap r 0 a\n3 4-5 ok read r a\nfinal r 0") == {Kind.FROM_NOWHERE}


def test_a_register_agrees_with_real_time() -> None:
    written = "1 0-1 ok swap r 0 a\n2 4-5 ok swap r a b\nfinal r b\n"
    assert kinds(registers, written + "3 4-5 ok read r a") == set()
    assert kinds(registers, written + "3 6-7 ok read r a") == {Kind.STALE}
    assert kinds(registers, written + "3 2-3 ok read r b") == {Kind.FUTURE}


def test_a_swap_does_not_miss_the_value_that_is_there() -> None:
    written = "1 0-1 ok swap r 0 a\n2 5-6 ok swap r a b\nfinal r b\n"
    assert kinds(registers, written + "3 4-5 ok miss r a") == set()
    assert kinds(registers, written + "3 2-3 ok miss r a") == {Kind.SPURIOUS}


@pytest.mark.parametrize(
    ("level", "lost", "skew"),
    [
        ("read committed", set(), set()),
        ("repeatable read", {Kind.SNAPSHOT_CYCLE}, set()),
        ("serializable", {Kind.SNAPSHOT_CYCLE}, {Kind.SERIAL_CYCLE}),
    ],
)
def test_what_each_level_allows(level: str, lost: set[Kind], skew: set[Kind]) -> None:
    both = f"""
        1 0-9 ok {level}: read x []; append x a
        2 0-9 ok {level}: read x []; append x b
        final x [a b]
    """
    assert kinds(cycles, both) == lost
    crossed = f"""
        1 0-9 ok {level}: read x []; append y a
        2 0-9 ok {level}: read y []; append x b
        final x [b]
        final y [a]
    """
    assert kinds(cycles, crossed) == skew


def test_a_snapshot_is_asked_only_of_who_has_one_though_others_are_in_the_cycle() -> None:
    seen_in_part = """
        1 0-9 ok {}: read x []; read y [b]
        2 0-9 ok append x a
        3 0-9 ok read x [a]; append y b
        final x [a]
        final y [b]
    """
    assert kinds(cycles, seen_in_part.format("repeatable read")) == {Kind.SNAPSHOT_CYCLE}
    assert kinds(cycles, seen_in_part.format("read committed")) == set()


def test_nobody_sees_another_order_of_two_commits_than_somebody_else() -> None:
    """A long fork: two rw that are not in a row."""
    fork = """
        1 0-9 ok append x a
        2 0-9 ok append y b
        3 0-9 ok repeatable read: read x [a]; read y []
        4 0-9 ok repeatable read: read x []; read y [b]
        final x [a]
        final y [b]
    """
    assert kinds(cycles, fork) == {Kind.SNAPSHOT_CYCLE}


OPENING = {1: 50, 2: 50}
LEDGER, ACCOUNTS, SUM = (ENTRIES, "t"), (BALANCES, "t"), (TOTAL, "t")
BOTH = (Entry("m", 1, -10), Entry("m", 2, 10))


def audit(entries: tuple[Entry, ...], balances: dict[int, int], level: Isolation) -> History:
    """A transfer, and who reads it and the balances."""
    reads = (Read(ACCOUNTS, balances, 0, 9), Read(LEDGER, entries, 0, 9))
    return History(
        (
            Transaction(1, Outcome.OK, tuple(Append(LEDGER, entry) for entry in BOTH), 0, 9),
            Transaction(2, Outcome.OK, reads, 0, 9, level),
        )
    )


@pytest.mark.parametrize("level", Isolation)
def test_balances_follow_from_the_ledger_of_the_same_snapshot(level: Isolation) -> None:
    assert totals(audit((), {1: 50, 2: 50}, level), OPENING) == []
    assert totals(audit(BOTH, {1: 40, 2: 60}, level), OPENING) == []
    assert totals(audit(BOTH[:1], {1: 40, 2: 50}, level), OPENING) != []
    found = totals(audit((), {1: 40, 2: 60}, level), OPENING)
    assert bool(found) == (level is not Isolation.READ_COMMITTED)


def test_sums_are_constant() -> None:
    assert totals(audit(BOTH, {1: 40, 2: 50}, Isolation.READ_COMMITTED), OPENING) != []
    assert totals(History((), {SUM: 100}), OPENING) == []
    assert totals(History((), {SUM: 200}), OPENING) != []
    assert totals(History((), {ACCOUNTS: {1: 40, 2: 60}, LEDGER: ()}), OPENING) != []

from loadtests import bench
from loadtests.pgbench import Mode, Script
from loadtests.plan import rotated


def plan_for(*arguments: str) -> bench.Plan:
    return bench.plan_of(bench.parser().parse_args(arguments))


def test_every_combination_is_a_cell() -> None:
    cells = list(plan_for().cells())
    assert len(cells) == len(set(cells)) == len(Script) * len(Mode) * 3


def test_the_default_stays_below_ten_minutes() -> None:
    assert plan_for().estimate(len(bench.TARGETS)) < 600


def test_quick_is_a_minute_and_can_still_be_told_otherwise() -> None:
    assert plan_for("--quick").estimate(len(bench.TARGETS)) < 60
    assert plan_for("--quick", "--clients", "3").clients == (3,)


def test_every_round_begins_with_another_target() -> None:
    orders = [rotated(["a", "b", "c"], number) for number in (1, 2, 3)]
    assert sorted(order[0] for order in orders) == ["a", "b", "c"]
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)


def test_what_would_take_too_long_is_refused_before_anything_is_started() -> None:
    assert bench.main(["--rounds", "1000"]) == 2

import pytest

from loadtests.pgbench import Load, Mode, Outcome, Script
from loadtests.results import Measurement, Summary, summarise


def run(target: str, tps: float, *, number: int = 1, cpu: float | None = None) -> Measurement:
    return Measurement(number, target, "select-only", "simple", 16, 1000, tps, 1.0, cpu)


def by_target(runs: list[Measurement]) -> dict[str, Summary]:
    return {summary.target: summary for summary in summarise(runs)}


def test_medians_and_their_ratio_to_direct() -> None:
    runs = [run("direct", tps) for tps in (90, 100, 500)]
    runs += [run("shardproxy", tps, cpu=cpu) for tps, cpu in ((40, 9), (80, 11), (82, 30))]
    found = by_target(runs)
    assert (found["direct"].tps, found["direct"].ratio, found["direct"].cpu_us) == (100, None, None)
    assert (found["shardproxy"].tps, found["shardproxy"].ratio, found["shardproxy"].cpu_us) == (80, 0.8, 11)
    assert found["shardproxy"].spread == pytest.approx(42 / 80)


def test_without_a_direct_run_there_is_no_ratio() -> None:
    assert by_target([run("shardproxy", 80, cpu=1)])["shardproxy"].ratio is None


def test_cells_stay_in_order_and_direct_comes_first() -> None:
    runs = [run("shardproxy", 1), run("pgbouncer", 1), run("direct", 1)]
    assert [summary.target for summary in summarise(runs)] == ["direct", "pgbouncer", "shardproxy"]


def test_processor_time_is_shared_by_all_statements_of_the_transactions() -> None:
    load = Load(Script.TPCB_LIKE, Mode.SIMPLE, 16, 3, 100)
    measured = Measurement.of(1, "shardproxy", load, Outcome(1000, 333.0, 1.0), cpu_seconds=0.07)
    assert measured.cpu_us == pytest.approx(10.0)
    assert Measurement.of(1, "direct", load, Outcome(1000, 333.0, 1.0), None).cpu_us is None

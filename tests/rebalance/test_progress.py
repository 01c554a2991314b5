"""What is shown of a series: how far the whole is, and each of the moves that are under way."""

import pytest

from shardproxy.cli.progress import Bars, Lines, overall_figures
from shardproxy.rebalance.progress import Overall, Progress

HALF = Overall(
    buckets=100,
    total_buckets=300,
    keys=0,
    total_keys=2,
    rows=5_000,
    total_rows=10_000,
    bytes=1_500_000,
    total_bytes=3_000_000,
    seconds=10.0,
)
NOTHING = Overall(0, 8, 0, 0, 0, 0, 0, 0, 0.0)


def test_the_whole_in_figures() -> None:
    assert overall_figures(HALF) == (
        "100 of 300 buckets, 0 of 2 tenants, 5,000 of 10,000 rows, 1.5 MB of 3.0 MB, 500 rows/s, 0:10 to go"
    )
    assert overall_figures(NOTHING) == "0 of 8 buckets, 0 of 0 rows, 0 bytes of 0 bytes"
    assert NOTHING.to_go is None
    empty = Overall(2, 8, 0, 0, 0, 0, 0, 0, 4.0)
    assert (empty.share, empty.to_go) == (0.25, 12.0)


def test_it_is_in_the_json_of_each_line() -> None:
    said = Progress("copy", "copying", 7, rows=3, overall=HALF).to_json()
    assert said["overall"]["total_buckets"] == 300
    assert "overall" not in Progress("copy", "copying", 7).to_json()


def test_moves_beside_each_other_have_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    for move in (7, 8):
        lines.report(Progress("copy", "copying", move, begins=True, overall=HALF))
    lines.report(Progress("copy", "copying orders", 7, rows=1, overall=HALF))
    written = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in written] == ["move 7 copy", "all", "move 8 copy"]


def test_moves_beside_each_other_have_a_bar_each(capsys: pytest.CaptureFixture[str]) -> None:
    bars = Bars()
    bars.report(Progress("measure", "looking", begins=True))
    for move in (7, 8):
        bars.report(
            Progress("copy", f"copying {move}", move, rows=1, total_rows=2, begins=True, overall=HALF)
        )
    bars.report(Progress("done", "done", 7, begins=True, overall=HALF))
    bars.report(Progress("copy", "copying on", 8, rows=2, total_rows=2, overall=HALF))
    bars.close()
    written = capsys.readouterr().err
    assert "100 of 300 buckets" in written
    assert "copying on" in written
    assert "copying 7" not in written
    assert written.count("measure") == 1

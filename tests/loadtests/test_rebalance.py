import json
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from loadtests.rebalance import __main__ as command
from loadtests.rebalance.chart import svg
from loadtests.rebalance.measure import Load, measure
from loadtests.rebalance.report import Measurement
from loadtests.rebalance.timeline import Bucket, Phase, Sample, buckets, quantile, summarise
from shardproxy.demo.install import Install
from shardproxy.demo.postgres import Server
from tests.support import aio

SCHEMA = Path(command.__file__).with_name("schema.sql").read_text()
PHASES = (Phase("before", 0, 1), Phase("during", 1, 2), Phase("after", 2, 3))
LOCK = """
import sys, time, psycopg
with psycopg.connect(sys.argv[1]) as connection:
    connection.execute("LOCK TABLE accounts")
    time.sleep(0.5)
"""


def test_a_transaction_is_late_where_it_was_due_and_counts_where_it_ended() -> None:
    samples = [Sample("moving", 0.01, 0.002, 0.001), Sample("moving", 0.04, 0.1, 0.08, "40001")]
    assert buckets(samples, "moving") == [
        Bucket(0.0, ended=1, errors=0, p50_ms=2.0, max_ms=100.0, statement_ms=80.0),
        Bucket(0.05, ended=0, errors=0, p50_ms=0.0, max_ms=0.0, statement_ms=0.0),
        Bucket(0.1, ended=1, errors=1, p50_ms=0.0, max_ms=0.0, statement_ms=0.0),
    ]
    assert buckets(samples, "others") == []


def test_phases_are_summed_up_by_group() -> None:
    samples = [
        Sample("moving", 0.5, 0.01, 0.01),
        Sample("moving", 1.0, 0.2, 0.15),
        Sample("others", 1.9, 0.3, 0.1),
    ]
    moving_before, moving_during, others_during = summarise(samples, PHASES)
    assert (moving_before.group, moving_before.phase, moving_before.pause_ms) == ("moving", "before", 10.0)
    assert (moving_during.phase, moving_during.max_ms, moving_during.pause_ms) == ("during", 200.0, 150.0)
    assert (others_during.group, others_during.transactions, others_during.per_second) == ("others", 1, 1.0)


@pytest.mark.parametrize(("share", "value"), [(0.5, 2.0), (0.51, 3.0), (0.99, 4.0), (1, 4.0), (0, 1.0)])
def test_a_quantile_is_one_of_the_values(share: float, value: float) -> None:
    assert quantile([1.0, 2.0, 3.0, 4.0], share) == value


def test_the_picture_has_a_line_for_each_group_in_each_panel() -> None:
    timelines = {group: [Bucket(0.0, 1, 0, 1.0, 2.0, 3.0)] for group in ("moving", "others & more")}
    picture = ElementTree.fromstring(svg(timelines, PHASES, "a <command>"))
    names = [element.tag.rpartition("}")[2] for element in picture.iter()]
    assert names.count("polyline") == 6
    assert names.count("rect") == 1 + 3


def test_a_pause_is_measured(new_server: Callable[..., Server]) -> None:
    server = new_server()
    server.query(SCHEMA)
    dsn = server.dsn()

    async def main() -> Measurement:
        load = Load(rate=100, others_rate=20, accounts=10, connections=4, before=0.3, after=0.3)
        return await measure([dsn], load, [sys.executable, "-c", LOCK, dsn])

    measurement = aio.run(main())
    figures = {(summary.group, summary.phase): summary for summary in measurement.summaries}
    assert measurement.errors == {}
    assert figures["moving", "during"].pause_ms > 400
    assert figures["moving", "during"].max_ms >= figures["moving", "during"].pause_ms
    assert figures["moving", "after"].transactions > 10


def test_errors_of_clients_are_counted(new_server: Callable[..., Server]) -> None:
    server = new_server()  # without the tables
    load = Load(rate=50, others_rate=50, connections=2, before=0.1, after=0.1)
    measurement = aio.run(measure([server.dsn()], load, ["true"]))
    assert set(measurement.errors) == {"moving: 42P01", "others: 42P01"}


def test_the_command_runs_beside_the_application_through_sidecars(
    install: Install, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--accounts",
        "50",
        "--before",
        "0.3",
        "--after",
        "0.3",
        "--connections",
        "4",
        "--sidecars",
        "1",
    ]
    options += ["--rate", "50", "--pg-bin", str(install.bin_dir), "--output", str(tmp_path)]
    move = f"{sys.executable} -m shardproxy tenant move {{tenant}} --to {{target}} -c {{config}} --json"
    shell = f"{move}; echo {{tenant}} from {{source}} to {{target}}; exit 3"
    assert command.main([*options, "--", "sh", "-c", shell]) == 1
    said = capfd.readouterr().out
    assert '"state": "done"' in said
    assert "acme from shard-" in said
    assert "the command ended with 3" in said
    document, picture = sorted(tmp_path.iterdir())
    written = json.loads(document.read_text())
    assert {each["phase"] for each in written["summary"]} >= {"before", "after"}
    assert written["errors"] == {}
    assert len(written["timeline"]["moving"]) >= 12
    ElementTree.parse(picture)

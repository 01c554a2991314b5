from pathlib import Path

import pytest

from loadtests import pgbench
from loadtests.errors import BenchError
from loadtests.pgbench import Load, Mode, Outcome, Script

SUMMARY = """\
pgbench (18.6)
transaction type: select-only.sql
scaling factor: 1
query mode: simple
number of clients: 16
number of threads: 1
maximum number of tries: 1
duration: 1 s
number of transactions actually processed: 38353
number of failed transactions: 0 (0.000%)
latency average = 0.416 ms
initial connection time = 15.250 ms
tps = 38445.119922 (without initial connection time)
"""


def test_the_summary_is_read() -> None:
    assert pgbench.parse(SUMMARY) == Outcome(transactions=38353, tps=38445.119922, latency_ms=0.416)


def test_failed_transactions_are_an_error() -> None:
    with pytest.raises(BenchError, match="3 transactions failed"):
        pgbench.parse(SUMMARY.replace("failed transactions: 0 (", "failed transactions: 3 ("))


def test_a_summary_without_figures_is_an_error() -> None:
    with pytest.raises(BenchError, match="not understood"):
        pgbench.parse("pgbench: something else\n")


def test_a_script_counts_its_statements() -> None:
    assert (Script.SELECT_ONLY.statements, Script.TPCB_LIKE.statements) == (1, 7)


def test_every_statement_names_its_tenant() -> None:
    for script in Script:
        for line in script.path.read_text().splitlines():
            assert line.startswith("\\set") or line in ("BEGIN;", "END;") or ":tenant" in line


def test_a_program_that_fails_is_an_error_with_its_words(tmp_path: Path) -> None:
    load = Load(Script.SELECT_ONLY, Mode.SIMPLE, 1, 1, 1)
    program = tmp_path / "pgbench"
    program.write_text("#!/bin/sh\necho 'connection refused' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(BenchError, match="connection refused"):
        pgbench.run(pgbench.command(program, load, port=1, user="u", dbname="d"), timeout=10)
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(BenchError, match="did not end"):
        pgbench.run(pgbench.command(program, load, port=1, user="u", dbname="d"), timeout=0.1)

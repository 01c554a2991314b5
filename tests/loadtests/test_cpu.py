import os
import subprocess
import sys

from loadtests import cpu

BURN = "import time\nwhile time.process_time() < 0.2: pass\nprint('burnt', flush=True)\ninput()"


def test_time_of_a_living_grandchild_counts() -> None:
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    with subprocess.Popen(
        [sys.executable, "-c", parent, BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert len(cpu.descendants(process.pid)) == 1
        used = cpu.seconds(process.pid)
        assert process.stdin is not None
        process.stdin.write("\n")
    assert 0.19 <= used < 2


def test_it_is_what_the_system_counts_for_ourselves() -> None:
    times = os.times()
    assert cpu.seconds(os.getpid()) >= times.user + times.system - 0.05


def test_a_process_that_has_ended_has_used_nothing() -> None:
    done = subprocess.Popen(["true"])
    done.wait()
    assert cpu.seconds(done.pid) == 0

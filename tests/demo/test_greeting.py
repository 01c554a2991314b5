"""What the demo says in a terminal is true, and what it says to try works."""

import os
import re
import subprocess
import urllib.request

from shardproxy.demo.postgres import Install
from tests.demo.test_command import ROOT, SMALL, command
from tests.support.terminal import Terminal


def test_progress_then_where_to_connect_and_what_to_try_until_ctrl_c(install: Install) -> None:
    with Terminal(command(install, *SMALL), os.environ | {"TERM": "xterm"}) as terminal:
        said = terminal.expect(r"Ctrl-C stops everything and throws the data away", timeout=60)
        for phase in (
            "starting 2 shards",
            "starting 2 replicas",
            "loading 60 orders",
            "making it an installation",
            "starting the sidecar",
        ):
            assert f"✓ {phase}" in said
        assert "2 shards, 2 replicas, 6 tenants, 60 orders on PostgreSQL" in said

        dsn = re.search(r"connect +\S*psql '(\S+)'", said)
        metrics = re.search(r"metrics +(http://\S+)", said)
        assert dsn is not None
        assert metrics is not None
        with urllib.request.urlopen(metrics[1], timeout=10) as page:
            assert b"shardproxy_queries_total" in page.read()

        tries = re.findall(r"^  ((?:\\d|SELECT|SET|RESET) .*)$", said, re.MULTILINE)
        *work, refused = tries
        assert len(work) == 5
        answered = psql(install, dsn[1], *work)
        assert "ERROR" not in answered
        assert {"shard-a", "shard-b", "shard-a-replica-1"} & set(answered.split())
        assert "DELETE over several shards" in psql(install, dsn[1], refused)

        console = re.search(r"console +\S*psql '(\S+)'", said)
        assert console is not None
        assert "shard-b" in psql(install, console[1], "SHOW SHARDS;")

        commands = re.findall(r"^  (\S.* (?:tenant|moves) (?:list|move) .*)$", said, re.MULTILINE)
        assert len(commands) == 3
        listed, moved, moves = (shell(each) for each in commands)
        assert "acme" in listed
        assert "move 1 done" in moved
        assert "done" in moves

        terminal.send("\x03")
        terminal.expect("stopping")
        assert terminal.process.wait(30) == 0


def shell(command: str) -> str:
    done = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60, check=True
    )
    return done.stdout


def psql(install: Install, dsn: str, *lines: str) -> str:
    done = subprocess.run(
        [str(install.bin("psql")), "-X", dsn],
        input="\n".join(lines),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PAGER": "cat"},
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout

"""The sockets that applications connect to."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.support.cluster import Cluster
from tests.support.proxy import ROOT, Proxy


def answers(dsn: str) -> bool:
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def over_socket(directory: Path, port: int) -> str:
    return f"postgresql://app:app@/shop?host={directory}&port={port}"


def test_several_addresses_and_unix_sockets_are_served_at_once(cluster: Cluster, tmp_path: Path) -> None:
    listen = [
        "127.0.0.1:0",
        "127.0.0.1:0",
        f"{tmp_path}:6001",
        {"unix": str(tmp_path), "port": 6002, "unix_mode": "0700"},
    ]
    with Proxy(cluster.config(listen=listen)) as proxy:
        line = proxy.wait_for_log(r"listening on ([^\n]*)")[1]
        ports = [int(part.rpartition(":")[2]) for part in line.split(", ")[:2]]
        assert len(set(ports)) == 2
        for port in ports:
            assert answers(f"postgresql://app:app@127.0.0.1:{port}/shop")
        for port, mode in ((6001, 0o777), (6002, 0o700)):
            assert answers(over_socket(tmp_path, port))
            path = tmp_path / f".s.PGSQL.{port}"
            assert stat.S_IMODE(path.stat().st_mode) == mode
    assert list(tmp_path.iterdir()) == [], "the sockets go with the process"


def test_the_socket_of_a_dead_process_is_taken_over(cluster: Cluster, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / ".s.PGSQL.6001"))
    with Proxy(cluster.config(listen=["127.0.0.1:0", f"{tmp_path}:6001"])):
        assert answers(over_socket(tmp_path, 6001))


@pytest.mark.parametrize("kind", ["tcp", "unix", "http"])
def test_an_address_that_is_taken_is_named_and_the_process_ends(
    proxy: Proxy, cluster: Cluster, tmp_path: Path, kind: str
) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / ".s.PGSQL.6001"))
        other.listen()
        taken = {
            "tcp": ({"listen": [f"127.0.0.1:{proxy.port}"]}, f"cannot listen on 127.0.0.1:{proxy.port}"),
            "unix": ({"listen": [f"{tmp_path}:6001"]}, f"cannot listen on {tmp_path}:6001"),
            "http": (
                {"http": {"host": "127.0.0.1", "port": proxy.http_port}},
                f"cannot listen on http 127.0.0.1:{proxy.http_port}",
            ),
        }
        options, message = taken[kind]
        late = Proxy(cluster.config(**options))
        late.write_config()
        done = subprocess.run(
            [sys.executable, "-m", "shardproxy", "serve", "-c", str(late.path)],
            check=False,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
        )
        late.directory.cleanup()
        assert done.returncode != 0
        assert message in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert os.listdir(tmp_path) == [".s.PGSQL.6001"], "what somebody listens on is left alone"

"""Port leases: no two holders, in this process or another."""

import fcntl
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from shardproxy.demo.errors import DemoError
from shardproxy.demo.ports import PortLease

ROOT = Path(__file__).resolve().parents[2]


def test_a_leased_port_is_leased_to_nobody_else_until_it_is_released() -> None:
    lease = PortLease.take()
    with pytest.raises(DemoError, match=f"port {lease.port} on 127.0.0.1 is taken"):
        PortLease.take(lease.port, only=True)
    code = f"from shardproxy.demo.ports import PortLease; print(PortLease.take({lease.port}).port)"
    other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(other.stdout) != lease.port
    lease.release()
    again = PortLease.take(lease.port, only=True)
    assert again.port == lease.port
    again.release()


def test_a_port_somebody_listens_on_is_not_leased() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        lease = PortLease.take(port)
        assert lease.port != port
        lease.release()
        with pytest.raises(DemoError, match="is taken"):
            PortLease.take(port, only=True)


def test_a_released_lease_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    leases = [PortLease.take(), PortLease.take()]
    assert len(list(tmp_path.glob("*/*"))) == 2
    for lease in leases:
        lease.release()
    assert list(tmp_path.iterdir()) == []


def test_a_lease_released_between_our_look_and_our_lock_is_taken_properly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = PortLease.take()
    lock = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        monkeypatch.undo()
        held.release()
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    lease = PortLease.take(held.port, only=True)
    with pytest.raises(DemoError, match="is taken"):
        PortLease.take(held.port, only=True)
    lease.release()

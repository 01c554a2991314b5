"""The test servers in containers, where a Docker engine runs (``-m docker``); never required."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import quote

IMAGE = "postgres:18"


@cache
def missing() -> str | None:
    """Why there are no containers here, None where there can be."""
    if shutil.which("docker") is None:
        return "no docker command"
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        return "docker info does not answer"
    if done.returncode != 0:
        return "no Docker engine: " + (done.stderr.strip().splitlines() or ["docker info failed"])[-1]
    return None


class ContainerServer:
    """One PostgreSQL in a container, with as much of ``demo.postgres.Server`` as can be had."""

    def __init__(self, container: Any) -> None:
        self._container = container

    @property
    def port(self) -> int:
        """The published TCP port."""
        return int(self._container.get_exposed_port(5432))

    def dsn(self, *, user: str = "postgres", password: str | None = None, dbname: str = "postgres") -> str:
        """A libpq URI over TCP."""
        secret = self._container.password if password is None else password
        host = self._container.get_container_host_ip()
        return f"postgresql://{quote(user)}:{quote(secret, safe='')}@{host}:{self.port}/{quote(dbname)}"

    def query(self, sql: str, *, dbname: str = "postgres", user: str = "postgres") -> str:
        """Run SQL with psql inside of the container, as Server.query does."""
        words = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", user, "-d", dbname, "-c", sql]
        status, output = self._container.exec(words)
        if status != 0:
            raise RuntimeError(output.decode())
        return str(output.decode().removesuffix("\n"))

    def kill(self) -> None:
        """SIGKILL to every process of the container."""
        self._container.get_wrapped_container().kill()

    def start(self) -> "ContainerServer":
        """Start it again after :meth:`stop` or :meth:`kill`, and wait until it accepts connections."""
        self._container.get_wrapped_container().start()
        deadline = time.monotonic() + 60
        while self._container.exec(["pg_isready", "-q", "-h", "127.0.0.1"])[0] != 0:
            if time.monotonic() > deadline:
                raise TimeoutError("the container's server does not accept connections")
            time.sleep(0.05)
        return self

    def stop(self, mode: str = "fast") -> None:
        """Stop the container: SIGINT for fast, SIGTERM for smart, SIGQUIT for immediate."""
        number = {"smart": "SIGTERM", "fast": "SIGINT", "immediate": "SIGQUIT"}[mode]
        wrapped = self._container.get_wrapped_container()
        wrapped.kill(signal=number)
        wrapped.wait()

    def pause(self) -> None:
        """Freeze every process."""
        self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        """The end of :meth:`pause`."""
        self._container.get_wrapped_container().unpause()


@contextmanager
def server(image: str = IMAGE) -> Iterator[ContainerServer]:
    """A running server that is removed at the end of the block."""
    from testcontainers.postgres import PostgresContainer

    with PostgresContainer(image, username="postgres", dbname="postgres", driver=None) as container:
        yield ContainerServer(container)

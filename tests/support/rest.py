"""Looking at the proxy and its shards from outside: metrics, what runs on a server, and waiting for rest."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psycopg
from prometheus_client.parser import text_string_to_metric_families

from shardproxy.demo.cluster import APP_USER
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy

POLL = 0.01
_OWN = "('shardproxy monitor', 'shardproxy schema', 'shardproxy start', 'shardproxy follower')"
SERVING = (
    "SELECT pid, state, client_port FROM pg_stat_activity WHERE backend_type = 'client backend'"
    f" AND usename = '{APP_USER}' AND application_name NOT IN {_OWN}"
)
"""The server connections that serve clients, as a superuser sees them."""


def wait_until(condition: Callable[[], Any], what: str, timeout: float = 15.0) -> Any:
    """Return the first true value of ``condition``; AssertionError naming ``what`` after ``timeout`` s."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(POLL)
    return value


def metric(proxy: Proxy, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    return sum(value for at, value in samples(proxy, name) if labels.items() <= at.items())


def samples(proxy: Proxy, name: str) -> list[tuple[dict[str, str], float]]:
    """A metric's samples with their labels."""
    with urlopen(f"http://127.0.0.1:{proxy.http_port}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return [
            (each.labels, each.value) for family in families for each in family.samples if each.name == name
        ]


@contextmanager
def superuser(dsn: str) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
    """A function that runs SQL on a server as the superuser, outside of transactions."""
    with psycopg.connect(dsn, autocommit=True) as connection:

        def run(sql: str) -> list[tuple[Any, ...]]:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

        yield run


@contextmanager
def locked(cluster: Cluster, *shards: int, table: str = "orders") -> Iterator[None]:
    """Nobody can read ``table`` on these shards: statements on it wait until the block ends."""
    with ExitStack() as stack:
        for shard in shards:
            connection = stack.enter_context(psycopg.connect(cluster.dsn(shard, superuser=True)))
            connection.execute(f"LOCK TABLE {table}")
        yield


def wait_until_blocked(cluster: Cluster, *shards: int, count: int = 1) -> None:
    """Return when ``count`` statements of clients wait for a lock on each of the shards."""
    for shard in shards:
        with superuser(cluster.dsn(shard, superuser=True)) as run:
            wait_until(
                lambda run=run: len(run(f"{SERVING} AND wait_event_type = 'Lock'")) == count,  # type: ignore[misc]
                f"{count} blocked on shard {shard}",
            )


def at_rest(proxy: Proxy, cluster: Cluster) -> None:
    """Return when no session holds a server connection, nothing runs, and no connection was forgotten."""
    states = ("active", "connecting")
    wait_until(
        lambda: (
            not sum(metric(proxy, "shardproxy_pool_connections", state=state) for state in states)
            and not metric(proxy, "shardproxy_pool_waiting")
        ),
        "every server connection back in its pool",
    )
    for shard, each in enumerate(cluster.shards):
        pooled = {"shard": each.name, "role": "primary", "state": "idle"}
        with superuser(cluster.dsn(shard, superuser=True)) as run:

            def settled(run: Any = run, pooled: dict[str, str] = pooled) -> bool:
                mine = [row for row in run(SERVING) if row[2] in ports(proxy)]
                known = metric(proxy, "shardproxy_pool_connections", **pooled)
                return len(mine) == known and all(state == "idle" for _, state, _ in mine)

            wait_until(settled, f"{each.name} and its pool agree on what there is, all of it idle")


def ports(proxy: Proxy) -> set[int]:
    """The local ports of the proxy's TCP connections."""
    mine = set()
    for descriptor in Path(f"/proc/{proxy.pid}/fd").iterdir():
        try:
            mine.add(str(descriptor.readlink()))
        except FileNotFoundError:  # closed meanwhile
            pass
    lines = Path(f"/proc/{proxy.pid}/net/tcp").read_text().splitlines()[1:]
    columns = [line.split() for line in lines]
    return {int(each[1].partition(":")[2], 16) for each in columns if f"socket:[{each[9]}]" in mine}


def resident_bytes(proxy: Proxy) -> int:
    """The proxy's memory now."""
    pages = int(Path(f"/proc/{proxy.pid}/statm").read_text().split()[1])
    return pages * 4096

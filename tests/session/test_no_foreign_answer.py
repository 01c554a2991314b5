"""No answer reaches anybody but who asked: many clients share few server connections, every row carries the
client and the number of its request, and clients hang up, cancel, time out and pipeline at random.

SHARDPROXY_REQUESTS is how many requests each client makes, SHARDPROXY_SEED what the randomness starts from.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from random import Random

import pytest

from shardproxy.wire import server_messages as msg
from shardproxy.wire.client_messages import FLUSH, SYNC, bind, describe, execute, parse
from tests.session.scripts.vocabulary import q
from tests.support.cluster import Cluster
from tests.support.proxy import Proxy
from tests.support.wire_client import Message, WireClient

CLIENTS = 32
CONNECTIONS = 3
REQUESTS = int(os.environ.get("SHARDPROXY_REQUESTS", "200"))
SEED = os.environ.get("SHARDPROXY_SEED", "foreign")
CANCELLED = "57014"
BY_KEY = b"SELECT $1::text, pg_backend_pid(), tenant_id FROM tenants WHERE tenant_id = $2"
MANY = b"SELECT $1::text, pg_backend_pid(), tenant_id FROM products WHERE tenant_id = $2"


@pytest.fixture(scope="module")
def narrow(cluster: Cluster) -> Iterator[Proxy]:
    """A proxy with three server connections to each shard."""
    with Proxy(cluster.config(pool={"size": CONNECTIONS})) as proxy:
        yield proxy


class Asker:
    """One client. ``queries`` counts those that were answered, ``servers`` the connections that answered."""

    def __init__(self, dsn: str, number: int, tenants: list[str]) -> None:
        self.dsn = dsn
        self.number = number
        self.random = Random(f"{SEED}-{number}")
        self.tenants = tenants
        self.queries = 0
        self.servers: set[bytes] = set()
        self.mark = ""
        self.prepared: WireClient | None = None
        self.client: WireClient | None = None

    def run(self) -> None:
        """Make all requests."""
        kinds = (
            (30, self.simple),
            (20, self.extended),
            (15, self.pipeline),
            (8, self.transaction),
            (8, self.by_the_piece),
            (8, self.fan_out),
            (4, self.hang_up),
            (4, self.cancel),
            (3, self.time_out),
        )
        requests = [request for _, request in kinds]
        with ExitStack() as stack:
            stack.callback(self.disconnect)
            for i in range(REQUESTS):
                self.mark = f"{self.number}.{i}"
                self.random.choices(requests, [weight for weight, _ in kinds])[0]()

    @property
    def connection(self) -> WireClient:
        if self.client is None:
            self.client = WireClient(self.dsn)
        return self.client

    def disconnect(self) -> None:
        client, self.client = self.client, None
        if client is not None:
            client.close()

    @property
    def tenant(self) -> str:
        return self.random.choice(self.tenants)

    def ask(self, data: bytes, ends: str = "Z") -> list[Message]:
        """Send, read, and check every row; the answer must be without error."""
        self.connection.send(data)
        return self.check(self.connection.read(ends))

    def check(self, answer: list[Message], sqlstate: str | None = None) -> list[Message]:
        for kind, body in answer:
            if kind == ord("D"):
                mark, server, *_ = msg.parse_data_row(body)
                assert mark == self.mark.encode(), f"a row of {mark!r} reached {self.mark}"
                if server:
                    self.servers.add(server)
            elif kind == ord("C"):
                self.queries += 1
            elif kind == ord("E"):
                fields = msg.parse_error(body)
                assert fields["C"] == sqlstate, f"{self.mark}: {fields}"
        return answer

    def by_key(self) -> str:
        return f"SELECT '{self.mark}', pg_backend_pid(), tenant_id FROM tenants WHERE tenant_id = '{self.tenant}'"

    # --- kinds of requests ----------------------------------------------------------------------------------

    def simple(self) -> None:
        assert sum(kind == ord("D") for kind, _ in self.ask(q(self.by_key()))) == 1

    def extended(self) -> None:
        """A named statement, prepared once."""
        connection = self.connection
        data = b"" if connection is self.prepared else parse(b"by_key", BY_KEY)
        self.prepared = connection
        self.ask(data + self.bound(b"by_key") + SYNC)

    def bound(self, name: bytes) -> bytes:
        values = [self.mark.encode(), self.tenant.encode()]
        return bind(b"", name, values=values) + describe(b"P", b"") + execute()

    def pipeline(self) -> None:
        """Several at once, one of which may fail."""
        count = self.random.randint(2, 6)
        failing = self.random.randrange(count * 2)
        data = b"".join(
            q("SELECT 1/0") if i == failing else parse(b"", BY_KEY) + self.bound(b"") + SYNC
            for i in range(count)
        )
        self.connection.send(data)
        self.check(self.connection.read("Z" * count), "22012")

    def transaction(self) -> None:
        tenant = self.tenant
        sql = f"SELECT '{self.mark}', pg_backend_pid() FROM tenants WHERE tenant_id = '{tenant}'"
        servers, self.servers = self.servers, set()
        self.ask(q("BEGIN"))
        for _ in range(3):
            self.ask(q(sql))
        assert len(self.servers) == 1, "a transaction stays where it is"
        self.servers |= servers
        self.ask(q(self.random.choice(("COMMIT", "ROLLBACK"))))

    def by_the_piece(self) -> None:
        """Row limits and Flush without Sync; Sync at last."""
        tenant = self.tenant.encode()
        data = parse(b"", MANY) + bind(b"", b"", values=[self.mark.encode(), tenant])
        self.ask(data + execute(b"", 1) + FLUSH, "s")
        if self.random.random() < 0.5:
            self.ask(execute(b"", 1) + FLUSH, "s")
        self.ask(SYNC)

    def fan_out(self) -> None:
        self.ask(q(f"SELECT '{self.mark}', '', tenant_id FROM tenants"))

    def hang_up(self) -> None:
        """In the middle of an answer, or of a transaction, or of a message."""
        leave = self.random.choice(
            (
                q(
                    f"SELECT '{self.mark}', repeat('x', 1000), p.* FROM products p WHERE tenant_id = '{self.tenant}'"
                ),
                q(self.slow()),
                q("BEGIN") + q(self.by_key()),
                parse(b"", MANY)
                + bind(b"", b"", values=[self.mark.encode(), self.tenant.encode()])
                + execute(),
                q(self.by_key())[:-5],
            )
        )
        connection, self.client = self.connection, None
        connection.send(leave)
        connection.abort()

    def slow(self) -> str:
        return f"{self.by_key()} AND pg_sleep(10) IS NOT NULL"

    def cancel(self) -> None:
        """Its own request, which takes too long, or too late."""
        if self.random.random() < 0.5:
            self.simple()
            self.connection.cancel()
            self.simple()
            return
        self.connection.send(q(self.slow()))
        while True:  # the first may come before the query runs, and then does nothing
            self.connection.cancel()
            self.connection.socket.settimeout(0.5)
            try:
                self.check(self.connection.read("Z"), CANCELLED)
                break
            except TimeoutError:
                continue
            finally:
                self.connection.socket.settimeout(10)

    def time_out(self) -> None:
        self.ask(q("BEGIN") + q("SET LOCAL statement_timeout = '3ms'"), "ZZ")
        self.connection.send(q(self.slow()) + q("ROLLBACK"))
        self.check(self.connection.read("ZZ"), CANCELLED)


def test_every_row_reaches_who_asked_for_it(cluster: Cluster, narrow: Proxy) -> None:
    tenants = [tenant for shard in range(len(cluster.shards)) for tenant in cluster.tenants_of(shard)[:3]]
    askers = [Asker(narrow.dsn(), i, tenants) for i in range(CLIENTS)]
    run: Callable[[Asker], None] = Asker.run
    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(run, askers))
    assert all(len(asker.servers) >= CONNECTIONS for asker in askers), "each client is served by many"
    assert sum(asker.queries for asker in askers) > CLIENTS * REQUESTS
    assert "Traceback" not in narrow.log, narrow.log

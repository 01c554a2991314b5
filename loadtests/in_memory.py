"""What a query costs in the proxy's own code: one client, one server, no sockets and no kernel.

``python -m loadtests.in_memory`` prints microseconds of processor time for each statement, the best of
several passes, which hardly depends on what else the machine does. Left out is what any proxy pays: system
calls, and what the event loop does around them.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final, cast

import uvloop

from shardproxy.backend.connection import ServerConnection
from shardproxy.backend.pool import PoolOptions
from shardproxy.backend.server import Address, Login, SocketOptions
from shardproxy.backend.shards import BackendOptions, ServerSpec, Shards, ShardSpec
from shardproxy.counters import Counters
from shardproxy.frontend.connection import ClientConnection
from shardproxy.frontend.gate import Gate
from shardproxy.frontend.options import FrontendOptions
from shardproxy.frontend.registry import Registry
from shardproxy.session.prepared import Descriptions
from shardproxy.session.settings import NO_SETTINGS
from shardproxy.session.shared import SessionOptions, Shared
from shardproxy.sql.isolation import Isolator
from shardproxy.sql.planner import Planner
from shardproxy.sql.schema import Column, Relation, Schema
from shardproxy.topology import shard_map
from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.tables import Sharded, TableRules
from shardproxy.wire import client_messages, server_messages
from shardproxy.wire.authenticate import AuthMethod
from shardproxy.wire.frames import FrameReader

SHARDS: Final = 4
TEXTS: Final = 64
"""Different keys in the statements of one pass."""

_TABLE: Final = ("public", "accounts")
_INT4, _INT8 = 23, 20


class Pipe:
    """A transport's end that leads nowhere: what was written waits in ``written``."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Keep what the proxy sends."""
        self.written.append(data)

    def take(self) -> bytes:
        """What was written since the last time."""
        written = self.written
        data = written[0] if len(written) == 1 else b"".join(written)
        written.clear()
        return data

    def set_protocol(self, protocol: object) -> None:
        """Nothing: who writes here is known."""

    def set_write_buffer_limits(self, high: int) -> None:
        """Nothing: it is never full."""

    def get_extra_info(self, name: str) -> None:
        """There is no socket."""


class Server(Pipe):
    """The server's end: answers as PostgreSQL would, every query with the same row.

    It puts itself into ``busy`` when something has come. ``_status`` is its ReadyForQuery byte.
    """

    row: Final = server_messages.row_description([server_messages.Column("abalance", _INT4)])
    result: Final = server_messages.data_row(["12345"]) + server_messages.command_complete("SELECT 1")

    def __init__(self, busy: "list[Server]") -> None:
        super().__init__()
        self.connection = ServerConnection(1, b"1234", {}, NO_SETTINGS)
        self.connection.adopt(cast("asyncio.Transport", self))
        self._busy = busy
        self._status = server_messages.READY_IDLE
        self._known: dict[tuple[bytes, int], tuple[bytes, int]] = {}

    def write(self, data: bytes) -> None:
        """A request has come."""
        self.written.append(data)
        self._busy.append(self)

    def work(self) -> None:
        """Answer what has come; answers are remembered, so that making them costs nothing while measuring."""
        data = self.take()
        question = (data, self._status)
        found = self._known.get(question)
        if found is None:
            answer = b"".join(self._answer(kind, body) for kind, body in FrameReader(1 << 20).feed(data))
            found = self._known[question] = (answer, self._status)
        answer, self._status = found
        if answer:
            self.connection.data_received(answer)

    def _answer(self, kind: int, body: bytes) -> bytes:
        match chr(kind):
            case "Q":
                done = [self._run(sql) for sql in body.rstrip(b"\0; ").split(b";")]
                return b"".join(done) + server_messages.ready_for_query(self._status)
            case "P":
                return server_messages.PARSE_COMPLETE
            case "B":
                return server_messages.BIND_COMPLETE
            case "D" if body[:1] == b"S":
                return server_messages.parameter_description([_INT4, _INT4]) + self.row
            case "D":
                return self.row
            case "E":
                return self.result
            case "C":
                return server_messages.CLOSE_COMPLETE
            case "S":
                return server_messages.ready_for_query(self._status)
        return b""

    def _run(self, sql: bytes) -> bytes:
        word = sql.split()[0].decode().upper()
        if word == "SELECT":
            return self.row + self.result
        if word in ("BEGIN", "COMMIT"):
            begun = word == "BEGIN"
            self._status = server_messages.READY_TRANSACTION if begun else server_messages.READY_IDLE
        return server_messages.command_complete(word)


class InMemory:
    """One client of a proxy whose shards are :class:`Server` each."""

    def __init__(self) -> None:
        self.busy: list[Server] = []
        self.pipe = Pipe()
        self.client: ClientConnection | None = None

    async def connect(self) -> None:
        """Log the client in."""
        gate = Gate(FrontendOptions("bench", AuthMethod.TRUST), self._shared(), Registry(10), SocketOptions())
        self.client = client = ClientConnection(gate)
        client.connection_made(cast("asyncio.Transport", self.pipe))
        await self.settle(client_messages.startup({"user": "bench", "database": "bench"}))

    def _shared(self) -> Shared:
        columns = tuple(Column(name, _INT4, "integer") for name in ("tenant_id", "aid", "abalance"))
        schema = Schema({_TABLE: Relation(*_TABLE, "r", columns)}, {}, frozenset())
        rules = TableRules({_TABLE: Sharded("tenant_id", "tenant")}, {"tenant": KeyFamily.INTEGER}, "tenant")
        names = [f"shard-{number}" for number in range(SHARDS)]
        spec = ServerSpec(Address("/nowhere", 5432), Login("bench", "bench"))
        options = BackendOptions(PoolOptions(), PoolOptions(), SocketOptions())
        counters = Counters()
        shards = Shards([ShardSpec(name, spec) for name in names], options, counters, NO_SETTINGS)
        for pool in shards.pools:
            pool.opener = self._open
        return Shared(
            options=SessionOptions(),
            planner=Planner(schema, rules),
            isolator=Isolator(schema, rules),
            shard_map=shard_map.build([shard_map.ShardSpec(name) for name in names], rules),
            shards=shards,
            counters=counters,
            descriptions=Descriptions(1 << 20),
            search_path=("public",),
            schema_changed=lambda: None,
        )

    async def _open(self) -> ServerConnection:
        return Server(self.busy).connection

    async def settle(self, request: bytes) -> bytes:
        """Send a request whose answer may take several turns of the loop."""
        assert self.client is not None
        self.client.data_received(request)
        answer = b""
        while answer[-6:-1] != b"Z\0\0\0\5":
            await asyncio.sleep(0)
            while self.busy:
                self.busy.pop().work()
            answer += self.pipe.take()
        return answer

    def ask(self, request: bytes) -> bytes:
        """Send a request that waits for nothing but its servers."""
        self.client.data_received(request)  # type: ignore[union-attr]
        busy = self.busy
        while busy:
            busy.pop().work()
        return self.pipe.take()


def simple(tenant: int) -> list[bytes]:
    """A query with its values in the text."""
    sql = f"SELECT abalance FROM accounts WHERE tenant_id = {tenant} AND aid = {tenant * 7};"
    return [client_messages.query(sql.encode())]


def _bound(name: bytes, tenant: int) -> bytes:
    values = [str(tenant).encode(), str(tenant * 7).encode()]
    bind = client_messages.bind(b"", name, values=values)
    return bind + client_messages.describe(b"P", b"") + client_messages.execute() + client_messages.SYNC


_PARAMETRISED: Final = b"SELECT abalance FROM accounts WHERE tenant_id = $1 AND aid = $2;"


def extended(tenant: int) -> list[bytes]:
    """Parse, Bind, Describe, Execute and Sync."""
    return [client_messages.parse(b"", _PARAMETRISED) + _bound(b"", tenant)]


def prepared(tenant: int) -> list[bytes]:
    """Bind, Describe, Execute and Sync of a statement that :data:`PREPARE` has prepared."""
    return [_bound(b"s1", tenant)]


PREPARE: Final = client_messages.parse(b"s1", _PARAMETRISED) + client_messages.SYNC


def transaction(tenant: int) -> list[bytes]:
    """BEGIN, two queries and COMMIT, each a message of its own."""
    return [
        client_messages.query(b"BEGIN"),
        *simple(tenant),
        *simple(tenant),
        client_messages.query(b"COMMIT"),
    ]


SHAPES: Final[dict[str, Callable[[int], list[bytes]]]] = {
    function.__name__: function for function in (simple, extended, prepared, transaction)
}


def measure(proxy: InMemory, requests: Sequence[bytes], passes: int, repeats: int) -> float:
    """Microseconds of processor time for each of ``requests``: the best of ``passes``."""
    best = float("inf")
    for _ in range(passes):
        begun = time.process_time_ns()
        for _ in range(repeats):
            for request in requests:
                proxy.ask(request)
        best = min(best, (time.process_time_ns() - begun) / (repeats * len(requests)))
    return best / 1000


async def run(shapes: Sequence[str], passes: int, repeats: int) -> dict[str, float]:
    """Measure each of ``shapes``."""
    proxy = InMemory()
    await proxy.connect()
    await proxy.settle(PREPARE)
    found = {}
    for name in shapes:
        requests = [request for tenant in range(TEXTS) for request in SHAPES[name](tenant)]
        for request in requests:
            await proxy.settle(request)
        found[name] = measure(proxy, requests, passes, repeats)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.in_memory", description=__doc__)
    parser.add_argument("--shape", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--passes", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=10, help=f"times {TEXTS} statements in a pass")
    options = parser.parse_args(arguments)
    found = uvloop.run(run(options.shape, options.passes, options.repeats))
    for name, cost in found.items():
        print(f"{name:12} {cost:7.2f} µs")
    return 0


if __name__ == "__main__":
    sys.exit(main())

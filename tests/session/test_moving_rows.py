"""What a client sees of rows that move: a pause at most. The map and the fence are set by hand here, step by step."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import psycopg
import pytest

from shardproxy.catalog import maps
from shardproxy.catalog.locks import CLASS_GUARD
from shardproxy.demo.cluster import DATABASE
from shardproxy.demo.postgres import Install, Run
from shardproxy.topology.moves import Moving
from shardproxy.topology.shard_map import ShardMap
from tests.histories.installed import Installed
from tests.histories.installed import installed as start
from tests.histories.shards import TENANTS
from tests.support import aio, rest
from tests.support.proxy import Proxy

MOVING, BESIDE = TENANTS[0], TENANTS[1]
"""Two tenants of one shard."""
KEY = ("tenant", MOVING.encode())
BALANCE = "SELECT balance FROM accounts WHERE tenant_id = $1"
SUMS = "SELECT tenant_id, sum(balance)::bigint FROM accounts GROUP BY tenant_id"


@pytest.fixture(scope="module")
def installed(install: Install) -> Iterator[Installed]:
    with Run(install) as run, start(run, sidecars=1) as installed:
        yield installed


@pytest.fixture
def moves(installed: Installed) -> Iterator["Moves"]:
    installed.shards.clear()
    moves = Moves(installed)
    yield moves
    moves.end()


@dataclass
class Moves:
    """One move of MOVING, of which the source says balance 1, and the target 2. ``source`` and ``target`` are
    shards.
    """

    installed: Installed

    def __post_init__(self) -> None:
        self.source = self.installed.shards.owner(MOVING)
        self.target = (self.source + 1) % 3
        self.move = Moving(1, self.source, self.target, keys=frozenset({KEY}))
        for tenant in (MOVING, BESIDE):
            self.on(self.source, f"INSERT INTO accounts VALUES ('{tenant}', 1, 1)")
        self.on(self.target, f"INSERT INTO accounts VALUES ('{MOVING}', 1, 2)")

    @property
    def proxy(self) -> Proxy:
        """The sidecar."""
        return self.installed.sidecars[0]

    def on(self, shard: int, sql: str) -> str:
        """Run SQL on a shard's primary."""
        return self.installed.shards.shards[shard].primary.query(sql, dbname=DATABASE)

    def begin(self) -> None:
        """The rows are moving, and the sidecar knows it."""
        self.on(self.source, "INSERT INTO shardproxy.moving VALUES (1, 'moving', 'there')")
        self.publish(lambda the_map: replace(the_map, moves=(self.move,)))

    def fence(self) -> None:
        """As the cut-over does it: the lock alone, then the state."""
        self.on(
            self.source,
            f"BEGIN; SELECT pg_advisory_xact_lock({CLASS_GUARD}, 1); "
            "UPDATE shardproxy.moving SET state = 'fenced'; COMMIT",
        )

    def flip(self) -> None:
        """The target owns them."""
        moved = replace(self.move, moved=True)
        self.publish(lambda m: replace(m, moves=(moved,), placements={**m.placements, KEY: self.target}))

    def end(self) -> None:
        """As if nothing had happened."""
        self.publish(lambda m: replace(m, moves=(), placements={}))
        self.on(self.source, "DELETE FROM shardproxy.moving")

    def publish(self, change: Callable[[ShardMap], ShardMap]) -> None:
        """Put a map into force, and return when the sidecar has it."""
        epoch = aio.run(self._publish(change)).epoch
        rest.wait_until(
            lambda: rest.metric(self.proxy, "shardproxy_map_epoch") == epoch, "the map is followed"
        )

    async def _publish(self, change: Callable[[ShardMap], ShardMap]) -> ShardMap:
        shards = self.installed.shards
        connections = [await asyncpg.connect(shards.operator_dsn(shard.primary)) for shard in shards.shards]
        try:
            concerned = {shards.shards[i].name: connections[i] for i in (self.source, self.target)}
            return await maps.publish(connections[0], change, "by hand", concerned)
        finally:
            for connection in connections:
                await connection.close()

    def held(self) -> int:
        """How many connections hold the move up."""
        return int(
            self.on(
                self.source,
                f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = {CLASS_GUARD} AND granted",
            )
        )

    def wait_until_held(self, count: int) -> None:
        """Return when so many connections do."""
        rest.wait_until(lambda: self.held() == count, f"{count} connections hold the move up")

    def wait_until_somebody_waits(self) -> None:
        """Return when a statement waits for a newer map."""
        rest.wait_until(lambda: rest.metric(self.proxy, "shardproxy_map_waits") == 1, "somebody waits")


async def fetch_simple(connection: asyncpg.Connection, tenant: str) -> Any:
    return await connection.execute(
        f"UPDATE accounts SET balance = balance + 10 WHERE tenant_id = '{tenant}'"
    )


async def fetch_extended(connection: asyncpg.Connection, tenant: str) -> Any:
    return await connection.fetchval(BALANCE, tenant)


def test_a_transaction_on_moving_rows_holds_the_move_up_to_its_end(moves: Moves) -> None:
    moves.begin()
    with psycopg.connect(moves.proxy.dsn()) as client:
        client.execute("SELECT 1")
        assert client.execute("SELECT balance FROM accounts WHERE tenant_id = %s", [MOVING]).fetchone() == (
            1,
        )
        assert moves.held() == 1
        client.commit()
        moves.wait_until_held(0)
        assert client.execute("SELECT balance FROM accounts WHERE tenant_id = %s", [BESIDE]).fetchone() == (
            1,
        )
        assert moves.held() == 0


@pytest.mark.parametrize("statement", [fetch_simple, fetch_extended], ids=["simple", "extended"])
@pytest.mark.parametrize("block", [None, "read_committed", "repeatable_read", "serializable"])
def test_a_statement_at_the_cut_over_waits_and_runs_on_the_target(
    moves: Moves, statement: Callable[[asyncpg.Connection, str], Awaitable[Any]], block: Any
) -> None:
    moves.begin()
    moves.fence()

    async def work() -> tuple[bool, Any, int]:
        client = await asyncpg.connect(moves.proxy.dsn())
        transaction = client.transaction(isolation=block) if block else None
        if transaction:
            await transaction.start()
        waiting = asyncio.create_task(statement(client, MOVING))
        await asyncio.to_thread(moves.wait_until_somebody_waits)
        waited = not waiting.done()
        await asyncio.to_thread(moves.flip)
        answer = await waiting
        if transaction:
            await transaction.commit()
        await client.close()
        return (
            waited,
            answer,
            int(moves.on(moves.target, f"SELECT balance FROM accounts WHERE tenant_id = '{MOVING}'")),
        )

    waited, answer, on_target = aio.run(work(), timeout=30)
    assert waited
    assert (answer, on_target) == (("UPDATE 1", 12) if statement is fetch_simple else (2, 2))
    assert moves.on(moves.source, f"SELECT balance FROM accounts WHERE tenant_id = '{MOVING}'") == "1"


def test_who_waits_can_be_cancelled(moves: Moves) -> None:
    moves.begin()
    moves.fence()
    of_tenant = "SELECT balance FROM accounts WHERE tenant_id = %s"
    with psycopg.connect(moves.proxy.dsn(), autocommit=True) as client, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.execute, of_tenant, [MOVING])
        moves.wait_until_somebody_waits()
        client.cancel()
        with pytest.raises(psycopg.errors.QueryCanceled):
            waiting.result(timeout=10)
        assert client.execute(of_tenant, [BESIDE]).fetchone() == (1,)


def test_a_transaction_that_has_begun_on_other_rows_is_to_be_run_again(moves: Moves) -> None:
    moves.begin()
    moves.fence()
    with psycopg.connect(moves.proxy.dsn()) as client:
        client.execute("UPDATE accounts SET balance = 7 WHERE tenant_id = %s", [BESIDE])
        with pytest.raises(psycopg.errors.SerializationFailure):
            client.execute("SELECT balance FROM accounts WHERE tenant_id = %s", [MOVING])
        client.rollback()
        assert client.execute("SELECT balance FROM accounts WHERE tenant_id = %s", [BESIDE]).fetchone() == (
            1,
        )


def test_a_fan_out_counts_what_moves_once(moves: Moves) -> None:
    wanted = {(BESIDE, 1)}
    with psycopg.connect(moves.proxy.dsn(), autocommit=True) as client:
        moves.begin()
        assert set(client.execute(SUMS).fetchall()) == {*wanted, (MOVING, 1)}
        assert set(client.execute(SUMS, prepare=True).fetchall()) == {*wanted, (MOVING, 1)}
        moves.wait_until_held(0)
        moves.flip()
        assert set(client.execute(SUMS).fetchall()) == {*wanted, (MOVING, 2)}


def test_a_session_that_keeps_its_connection_lets_go_after_each_transaction(moves: Moves) -> None:
    moves.begin()
    with psycopg.connect(moves.proxy.dsn(), autocommit=True) as client:
        with client.transaction():
            client.execute("SELECT balance FROM accounts WHERE tenant_id = %s", [MOVING])
            client.execute("CREATE TEMPORARY TABLE kept (x int)")
            assert moves.held() == 1
        moves.wait_until_held(0)
        client.execute("SELECT balance FROM accounts WHERE tenant_id = %s", [MOVING])
        moves.wait_until_held(0)


def test_locks_are_not_let_go_in_the_middle(moves: Moves) -> None:
    moves.begin()
    with psycopg.connect(moves.proxy.dsn(), autocommit=True) as client:
        with client.transaction(), pytest.raises(psycopg.errors.FeatureNotSupported):
            client.execute("SELECT balance FROM accounts WHERE tenant_id = %s", [MOVING])
            client.execute("SELECT pg_advisory_unlock_all()")
        client.execute("SELECT pg_advisory_unlock_all()")
        assert client.execute("SELECT balance FROM accounts WHERE tenant_id = %s", [BESIDE]).fetchone() == (
            1,
        )

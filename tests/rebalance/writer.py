"""A writer that treats the shards as a sidecar does: in the map's epochs, led by the guard where rows move.

What it was told is committed, it also does on the oracle; where it was told nothing, it looks.
"""

import itertools
import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Self

import psycopg
from psycopg import errors

from shardproxy.backend.epoch import enter_script
from shardproxy.topology.map_document import from_document
from shardproxy.topology.moves import Moving
from shardproxy.topology.shard_map import ShardMap
from tests.rebalance.installed import Installed
from tests.support import sample

LOST: Final = (psycopg.OperationalError, psycopg.InterfaceError)
"""The connection is gone, or the server does not take one. A cancelled statement and the like are among
them.
"""

FIRST_ID: Final = 5_000_000
_writers = itertools.count()
_MAP: Final = "SELECT epoch, document::text FROM shardproxy.map ORDER BY epoch DESC LIMIT 1"
_EPOCH: Final = "SELECT max(epoch) FROM shardproxy.map"


class Writer:
    """Writes rows of one tenant until it is stopped; ``with`` runs it in a thread.

    Mutable: ``done``, transactions that were acknowledged; ``longest``, seconds that the slowest took, with
    all its waiting; ``failure``, what ended the thread early.
    """

    def __init__(
        self, installed: Installed, tenant: str, *, isolation: str = "READ COMMITTED", deletes: bool = True
    ) -> None:
        self.installed = installed
        self.tenant = tenant
        self.isolation = isolation
        self.deletes = deletes
        self.done = 0
        self._first = 100_000 * next(_writers)
        self.longest = 0.0
        self.failure: BaseException | None = None
        self._map: ShardMap = installed.map()
        self._catalog: psycopg.Connection[Any] | None = None
        self._shards: dict[int, tuple[psycopg.Connection[Any], int]] = {}
        self._oracle = psycopg.connect(installed.cluster.oracle_dsn(), autocommit=True)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, name=f"writer of {tenant}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Return when its last transaction has ended. Raises what went wrong."""
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), "the writer hangs"
        for connection in (self._oracle, self._catalog, *(each for each, _ in self._shards.values())):
            if connection is not None:
                connection.close()
        if self.failure is not None:
            raise self.failure

    def wait_for(self, transactions: int, timeout: float = 30.0) -> None:
        """Return when it has done that many more."""
        wanted = self.done + transactions
        deadline = time.monotonic() + timeout
        while self.done < wanted and self.failure is None:
            assert time.monotonic() < deadline, f"the writer stands still: {self._map.moves}"
            time.sleep(0.005)

    # -- its life ----------------------------------------------------------------------------------------

    def _write(self) -> None:
        try:
            while not self._stop.is_set():
                began = time.monotonic()
                self._transaction(self._first + self.done)
                self.longest = max(self.longest, time.monotonic() - began)
                self.done += 1
        except BaseException as failure:
            self.failure = failure

    def _transaction(self, number: int) -> None:
        """One, until it is committed; then on the oracle."""
        while True:
            self._follow_map()
            try:
                customer = self._try(number)
            except errors.DatabaseError as error:
                if error.sqlstate in ("SP001", "SP002", "SP003", "40001"):
                    self._wait_for_map()
                    continue
                if not isinstance(error, LOST):
                    raise
                found = self._look(number)
                if found is None:
                    continue
                customer = found
            with self._oracle.transaction():
                self._change(self._oracle, number, customer)
            return

    def _try(self, number: int) -> int:
        """One attempt; the id of the customer that it made."""
        shard, move = self._where()
        connection = self._connect(shard)
        try:
            with connection.transaction():
                connection.execute(f"SET TRANSACTION ISOLATION LEVEL {self.isolation}")
                if move is not None:
                    connection.execute(f"CALL shardproxy.guard({move.number})")
                return self._change(connection, number, None)
        except LOST:
            self._drop(shard)
            raise

    def _look(self, number: int) -> int | None:
        """Whether the transaction with an unknown end was committed: the id of its customer, or None."""
        while True:
            self._follow_map()
            shard, move = self._where()
            try:
                connection = self._connect(shard)
                with connection.transaction():
                    if move is not None:
                        connection.execute(f"CALL shardproxy.guard({move.number})")
                    row = connection.execute(
                        "SELECT customer_id FROM customers WHERE tenant_id = %s AND email = %s",
                        (self.tenant, f"writer{number}@example.com"),
                    ).fetchone()
                return None if row is None else row[0]
            except LOST:
                self._drop(shard)
                time.sleep(0.02)
            except errors.DatabaseError as error:
                if error.sqlstate not in ("SP001", "SP002", "SP003"):
                    raise
                self._wait_for_map()

    def _change(self, connection: psycopg.Connection[Any], number: int, customer: int | None) -> int:
        customer = _change(connection, self.tenant, number, customer)
        if self.deletes:
            code = f"writer {number - 5}"
            connection.execute("DELETE FROM coupons WHERE tenant_id = %s AND code = %s", (self.tenant, code))
        return customer

    # -- the map -----------------------------------------------------------------------------------------

    def _where(self) -> tuple[int, Moving | None]:
        key = self.tenant.encode()
        family = sample.FAMILIES["tenant"]
        move = self._map.move_of("tenant", family, key)
        return self._map.owner("tenant", family, key), None if move is None or move.moved else move

    def _follow_map(self) -> bool:
        """Read the map if it is a newer one, and let every connection enter its epoch; whether it was
        newer.
        """
        try:
            if self._catalog is None:
                self._catalog = self.installed.connect("shard-a")
            epoch = self._catalog.execute(_EPOCH).fetchone()
            if epoch is not None and epoch[0] == self._map.epoch:
                return False
            row = self._catalog.execute(_MAP).fetchone()
        except LOST:
            if self._catalog is not None:
                self._catalog.close()
                self._catalog = None
            time.sleep(0.02)
            return False
        assert row is not None
        self._map = from_document(json.loads(row[1]), row[0])
        for shard in list(self._shards):
            with suppress(*LOST):
                self._connect(shard)
        return True

    def _wait_for_map(self) -> None:
        """As a sidecar: until there is a newer map, or for a while."""
        deadline = time.monotonic() + 1.0
        while not self._follow_map() and time.monotonic() < deadline:
            time.sleep(0.001)

    def _connect(self, shard: int) -> psycopg.Connection[Any]:
        """A connection that is in the epoch of the map."""
        wanted = self._map.shard_epochs[shard]
        try:
            if shard not in self._shards:
                connection = psycopg.connect(self.installed.cluster.dsn(shard), autocommit=True)
                self._shards[shard] = (connection, 0)
                connection.execute(enter_script(wanted, None))
            elif self._shards[shard][1] != wanted:
                connection, before = self._shards[shard]
                connection.execute(enter_script(wanted, before))
            connection = self._shards[shard][0]
            self._shards[shard] = (connection, wanted)
        except psycopg.Error:
            self._drop(shard)
            raise
        return connection

    def _drop(self, shard: int) -> None:
        if shard in self._shards:
            self._shards.pop(shard)[0].close()


def _change(connection: psycopg.Connection[Any], tenant: str, number: int, customer: int | None) -> int:
    """What the transaction of that number adds and changes; the id of the customer it makes is the server's,
    or given.
    """
    execute: Callable[..., Any] = connection.execute
    at = f"2026-01-01 00:00:{number % 60:02d}+00"
    values = (tenant, f"writer{number}@example.com", f"customer {number}", at)
    if customer is None:
        row = execute(
            "INSERT INTO customers (tenant_id, email, name, created_at) VALUES (%s, %s, %s, %s) RETURNING customer_id",
            values,
        ).fetchone()
        customer = row[0]
    else:
        execute(
            "INSERT INTO customers (tenant_id, email, name, created_at, customer_id) VALUES (%s, %s, %s, %s, %s)",
            (*values, customer),
        )
    order = FIRST_ID + number
    execute(
        "INSERT INTO orders (tenant_id, order_id, customer_id, currency, total, placed_at)"
        " VALUES (%s, %s, %s, 'EUR', %s, %s)",
        (tenant, order, customer, number, at),
    )
    execute(
        "INSERT INTO order_events (tenant_id, order_id, event, status, happened) VALUES (%s, %s, 1, 'new', %s)",
        (tenant, order, at),
    )
    execute("INSERT INTO coupons (tenant_id, code, percent) VALUES (%s, %s, 5)", (tenant, f"writer {number}"))
    execute("UPDATE orders SET status = 'paid' WHERE tenant_id = %s AND order_id = %s", (tenant, order - 3))
    execute("UPDATE tenants SET name = %s WHERE tenant_id = %s", (f"after {number}", tenant))
    return int(customer)

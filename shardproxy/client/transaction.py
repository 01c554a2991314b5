"""A transaction, and savepoints inside it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import asyncpg

from shardproxy.client.connection import Connection
from shardproxy.client.cursor import DEFAULT_PREFETCH, Cursor
from shardproxy.client.queries import Queries

Isolation = Literal["read_uncommitted", "read_committed", "repeatable_read", "serializable"]


class Transaction(Queries):
    """An open transaction: statements through it are committed together when its block ends, or not at all.

    One tenant's transaction touches one shard. A statement for another shard is refused (Refused), and that
    is an error in the transaction like any other: PostgreSQL lets nothing but a rollback follow it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection: Connection | None = connection  # None once the block has ended

    @asynccontextmanager
    async def _borrow(self) -> AsyncIterator[Connection]:
        if self._connection is None:
            raise asyncpg.InterfaceError("the transaction has ended")
        yield self._connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Transaction"]:
        """A savepoint: an exception in the block undoes the block only, if it is caught outside."""
        async with self._borrow() as connection, in_transaction(connection) as savepoint:
            yield savepoint

    def cursor(
        self, sql: str, *args: Any, prefetch: int = DEFAULT_PREFETCH, timeout: float | None = None
    ) -> Cursor:
        """As elsewhere, but inside this transaction."""
        return Cursor(self._borrow(), sql, args, prefetch=prefetch, timeout=timeout, own_transaction=False)


@asynccontextmanager
async def in_transaction(
    connection: Connection,
    *,
    isolation: Isolation | None = None,
    readonly: bool = False,
    deferrable: bool = False,
) -> AsyncIterator[Transaction]:
    """A transaction on ``connection`` for the length of the block; inside another one, a savepoint."""
    async with connection.transaction_block(isolation=isolation, readonly=readonly, deferrable=deferrable):
        transaction = Transaction(connection)
        try:
            yield transaction
        finally:
            transaction._connection = None

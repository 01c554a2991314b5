"""A large result, a batch at a time, in bounded memory."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, Self

import asyncpg

from shardproxy.client.connection import Connection
from shardproxy.client.errors import translated

DEFAULT_PREFETCH = 50


class Cursor:
    """The rows of one SELECT, fetched ``prefetch`` at a time; for one pass, inside ``async with``.

        async with tenant.cursor("SELECT * FROM orders") as cursor:
            async for record in cursor:
                ...

    Outside a transaction it opens one of its own, read only, and ends it with the block. Rows arrive by a
    portal with a row limit (manual, "Extended Query"), so leaving the block early does not read the rest.
    A transaction is on one shard, so rows of several shards have no cursor (Refused): use ``fetch``.
    """

    def __init__(
        self,
        borrow: AbstractAsyncContextManager[Connection],
        sql: str,
        args: tuple[Any, ...],
        *,
        prefetch: int = DEFAULT_PREFETCH,
        timeout: float | None = None,
        own_transaction: bool,
    ) -> None:
        if prefetch < 1:
            raise ValueError(f"prefetch must be at least 1 row, not {prefetch}")
        self._borrow = borrow
        self._sql = sql
        self._args = args
        self._prefetch = prefetch
        self._timeout = timeout
        self._own_transaction = own_transaction
        self._stack = AsyncExitStack()
        self._portal: Any = None  # asyncpg's cursor while inside the block

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(self._borrow)
            connection.note_statement(self._sql)
            if self._own_transaction:
                await stack.enter_async_context(connection.transaction_block(readonly=True))
            with translated():
                self._portal = await connection.cursor(self._sql, *self._args, timeout=self._timeout)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._portal = None
        await self._stack.__aexit__(kind, error, trace)

    async def fetch(self, count: int) -> list[asyncpg.Record]:
        """The next rows, at most ``count``; fewer only at the end, and then an empty list."""
        if self._portal is None:
            raise asyncpg.InterfaceError("the cursor is used outside its 'async with' block")
        with translated():
            return list(await self._portal.fetch(count, timeout=self._timeout))

    async def __aiter__(self) -> AsyncIterator[asyncpg.Record]:
        while records := await self.fetch(self._prefetch):
            for record in records:
                yield record

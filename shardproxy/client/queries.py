"""The query methods that a database, a tenant and a transaction share."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

import asyncpg

from shardproxy.client.connection import Connection
from shardproxy.client.cursor import DEFAULT_PREFETCH, Cursor
from shardproxy.client.errors import translated
from shardproxy.client.route import RouteDecision, explain


class Queries(ABC):
    """Statements with ``$1``-style parameters, as asyncpg's own methods of the same names run them.

    Every ``timeout`` is in seconds and covers the statement, not the wait for a connection; None means the
    pool's ``command_timeout``. Every method raises Refused (WrongTenant), Unavailable, TimeoutError, or
    asyncpg's exception for what PostgreSQL itself reports.
    """

    @abstractmethod
    def _borrow(self) -> AbstractAsyncContextManager[Connection]:
        """A connection whose session names the right tenant, for the length of the block."""

    async def fetch(self, sql: str, *args: Any, timeout: float | None = None) -> list[asyncpg.Record]:
        """All rows."""
        async with self._borrow() as connection:
            with _running(connection, sql):
                return list(await connection.fetch(sql, *args, timeout=timeout))

    async def fetchrow(self, sql: str, *args: Any, timeout: float | None = None) -> asyncpg.Record | None:
        """The first row, or None when there is none."""
        async with self._borrow() as connection:
            with _running(connection, sql):
                return await connection.fetchrow(sql, *args, timeout=timeout)

    async def fetchval(self, sql: str, *args: Any, column: int = 0, timeout: float | None = None) -> Any:
        """One value of the first row, that of ``column`` (from 0), or None when there is no row."""
        async with self._borrow() as connection:
            with _running(connection, sql):
                return await connection.fetchval(sql, *args, column=column, timeout=timeout)

    async def execute(self, sql: str, *args: Any, timeout: float | None = None) -> str:
        """Run it and return the last command tag, for example ``"UPDATE 3"``.

        Without ``args`` the text may be several statements, in one implicit transaction.
        """
        async with self._borrow() as connection:
            with _running(connection, sql):
                return str(await connection.execute(sql, *args, timeout=timeout))

    async def executemany(
        self, sql: str, args: Iterable[Sequence[Any]], *, timeout: float | None = None
    ) -> None:
        """Run it once for each element of ``args``, all of them or none."""
        async with self._borrow() as connection:
            with _running(connection, sql):
                await connection.executemany(sql, args, timeout=timeout)

    def cursor(
        self, sql: str, *args: Any, prefetch: int = DEFAULT_PREFETCH, timeout: float | None = None
    ) -> Cursor:
        """The rows a batch at a time; see Cursor. ``prefetch`` in rows; ``timeout`` is that of one batch."""
        return Cursor(self._borrow(), sql, args, prefetch=prefetch, timeout=timeout, own_transaction=True)

    async def copy_records_to_table(
        self,
        table: str,
        *,
        records: Iterable[Sequence[Any]] | AsyncIterable[Sequence[Any]],
        columns: Sequence[str] | None = None,
        schema: str | None = None,
        timeout: float | None = None,
    ) -> str:
        """Load rows by binary COPY, all of them or none; returns the command tag, such as ``"COPY 100"``."""
        async with self._borrow() as connection:
            with translated():
                tag = await connection.copy_records_to_table(
                    table, records=records, columns=columns, schema_name=schema, timeout=timeout
                )
                return str(tag)

    async def copy_to_table(
        self,
        table: str,
        *,
        source: Any,
        columns: Sequence[str] | None = None,
        schema: str | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> str:
        """Load ``source``: a path, a binary file, or an asynchronous iterable of bytes.

        ``options`` are those of COPY FROM (``format``, ``delimiter``, ``null``, ``header``, ``where`` ...).
        Returns the command tag.
        """
        async with self._borrow() as connection:
            with translated():
                tag = await connection.copy_to_table(
                    table, source=source, columns=columns, schema_name=schema, timeout=timeout, **options
                )
                return str(tag)

    async def copy_from_table(
        self,
        table: str,
        *,
        output: Any,
        columns: Sequence[str] | None = None,
        schema: str | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> str:
        """Write a table to ``output`` (a path, a binary file, or a coroutine function that takes bytes).

        ``options`` are those of COPY TO. Returns the command tag.
        """
        async with self._borrow() as connection:
            with translated():
                tag = await connection.copy_from_table(
                    table, output=output, columns=columns, schema_name=schema, timeout=timeout, **options
                )
                return str(tag)

    async def copy_from_query(
        self, sql: str, *args: Any, output: Any, timeout: float | None = None, **options: Any
    ) -> str:
        """Write the rows of a query to ``output``, as :meth:`copy_from_table`; returns the command tag.

        COPY takes no parameters, so asyncpg has the server quote ``args`` and puts them into the text.
        """
        async with self._borrow() as connection:
            with _running(connection, sql):
                tag = await connection.copy_from_query(sql, *args, output=output, timeout=timeout, **options)
                return str(tag)

    async def route(self, sql: str, *args: Any, timeout: float | None = None) -> RouteDecision:
        """Where this statement would go, and why, or why it would be refused; it is not run.

        Raises NotShardproxy when the server is not the proxy.
        """
        async with self._borrow() as connection:
            with translated():
                return await explain(connection, sql, args, timeout)


def _running(connection: Connection, sql: str) -> AbstractContextManager[None]:
    connection.note_statement(sql)
    return translated()

"""The pool, and who borrows a connection from it for which tenant."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

import asyncpg

from shardproxy.client.connection import Connection
from shardproxy.client.errors import translated_connect
from shardproxy.client.queries import Queries
from shardproxy.client.statements import quote_literal
from shardproxy.client.transaction import Isolation, Transaction, in_transaction

TenantName = str | int | UUID
"""A sharding key of any key family; it is sent as text."""

current_tenant: Final[ContextVar[TenantName | None]] = ContextVar("shardproxy.current_tenant", default=None)
"""The tenant of the methods of Database, for the current task and the tasks it starts; None names none.

A web application sets it once per request, where it learns who is asking:

    token = current_tenant.set("acme")
    try:
        await handle(request)
    finally:
        current_tenant.reset(token)
"""


def connect(dsn: str | None = None, *, min_size: int = 1, max_size: int = 10, **pool: Any) -> "Database":
    """The sharded database behind the sidecar at ``dsn``: use it with ``async with``, or await and close it.

    ``min_size`` and ``max_size`` are connections to the sidecar (each costs the sidecar some kilobytes and
    the shards nothing). ``pool`` goes to :func:`asyncpg.create_pool`: ``command_timeout`` (seconds),
    ``statement_cache_size``, ``server_settings``, ``ssl``, ``init``, ``setup`` and so on. Raises TypeError
    for ``connection_class`` and ``reset``, which are what keeps one tenant's session from another's, and
    Unavailable from ``async with`` or ``await`` when the sidecar does not answer.
    """
    for reserved in ("connection_class", "reset"):
        if reserved in pool:
            raise TypeError(f"connect() sets {reserved} itself: it keeps the sessions of tenants apart")
    return Database(dsn, min_size=min_size, max_size=max_size, **pool)


class _Borrower(Queries):
    """What database and tenant share: they borrow a connection for one statement or one transaction."""

    @abstractmethod
    def _checkout(self) -> AbstractAsyncContextManager[asyncpg.pool.PoolConnectionProxy]:
        """A connection of the pool whose session names the right tenant, for the length of the block."""

    @asynccontextmanager
    async def _borrow(self) -> AsyncIterator[Connection]:
        async with self._checkout() as proxy:
            yield proxy.itself()

    @asynccontextmanager
    async def transaction(
        self, *, isolation: Isolation | None = None, readonly: bool = False, deferrable: bool = False
    ) -> AsyncIterator[Transaction]:
        """A transaction for the length of the block: committed at its end, rolled back by an exception.

        ``isolation`` None is the server's default. A commit that fails raises, with nothing committed, except
        for Unavailable with ``in_doubt``.
        """
        async with (
            self._borrow() as connection,
            in_transaction(
                connection, isolation=isolation, readonly=readonly, deferrable=deferrable
            ) as transaction,
        ):
            yield transaction

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        """asyncpg's own connection, for what has no method here: LISTEN, codecs, prepared statements.

        Its errors are asyncpg's. Its session is reset at the end of the block, whatever was done to it; it
        cannot be used after that.
        """
        async with self._checkout() as proxy:
            proxy.note_handed_out()
            yield proxy


class Database(_Borrower):
    """All shards as one database. Its methods speak for :data:`current_tenant`.

    Where that is None, a statement goes where its own sharding key says.
    """

    def __init__(self, dsn: str | None, **pool: Any) -> None:
        """Use :func:`connect`."""
        self._dsn = dsn
        self._options = pool
        self._pool: asyncpg.Pool | None = None  # None before it is opened

    async def _open(self) -> "Database":
        if self._pool is None:
            with translated_connect():
                self._pool = await asyncpg.create_pool(
                    self._dsn, connection_class=Connection, **self._options
                )
        return self

    def __await__(self) -> Generator[Any, None, "Database"]:
        return self._open().__await__()

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait for the connections in use to come back, then close all. Closing twice is nothing."""
        if self._pool is not None:
            await self._pool.close()

    def terminate(self) -> None:
        """Close all connections now, those in use too."""
        if self._pool is not None:
            self._pool.terminate()

    def tenant(self, name: TenantName) -> "Tenant":
        """A handle that speaks for one tenant. It costs nothing to make and holds no connection.

        Raises ValueError for a name that cannot be a tenant's: empty, or with a NUL or an unpaired surrogate.
        """
        return Tenant(self, name)

    def _checkout(self) -> AbstractAsyncContextManager[asyncpg.pool.PoolConnectionProxy]:
        name = current_tenant.get()
        return self._checkout_for(None if name is None else tenant_text(name))

    @asynccontextmanager
    async def _checkout_for(self, tenant: str | None) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        if self._pool is None:
            raise asyncpg.InterfaceError("the database is not open: use 'async with connect(...)'")
        with translated_connect():
            proxy = await self._pool.acquire()
        try:
            with translated_connect():
                await proxy.use_tenant(tenant)
            yield proxy
        finally:
            # A reset that fails has ended the connection, and is no reason to call the statement failed.
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await self._pool.release(proxy)


class Tenant(_Borrower):
    """One tenant of a database: every statement through it runs with ``shardproxy.tenant`` set to its name.

    A statement whose own sharding key names another tenant raises WrongTenant. ``name`` is the name as text.
    """

    def __init__(self, database: Database, name: TenantName) -> None:
        """Use :meth:`Database.tenant`."""
        self._database = database
        self.name: Final = tenant_text(name)

    def __repr__(self) -> str:
        return f"<Tenant {self.name!r}>"

    def _checkout(self) -> AbstractAsyncContextManager[asyncpg.pool.PoolConnectionProxy]:
        return self._database._checkout_for(self.name)


def tenant_text(name: TenantName) -> str:
    """``name`` as the text that is sent. Raises TypeError and ValueError; see :meth:`Database.tenant`."""
    if isinstance(name, bool) or not isinstance(name, (str, int, UUID)):
        raise TypeError(f"a tenant is named by a str, an int or a UUID, not by {type(name).__name__}")
    text = str(name)
    if not text:
        raise ValueError("a tenant's name cannot be empty: so PostgreSQL shows a setting without value")
    quote_literal(text)
    return text

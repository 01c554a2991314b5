"""A pooled connection that remembers which tenant its session names, and whether it needs a reset.

asyncpg resets a connection with four statements at every release. Through a transaction pooler that is a
round trip to a shard for nothing, so it happens here only after a statement that may have changed the
session. Naming the tenant is answered by the proxy itself, and is left out when the session names it already.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any, Final, Self

import asyncpg

from shardproxy.client.errors import translated, unavailable
from shardproxy.client.statements import may_change_session, quote_literal

RESET_TENANT: Final = "RESET shardproxy.tenant"
SET_TENANT: Final = "SET shardproxy.tenant = "
SHOW_PINNED: Final = "SHOW shardproxy.pinned"


class Unknown(Enum):
    """The type of :data:`UNKNOWN`."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


class Connection(asyncpg.Connection):  # type: ignore[misc]
    """asyncpg's connection and two facts about its session. Made by the pool only."""

    _tenant: str | Unknown | None = None
    """What the session names; None is the login's own default, UNKNOWN is what a failed SET leaves."""

    _session_changed: bool = False
    """A statement since the last reset may have left state in the session."""

    def itself(self) -> Self:
        """This connection, seen through the pool's proxy, which goes blank when the connection is lost."""
        return self

    async def use_tenant(self, name: str | None) -> None:
        """Make the session name ``name``, or the login's own default for None. Raises what SET raises."""
        if self._tenant == name:
            return
        # Also what a cancellation in the middle of SET leaves.
        self._tenant = UNKNOWN
        await self.execute(RESET_TENANT if name is None else SET_TENANT + quote_literal(name))
        self._tenant = name

    def note_statement(self, sql: str) -> None:
        """Remember that ``sql`` is about to run here. Raises Unavailable when the connection is lost."""
        if self.is_closed():
            raise unavailable("08003", "the connection to the sidecar was lost")
        if may_change_session(sql):
            self._session_changed = True

    def note_handed_out(self) -> None:
        """Remember that the caller may run anything here, unseen."""
        self._session_changed = True

    @asynccontextmanager
    async def transaction_block(self, **options: Any) -> AsyncIterator[None]:
        """A transaction, or a savepoint inside one, for the length of the block; ``options`` are asyncpg's.

        Errors of BEGIN and COMMIT are translated, those of the block are the block's own. A connection that
        was lost inside the block has nothing to roll back, and the block's exception says why.
        """
        manager = self.transaction(**options)
        with translated():
            await manager.__aenter__()
        try:
            yield
        except BaseException as error:
            if not self.is_closed():
                with translated():
                    await manager.__aexit__(type(error), error, error.__traceback__)
            raise
        with translated():
            await manager.__aexit__(None, None, None)

    def get_reset_query(self) -> str:
        """asyncpg's, or nothing when nothing needs it."""
        return str(super().get_reset_query()) if self._session_changed else ""

    async def reset(self, *, timeout: float | None = None) -> None:
        """What the pool calls at every release: roll back, then the reset query. ``timeout`` in seconds.

        Raises InterfaceError, upon which the pool ends the connection, where something binds the session to
        one shard even then (a temporary table, say): the next borrower's tenant may live on another.
        """
        changed = self._session_changed
        if changed:
            self._tenant = UNKNOWN
        await super().reset(timeout=timeout)
        if changed:
            if await self._is_bound(timeout):
                raise asyncpg.InterfaceError("the session is bound to a shard by what was left in it")
            self._session_changed = False
            self._tenant = None

    async def _is_bound(self, timeout: float | None) -> bool:
        try:
            return bool(await self.fetchval(SHOW_PINNED, timeout=timeout))
        except asyncpg.UndefinedObjectError:  # a server of its own binds nobody
            return False

"""What a session is at the moment, and what its requests need to know of that."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from shardproxy.errors import ShardproxyError
from shardproxy.session.names import expanded
from shardproxy.session.settings import ServerSettings, Settings
from shardproxy.session.shared import Client, Shared
from shardproxy.session.transaction import BEGUN, BROKEN, NO_BLOCK, OPEN, Transaction, aborted
from shardproxy.sql.planner import Planner
from shardproxy.sql.statement import Kind, Statement

if TYPE_CHECKING:
    from shardproxy.session.effects import Effect
    from shardproxy.session.link import Link

ALLOWED_IN_FAILED_BLOCK = frozenset({Kind.ROLLBACK, Kind.COMMIT, Kind.ROLLBACK_TO, Kind.EMPTY})


class State:
    """The part of a session that its requests read and change.

    ``initial`` are the settings of the start-up packet, under which servers report ``reported``;
    ``settings`` those in force. ``effects`` are what to do when the statements of the running request
    succeed, one for each. ``names_move`` and ``constants_move``: one of them changes what names mean, or how
    literals are read (see ``names``). ``ending``: the request holds a COMMIT, so after a loss it is not known
    whether the block was committed. ``slow``: the client does not take bytes as fast as they come.
    """

    def __init__(
        self, shared: Shared, client: Client, initial: Settings, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.shared = shared
        self.client = client
        self.loop = loop
        self.initial = initial
        self.reported: Mapping[str, str] = {}
        self.settings = initial
        self.transaction = Transaction()
        self.link: Link
        self.effects: list[Effect | None] = []
        self.names_move = False
        self.constants_move = False
        self.ending = False
        self.slow = False
        self._lost: ShardproxyError | None = None
        self._cancelled = False
        self._path: tuple[str, ...] = ()  # what search_path() returns under these:
        self._path_settings: ServerSettings | None = None
        self._path_default: object = None
        self._path_planner: Planner | None = None

    @property
    def on_server(self) -> bool:
        """A server knows of this session's transaction or state: transaction statements go there."""
        link = self.link
        return link.connection is not None and (
            self.transaction.block is OPEN or link.in_group or link.pinned is not None
        )

    @property
    def status(self) -> int:
        """The ReadyForQuery byte when the proxy answers by itself."""
        connection = self.link.connection
        if connection is not None and self.transaction.block is OPEN:
            return connection.status
        return self.transaction.status

    def settings_at_rest(self) -> ServerSettings:
        """What a server connection must have before the block's own statements are sent to it."""
        if self.transaction.block is BEGUN:
            return self.transaction.before.server
        return self.settings.server

    def search_path(self) -> tuple[str, ...]:
        """The schemas in which names are looked up."""
        server, shared = self.settings.server, self.shared
        default: str | tuple[str, ...] = shared.search_path
        held = self.link.connection
        if held is not None:  # it may have begun before the defaults changed
            default = held.defaults.get("search_path", default)
        if (
            self._path_settings is not server
            or self._path_default is not default
            or self._path_planner is not shared.planner
        ):
            self._path_settings, self._path_default, self._path_planner = server, default, shared.planner
            self._path = self._find_path(default)
        return self._path

    def _find_path(self, default: str | tuple[str, ...]) -> tuple[str, ...]:
        server, shared = self.settings.server, self.shared
        value, role = server.value("search_path"), server.value("role")
        path = default if value is None else value
        if role in (None, "none"):
            return expanded(path, shared.server_user, shared.planner.schema.hidden)
        return expanded(path, role or "")

    @property
    def in_block(self) -> bool:
        """A transaction block is open, here or on a server, or the session is bound to a connection."""
        return self.transaction.block is not NO_BLOCK or self.link.held

    def pin(self, statement: Statement) -> None:
        """From now on the session keeps its server connection, if ``statement`` leaves state there."""
        reason = statement.pins
        if reason is not None and self.link.pinned is None:
            self.link.pinned = reason
            self.shared.counters.proxy.pins.add(reason)
        if statement.creates is not None:
            self.link.temporary.add(statement.creates)

    def check_allowed(self, statement: Statement) -> None:
        """Raise what PostgreSQL says to ``statement`` in a failed block, and to an unknown table."""
        transaction = self.transaction
        failed = transaction.block is BROKEN or (transaction.failed and not self.link.in_group)
        if failed and statement.kind not in ALLOWED_IN_FAILED_BLOCK:
            self.raise_loss()
            raise aborted()
        self.check_known(statement)

    def check_known(self, statement: Statement) -> None:
        """Raise what PostgreSQL says to a table that does not exist."""
        if statement.unless_temporary is not None and not statement.temporary <= self.link.temporary:
            self.shared.schema_changed()  # it may have come into being since the schema was read
            raise statement.unless_temporary.with_traceback(None)

    def raise_loss(self) -> None:
        """Raise what happened while the request waited for something else: its connection was lost, or it
        was cancelled.
        """
        lost = self._lost
        if lost is not None:
            self._lost = None
            raise lost
        if self._cancelled:
            raise canceled()


def canceled() -> ShardproxyError:
    """What PostgreSQL says to a statement that was cancelled."""
    return ShardproxyError("canceling statement due to user request", sqlstate="57014")

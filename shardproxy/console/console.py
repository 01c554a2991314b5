"""Who may say what to the console, and what comes of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shardproxy.admin.status import ClientStatus, StatusSource
from shardproxy.backend.shards import ShardSpec
from shardproxy.console import catalog_views, views
from shardproxy.console.children import Child, Children, Moved
from shardproxy.console.commands import (
    AbortMove,
    Command,
    MoveTenants,
    Reload,
    ResumeMove,
    Show,
    View,
    parse,
)
from shardproxy.console.conversation import Talk
from shardproxy.console.options import NAME, ConsoleOptions
from shardproxy.console.table import INT8, TEXT, Answer
from shardproxy.errors import LoginFailed, Refused, ShardproxyError, Unavailable
from shardproxy.frontend.virtual import Peer
from shardproxy.topology.shard_map import ShardMap
from shardproxy.version import VERSION
from shardproxy.wire.startup import Startup

MOST: Final = 20
"""Clients of the console at a time."""

PARAMETERS: Final[Mapping[str, str]] = {
    "server_version": f"{VERSION}/shardproxy",
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "TimeZone": "UTC",
    "integer_datetimes": "on",
    "standard_conforming_strings": "on",
}
_MOVED: Final = (("move", INT8), ("state", TEXT))


@dataclass(frozen=True, slots=True)
class Sources:
    """The running proxy, as the console needs it. ``config`` gives the options in force without secrets;
    ``reload`` reads the file again, and returns what needs a restart; it raises ConfigError. ``catalog`` is
    the shard that has, or would have, the catalog.
    """

    status: StatusSource
    clients: Callable[[], Sequence[ClientStatus]]
    shard_map: Callable[[], ShardMap]
    config: Callable[[], Sequence[tuple[str, str | None]]]
    reload: Callable[[], Sequence[str]]
    specs: Callable[[], Sequence[ShardSpec]]
    catalog: ShardSpec
    children: Children


class Console:
    """The virtual database. Mutable: ``options``, which a reload replaces; ``_clients``, how many there
    are.
    """

    name = NAME

    def __init__(self, options: ConsoleOptions, sources: Sources) -> None:
        self.options = options
        self._sources = sources
        self._clients = 0

    def open(self, startup: Startup, peer: Peer) -> tuple[Talk, Mapping[str, str]]:
        """See :class:`~shardproxy.frontend.virtual.VirtualDatabase`."""
        user = startup.user
        if user not in self.options.admins | self.options.readers:
            raise LoginFailed(
                f'permission denied for database "{NAME}"',
                sqlstate="42501",
                detail=f'User "{user}" is neither in console.admins nor in console.readers.',
            )
        if self._clients >= MOST:
            raise Unavailable("sorry, too many clients of the console already", sqlstate="53300")
        self._clients += 1
        return Talk(peer, lambda text: self._answer(user, text), self._left), PARAMETERS

    async def close(self) -> None:
        """End what drives moves."""
        await self._sources.children.end()

    def _left(self) -> None:
        self._clients -= 1

    async def _answer(self, user: str, text: str) -> Answer | None:
        command = parse(text)
        if command is None:
            return None
        options = self.options  # who is an admin may have changed since the login
        admin = user in options.admins
        if not admin and not (isinstance(command, Show) and user in options.readers):
            raise ShardproxyError(
                "permission denied",
                sqlstate="42501",
                detail=f'User "{user}" is not in console.'
                + ("readers or console.admins." if isinstance(command, Show) else "admins."),
            )
        if isinstance(command, Show):
            return await self._show(command, admin=admin)
        return await self._act(command)

    # --- SHOW -----------------------------------------------------------------------------------------------

    async def _show(self, command: Show, *, admin: bool) -> Answer:
        sources = self._sources
        match command.view:
            case View.HELP:
                return views.help_(admin=admin)
            case View.VERSION:
                return views.version(sources.status.status())
            case View.SHARDS:
                return views.shards(sources.status.status(), sources.shard_map())
            case View.POOLS:
                return views.pools(sources.status.status())
            case View.CLIENTS:
                return views.clients(sources.clients())
            case View.SIDECARS:
                return await catalog_views.sidecars(sources.catalog)
            case View.MOVES:
                return await catalog_views.moves(sources.catalog)
            case View.TENANTS:
                return await catalog_views.tenants(sources.specs(), sources.shard_map(), command.limit)
            case View.MAP:
                return await catalog_views.map_history(sources.catalog)
            case View.CONFIG:
                return views.config(sources.config())

    # --- what changes something -----------------------------------------------------------------------------

    async def _act(self, command: Command) -> Answer:
        match command:
            case MoveTenants(tenants, target):
                arguments = ("tenant", "move", f"--to={target}")
                child = await self._start("MOVE TENANT", arguments, tenants, "running")
                return _moved(await child.known(), "MOVE")
            case ResumeMove(number):
                self._check_free(number)
                child = await self._start("RESUME MOVE", ("moves", "resume"), (str(number),), "running")
                return _moved(await child.known(), "RESUME")
            case AbortMove(number):
                child = await self._abort(number)
                return _moved(await child.known(), "ABORT")
            case Reload():
                kept = self._sources.reload()
                notice = f"a change of {', '.join(kept)} needs a restart and was not taken"
                return Answer((), (), "RELOAD", (notice,) if kept else ())
        raise AssertionError(command)

    async def _start(self, what: str, arguments: Sequence[str], operands: Sequence[str], state: str) -> Child:
        if not self.options.has_operator:
            raise Refused(
                f"{what} without an operator's login",
                hint="Add the section operator to the configuration, and RELOAD.",
            )
        return await self._sources.children.start(f"{what} {', '.join(operands)}", arguments, operands, state)

    def _check_free(self, number: int) -> None:
        if self._sources.children.of(number) is not None:
            raise ShardproxyError(f"this sidecar drives move {number} already", sqlstate="55006")

    async def _abort(self, number: int) -> Child:
        """Whoever drives it here stops first, and leaves it as it is."""
        if self.options.has_operator and (driver := self._sources.children.of(number)) is not None:
            await driver.end()
        return await self._start("ABORT MOVE", ("moves", "abort"), (str(number),), "aborting")


def _moved(moved: Sequence[Moved], verb: str) -> Answer:
    notices = () if moved else ("the tenants are there already",)
    return Answer(_MOVED, moved, f"{verb} {len(moved)}", notices)

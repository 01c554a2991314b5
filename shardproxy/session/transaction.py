"""A session's transaction block, which exists here before it exists on a shard.

BEGIN is answered by the proxy; the block is opened on a shard together with the first statement that needs
one. Until then its statements are kept to be sent ahead of that one.
"""

from dataclasses import dataclass
from enum import Enum, auto

from shardproxy.errors import ShardproxyError
from shardproxy.session.settings import Settings
from shardproxy.wire.server_messages import READY_FAILED, READY_IDLE, READY_TRANSACTION


class Block(Enum):
    """Where a transaction block is."""

    NONE = auto()  # outside of one
    BEGUN = auto()  # begun here, on no shard yet
    BROKEN = auto()  # begun here, on no shard, and failed: only its end or a savepoint helps
    OPEN = auto()  # open on the session's server connection, whose status says more


NO_BLOCK, BEGUN, BROKEN, OPEN = Block
"""The same, found faster: looking up an enum's member costs more than what most requests do with it."""


@dataclass(frozen=True, slots=True)
class Savepoint:
    """A savepoint, and the settings to come back to."""

    name: str
    settings: Settings
    committed: Settings


class Transaction:
    """The transaction of one session: a block, or a request outside of one, which is a transaction too.

    ``opening`` holds the statements to send ahead of the first one for a shard, ``characteristics`` those of
    them that say what AND CHAIN begins anew. ``script`` holds those that would open the block as it is on
    another shard; None: it is on none, or stays on its own. ``before`` are the settings at its begin,
    ``committed`` those that COMMIT makes last (SET LOCAL is not in them). ``failed``: a server's block has
    failed.
    """

    def __init__(self) -> None:
        self.block = NO_BLOCK
        self.opening: list[str] = []
        self.script: list[str] | None = None
        self.characteristics: list[str] = []
        self.savepoints: list[Savepoint] = []
        self.before = Settings()
        self.committed = Settings()
        self.failed = False

    def start(self, settings: Settings) -> None:
        """Outside a block: what comes, up to the end of the request or of a block, is one transaction."""
        self.before = self.committed = settings
        if self.savepoints:
            self.savepoints = []

    def begin(self, *sqls: str, settings: Settings) -> None:
        """BEGIN outside a block, perhaps with SET TRANSACTION behind it."""
        self.block = BEGUN
        self.opening = list(sqls)
        self.characteristics = list(sqls)
        self.start(settings)

    def opened(self, *, failed: bool) -> None:
        """A shard says that a block is open, and whether it has failed."""
        self.block = OPEN
        self.opening = []
        self.failed = failed

    def take_opening(self) -> list[str]:
        """The statements that have to go ahead of the block's first one, which is about to be sent."""
        opening = self.opening
        if opening:
            self.opening = []
            self.script = opening.copy()
        return opening

    def leave(self, script: list[str]) -> None:
        """The block is on no shard any more, and ``script`` opens it on the next."""
        self.block = BEGUN
        self.opening = script
        self.script = None

    def end(self, *, committed: bool) -> Settings:
        """Its end, and of the block if there is one; returns the settings that are in force afterwards."""
        self.block = NO_BLOCK
        self.opening = []
        self.script = None
        return self.ended(committed=committed)

    def ended(self, *, committed: bool) -> Settings:
        """COMMIT or ROLLBACK by a server, which will tell where the block is: as :meth:`end`."""
        settings = self.committed if committed and not self.failed else self.before
        self.failed = False
        self.start(settings)
        return settings

    def broken(self) -> Settings:
        """An error of ours that no server has to be told of; returns the settings that are in force."""
        if self.block is BEGUN:
            self.block = BROKEN
        return self.savepoints[-1].settings if self.savepoints else self.before

    def savepoint(self, name: str, settings: Settings) -> None:
        """SAVEPOINT."""
        self.savepoints.append(Savepoint(name, settings, self.committed))

    def _find(self, name: str) -> int:
        for i in range(len(self.savepoints) - 1, -1, -1):
            if self.savepoints[i].name == name:
                return i
        raise ShardproxyError(f'savepoint "{name}" does not exist', sqlstate="3B001")

    def release(self, name: str) -> None:
        """RELEASE SAVEPOINT: forgets it and all later ones."""
        del self.savepoints[self._find(name) :]

    def rollback_to(self, name: str) -> Settings:
        """ROLLBACK TO SAVEPOINT: the savepoint stays, later ones go; returns the settings in force at it."""
        at = self._find(name)
        self.failed = False
        del self.savepoints[at + 1 :]
        self.committed = self.savepoints[at].committed
        return self.savepoints[at].settings

    def rolled_back_to(self, name: str) -> Settings:
        """The same after a server did it; a savepoint that we did not see set leads back to the settings
        at BEGIN.
        """
        try:
            return self.rollback_to(name)
        except ShardproxyError:
            self.savepoints = []
            self.committed = self.before
            return self.before

    @property
    def status(self) -> int:
        """The ReadyForQuery byte while no shard is involved."""
        if self.block is NO_BLOCK:
            return READY_IDLE
        return READY_FAILED if self.block is BROKEN else READY_TRANSACTION


def aborted() -> ShardproxyError:
    """What PostgreSQL says to a statement inside a failed block."""
    return ShardproxyError(
        "current transaction is aborted, commands ignored until end of transaction block", sqlstate="25P02"
    )

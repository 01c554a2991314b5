"""One client: a connection at a time, transactions on it, and a record of what it was told about each."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from time import monotonic_ns
from typing import Any

import asyncpg

from tests.histories.history import (
    NEVER,
    Append,
    Element,
    Isolation,
    Key,
    Miss,
    Outcome,
    Read,
    Remove,
    Step,
    Swap,
    Transaction,
)

Errors = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
CONNECT_TIMEOUT = 10.0
STATEMENT_TIMEOUT = 30.0
"""Longer than anything may hang; a statement that does is one of unknown outcome, and an error."""
BEGIN = {level: f"BEGIN ISOLATION LEVEL {level}" for level in Isolation}
_PARAMETER = re.compile(r"\$(\d+)")


@dataclass(frozen=True, slots=True)
class Manners:
    """How often, of a hundred transactions, a client rolls back, hangs up in the middle, or connects anew."""

    abort: float = 5.0
    hang_up: float = 1.0
    reconnect: float = 1.0


MANNERS = Manners()
POLITE = Manners(0, 0, 0)


class Steps:
    """The statements of one transaction, written down with what came back.

    ``simple``: those without a result go by the simple protocol, with their values in the text.
    """

    def __init__(self, connection: asyncpg.Connection, *, snapshot: bool, simple: bool) -> None:
        self.taken: list[Step] = []
        self._connection = connection
        self._snapshot = snapshot
        self._simple = simple
        self._began = monotonic_ns()
        self._first_ended = 0

    async def append(self, key: Key, element: Element, sql: str, *values: Any) -> None:
        """Put an element into a list or a set."""
        self.taken.append(Append(key, element))
        await self.execute(sql, *values)

    async def remove(self, key: Key, element: Element, sql: str, *values: Any) -> None:
        """Take an element out of a set; if it is not there, this is no step."""
        self.taken.append(Remove(key, element))
        if not await self.execute(sql, *values):
            self.taken.pop()

    async def swap(self, key: Key, expected: Any, value: Any, sql: str, *values: Any) -> bool:
        """Change a register, if it has the value expected; whether it had."""
        self.taken.append(Swap(key, expected, value))
        began = monotonic_ns()
        if done := bool(await self.execute(sql, *values)):
            return done
        self.taken[-1] = Miss(key, expected, *self._interval(began))
        return False

    async def read(self, key: Key, show: Callable[[list[Any]], Any], sql: str, *values: Any) -> Any:
        """Run a query, of which ``show`` makes what was read."""
        began = monotonic_ns()
        rows = await self.fetch(sql, *values)
        value = show(rows)
        self.note(key, value, began)
        return value

    def note(self, key: Key, value: Any, began: int) -> None:
        """Write down something that a query, which began then and has just ended, has shown."""
        self.taken.append(Read(key, value, *self._interval(began)))

    async def execute(self, sql: str, *values: Any) -> int:
        """Run a statement that is not written down; how many rows it changed."""
        if self._simple:
            tag = await self._connection.execute(
                _PARAMETER.sub(lambda found: literal(values[int(found[1]) - 1]), sql)
            )
        else:
            tag = await self._connection.execute(sql, *values)
        self._first_ended = self._first_ended or monotonic_ns()
        return int(tag.rpartition(" ")[2])

    async def fetch(self, sql: str, *values: Any) -> list[Any]:
        """Run a query that is not written down."""
        rows: list[Any] = await self._connection.fetch(sql, *values)
        self._first_ended = self._first_ended or monotonic_ns()
        return rows

    def _interval(self, began: int) -> tuple[int, int]:
        return (self._began, self._first_ended) if self._snapshot else (began, monotonic_ns())


Work = Callable[[Steps], Awaitable[None]]


class Client:
    """A client that connects to any of ``dsns``, and again when it must; each connection is a new session.

    ``errors`` counts by SQLSTATE, or name, what was not of its own doing; ``committed``, what was. ``greeting``
    is run on every new connection.
    """

    def __init__(
        self,
        number: int,
        dsns: Sequence[str],
        random: Random,
        sessions: Iterator[int],
        manners: Manners = POLITE,
        greeting: str = "",
    ) -> None:
        self.number = number
        self.random = random
        self.errors: Counter[str] = Counter()
        self.committed = 0
        self._dsns = dsns
        self._sessions = sessions
        self._manners = manners
        self._greeting = greeting
        self._connection: asyncpg.Connection | None = None
        self._session = 0
        self._names = 0

    def name(self) -> str:
        """A word that nobody has used."""
        self._names += 1
        return f"{self.number}.{self._names}"

    async def transact(self, work: Work, isolation: Isolation | None = None) -> Transaction:
        """Run ``work`` in a transaction, or, without a level, as the one statement that it is."""
        if self._happens(self._manners.reconnect):
            await self.close()
        connection = await self._connected()
        if not self._happens(self._manners.hang_up):
            transaction = await self._transact(connection, work, isolation)
            self.committed += transaction.outcome is Outcome.OK
            return transaction
        hang_up = HangUp(connection, self.random)
        try:
            return await self._transact(connection, work, isolation, hang_up)
        finally:
            hang_up.over()
            self._connection = None

    async def close(self) -> None:
        """Say goodbye."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=STATEMENT_TIMEOUT)
            except Errors:
                connection.terminate()

    async def _transact(
        self,
        connection: asyncpg.Connection,
        work: Work,
        isolation: Isolation | None,
        hang_up: "HangUp | None" = None,
    ) -> Transaction:
        level = isolation or Isolation.READ_COMMITTED
        simple = self._session % 2 == 0
        steps = Steps(connection, snapshot=level is not Isolation.READ_COMMITTED, simple=simple)
        committing = NEVER
        outcome = Outcome.FAILED
        try:
            if isolation is None:
                committing = monotonic_ns()
                if hang_up is not None:
                    hang_up.at_commit()
                await work(steps)
                outcome = Outcome.OK
            else:
                await connection.execute(BEGIN[isolation])
                await work(steps)
                if self._happens(self._manners.abort):
                    await connection.execute("ROLLBACK")
                else:
                    committing = monotonic_ns()
                    if hang_up is not None:
                        hang_up.at_commit()
                    if await connection.execute("COMMIT") == "COMMIT":
                        outcome = Outcome.OK
        except Errors as error:
            if hang_up is None:
                self.errors[code(error)] += 1
                await self._recover(connection, error)
            if committing is not NEVER and is_unclear(error):
                outcome = Outcome.UNKNOWN
        completed = monotonic_ns()
        return Transaction(self._session, outcome, tuple(steps.taken), committing, completed, level)

    async def _recover(self, connection: asyncpg.Connection, error: BaseException) -> None:
        """Bring the connection out of the failed transaction, or give it up."""
        if not isinstance(error, TimeoutError) and not connection.is_closed():
            try:
                if connection.is_in_transaction():
                    await connection.execute("ROLLBACK")
                return
            except Errors as another:
                self.errors[code(another)] += 1
        connection.terminate()
        self._connection = None

    async def _connected(self) -> asyncpg.Connection:
        while self._connection is None or self._connection.is_closed():
            try:
                dsn = self.random.choice(self._dsns)
                connection = await asyncpg.connect(
                    dsn, timeout=CONNECT_TIMEOUT, command_timeout=STATEMENT_TIMEOUT
                )
                if self._greeting:
                    await connection.execute(self._greeting)
            except Errors as error:
                self.errors[f"connect: {code(error)}"] += 1
                await asyncio.sleep(0.02)
            else:
                self._connection = connection
                self._session = next(self._sessions)
        return self._connection

    def _happens(self, percent: float) -> bool:
        return self.random.random() * 100 < percent


class HangUp:
    """The end of a connection at some moment of a transaction; of every other one, while it is committed."""

    def __init__(self, connection: asyncpg.Connection, random: Random) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._waits = random.random() < 0.5
        self._delay = random.uniform(0, 0.0005 if self._waits else 0.01)
        self._timer = None if self._waits else self._start()

    def _start(self) -> asyncio.TimerHandle:
        # Not terminate(), after which asyncpg stumbles over itself in the middle of a statement.
        return self._loop.call_later(self._delay, self._connection._transport.abort)

    def at_commit(self) -> None:
        """COMMIT is about to be sent."""
        if self._waits:
            self._timer = self._start()

    def over(self) -> None:
        """The transaction has ended; so does the connection, if it is still there."""
        if self._timer is not None:
            self._timer.cancel()
        self._connection.terminate()


def code(error: BaseException) -> str:
    """The SQLSTATE, or the kind of error."""
    return getattr(error, "sqlstate", None) or type(error).__name__


def is_unclear(error: BaseException) -> bool:
    """Whether a COMMIT that fails like this may have taken effect: the server, or the way to it, went away."""
    state = getattr(error, "sqlstate", None)
    return state is None or state == "40003" or state.startswith(("08", "57P0"))


def literal(value: Any) -> str:
    """A value in the text of a statement."""
    if isinstance(value, int):
        return str(value)
    assert isinstance(value, str)
    return "'" + value.replace("'", "''") + "'"

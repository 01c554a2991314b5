"""A correct store in one copy, with PostgreSQL's rules for locks and snapshots, in steps that a scheduler can
interleave: what makes the good histories that every checker must accept.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.histories.history import NEVER, Isolation, Key, Outcome, Read, Step, Transaction

Change = Callable[[Any], Any]
PATIENCE = 30
"""How often somebody looks at a lock before he gives up, as after a deadlock."""


class Failed(Exception):
    """The transaction cannot go on: a lock, or a newer version than its snapshot's."""


@dataclass
class Store:
    """``versions`` has for each key its committed values as (commit, value); ``locks`` who holds a row."""

    initial: Callable[[Key], Any]
    time: int = 0
    commits: int = 0
    versions: dict[Key, list[tuple[int, Any]]] = field(default_factory=dict)
    locks: dict[Key, "Open"] = field(default_factory=dict)

    def tick(self) -> int:
        """The next moment."""
        self.time += 1
        return self.time

    def of(self, key: Key) -> list[tuple[int, Any]]:
        """Every committed version of a key."""
        return self.versions.setdefault(key, [(0, self.initial(key))])

    def latest(self, key: Key) -> Any:
        """The committed value now."""
        return self.of(key)[-1][1]


@dataclass(eq=False)
class Open:
    """A transaction under way. ``changes`` are what it will have done, by key."""

    store: Store
    isolation: Isolation
    began: int
    snapshot: int | None = None
    first_ended: int = 0
    changes: list[tuple[Key, Change]] = field(default_factory=list)
    seen: set[Key] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)

    def _look(self) -> None:
        if self.snapshot is None or self.isolation is Isolation.READ_COMMITTED:
            self.snapshot = self.store.commits

    def value(self, key: Key) -> Any:
        """What a statement sees now."""
        self._look()
        assert self.snapshot is not None
        value = next(value for commit, value in reversed(self.store.of(key)) if commit <= self.snapshot)
        for changed, change in self.changes:
            if changed == key:
                value = change(value)
        self.seen.add(key)
        return value

    def read(self, key: Key, show: Callable[[Any], Any] = lambda value: value) -> Iterator[None]:
        """Read a key; ``show`` makes what the client gets of it."""
        began = self.store.tick()
        yield
        value = self.value(key)
        yield
        ended = self.store.tick()
        if self.isolation is not Isolation.READ_COMMITTED:
            self.first_ended = self.first_ended or ended
            began, ended = self.began, self.first_ended
        self.steps.append(Read(key, show(value), began, ended))

    def lock(self, row: Key) -> Iterator[None]:
        """Wait for a row to be changed. :raises Failed: for too long, or it is newer than the snapshot."""
        self._look()
        for _ in range(PATIENCE):
            if self.store.locks.get(row, self) is self:
                break
            yield
        else:
            raise Failed
        self.store.locks[row] = self
        if self.isolation is not Isolation.READ_COMMITTED and self.store.of(row)[-1][0] > (
            self.snapshot or 0
        ):
            raise Failed
        self._look()

    def change(self, key: Key, change: Change) -> None:
        """Do something to a key, for others when it is committed."""
        self.changes.append((key, change))

    def commit(self) -> None:
        """:raises Failed: another transaction changed what a SERIALIZABLE one has read."""
        store = self.store
        changed = any(store.of(key)[-1][0] > (self.snapshot or 0) for key in self.seen)
        if self.isolation is Isolation.SERIALIZABLE and changed:
            raise Failed
        store.commits += 1
        for key, change in self.changes:
            store.of(key).append((store.commits, change(store.latest(key))))
        self.release()

    def release(self) -> None:
        """Let go of all rows."""
        for row in [row for row, holder in self.store.locks.items() if holder is self]:
            del self.store.locks[row]


Work = Callable[[Open], Iterator[None]]


@dataclass
class Clients:
    """Clients of a store that take turns at random. ``done`` are their transactions, in order of their ends."""

    store: Store
    random: Random
    done: list[Transaction] = field(default_factory=list)
    running: list[Iterator[None]] = field(default_factory=list)
    sessions: int = 0

    def run(self, clients: int, turns: int, work: Callable[[], Work]) -> None:
        """``turns`` transactions by each of ``clients``, each of a new ``work``."""
        self.running += [self._client(turns, work) for _ in range(clients)]
        while self.running:
            one = self.random.choice(self.running)
            try:
                next(one)
            except StopIteration:
                self.running.remove(one)

    def _client(self, turns: int, work: Callable[[], Work]) -> Iterator[None]:
        session = self._new_session()
        for _ in range(turns):
            transaction = yield from self._transaction(session, self.random.choice(list(Isolation)), work())
            self.done.append(transaction)
            if transaction.outcome is Outcome.UNKNOWN:
                session = self._new_session()
            yield

    def _new_session(self) -> int:
        self.sessions += 1
        return self.sessions

    def _transaction(
        self, session: int, isolation: Isolation, work: Work
    ) -> Generator[None, None, Transaction]:
        opened = Open(self.store, isolation, self.store.tick())
        fate = self.random.choices(list(Outcome), (85, 10, 5))[0]
        committing = NEVER
        try:
            yield from work(opened)
            if fate is Outcome.FAILED:
                raise Failed
            committing = self.store.tick()
            yield
            if fate is Outcome.UNKNOWN:
                self.running.append(self._ghost(opened))
            else:
                opened.commit()
        except Failed:
            opened.release()
            fate = Outcome.FAILED
        yield
        completed = self.store.tick()
        return Transaction(session, fate, tuple(opened.steps), committing, completed, isolation)

    def _ghost(self, opened: Open) -> Iterator[None]:
        """A COMMIT of which the client does not hear again: some time it counts, or never."""
        for _ in range(self.random.randrange(40)):
            yield
        if self.random.random() < 0.5:
            try:
                opened.commit()
            except Failed:
                pass
        opened.release()

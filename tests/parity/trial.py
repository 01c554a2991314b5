"""Many statements through the proxy and on the oracle: counts of what happened, and each wrong answer in full."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.parity.pair import MODES, Outcome, Pair

CANCELED = "57014"
BY_ROW = frozenset({"21000", "23502", "23503", "23505", "23514"})
"""Errors that some row makes: which of two comes first is the plan's choice, on one PostgreSQL too."""
PRELUDES = (
    "SELECT 1",
    "SAVEPOINT a",
    "SET LOCAL work_mem = '5MB'",
    "SELECT typname::text FROM pg_catalog.pg_type WHERE oid = 25",
    "SELECT name FROM currencies WHERE currency = 'EUR'",
    "SHOW work_mem",
)
"""What a block may have run before it belongs to a shard."""
_LIMIT = "SET statement_timeout = '500ms'"


@dataclass(slots=True)
class Trial:
    """A run over statements. ``wrong`` are the differences, as text; ``counts`` what happened to the others."""

    proxy_dsn: str
    oracle_dsn: str
    values: Mapping[str, Any]
    counts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _pairs: dict[str, Pair] = field(default_factory=dict)

    def __enter__(self) -> "Trial":
        return self

    def __exit__(self, *_: object) -> None:
        for pair in self._pairs.values():
            pair.close()

    def select(self, statements: Iterable[str], seed: int) -> None:
        """Run each statement once, in one of the protocols."""
        random = Random(seed)
        for sql in statements:
            self._compare(random.choice(MODES), sql)

    def change(self, statements: Iterable[str], seed: int) -> None:
        """Run each change in a transaction that is rolled back, some behind what any shard can answer."""
        random = Random(seed)
        for sql in statements:
            mode = random.choice(("simple", "text", "binary"))
            self._both(mode, "BEGIN", sql)
            for prelude in random.sample(PRELUDES, random.choice((0, 0, 1, 3))):
                self._both(mode, prelude, sql)
            self._compare(mode, sql)
            self._both(mode, "ROLLBACK", sql)

    def _both(self, mode: str, command: str, about: str) -> None:
        """What does the same on both sides, such as ROLLBACK, whatever was refused before it."""
        pair = self._pair(mode)
        through, direct = pair.proxy(command, {}), pair.oracle(command, {})
        if not _same(through, direct):
            self.wrong.append(
                f"[{mode}] {command} at {about}\n  through {_brief(through)}\n  direct  {_brief(direct)}"
            )
            self._pairs.pop(mode).close()

    def keep(self, statements: Iterable[str], seed: int) -> None:
        """Run each change for good, on both sides or on none."""
        self.select(statements, seed)

    @property
    def answered(self) -> float:
        """The part of the statements with an answer on the oracle that the proxy answered too."""
        answered = self.counts["answered"]
        return answered / max(answered + self.counts["refused"], 1)

    def report(self) -> str:
        """What happened, in a few lines."""
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.most_common())
        return f"{counts}; {self.answered:.0%} of what has an answer was answered"

    def _compare(self, mode: str, sql: str) -> None:
        """The proxy goes first: what it refuses, or what takes too long, is not done on the oracle."""
        pair = self._pair(mode)
        through = pair.proxy(sql, dict(self.values))
        if through.refused:
            self.refusals[through.message] += 1
            self.counts["refused"] += 1
            return
        if through.sqlstate == CANCELED:
            self.counts["too slow"] += 1
            return
        direct = pair.oracle(sql, dict(self.values))
        if direct.sqlstate == CANCELED:
            self.counts["too slow"] += 1
        elif _same(through, direct):
            self.counts["answered" if direct.sqlstate is None else "error"] += 1
        else:
            self.counts["wrong"] += 1
            self.wrong.append(f"[{mode}] {sql}\n  through {_brief(through)}\n  direct  {_brief(direct)}")
            self._pairs.pop(mode).close()

    def _pair(self, mode: str) -> Pair:
        pair = self._pairs.get(mode)
        if pair is None:
            pair = self._pairs[mode] = Pair(mode, self.proxy_dsn, self.oracle_dsn)
            for run in (pair.proxy, pair.oracle):
                assert run(_LIMIT, {}).sqlstate is None
        return pair


def _same(one: Outcome, other: Outcome) -> bool:
    if one.rows is None or other.rows is None:
        both = {one.sqlstate, other.sqlstate}
        return None not in both and (len(both) == 1 or both <= BY_ROW)
    return sorted(one.rows) == sorted(other.rows) and one.tag == other.tag


def _brief(outcome: Outcome) -> str:
    if outcome.rows is None:
        return f"error {outcome.sqlstate}: {outcome.message}"
    return f"{outcome.tag}: {str(sorted(outcome.rows))[:400]}"

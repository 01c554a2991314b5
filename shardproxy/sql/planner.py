"""From the text of a request to its plan: once per statement shape, then from memory.

A simple query is looked up by its exact text, then by its shape (``lexer.fold``): statements that differ
only in literals share a plan whose keys are places. A Parse of the extended protocol is looked up by its
text. Errors are not kept: an exception holds the traceback of whoever met it, and a wrong statement fails
early and cheaply.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple, Protocol

from shardproxy.errors import Refused
from shardproxy.sql import grammar
from shardproxy.sql.analysis import analyze
from shardproxy.sql.encoding import decode
from shardproxy.sql.fold_proof import is_proven, places
from shardproxy.sql.hints import leading_comments_end
from shardproxy.sql.lexer import Folded, fold
from shardproxy.sql.plan_cache import PlanCache
from shardproxy.sql.schema import Schema
from shardproxy.sql.statement import Literal, Statement
from shardproxy.topology.tables import TableRules

SearchPath = tuple[str, ...]
WHOLE_TEXT: Final = sys.maxsize
"""``Statement.end`` of a plan that texts of different lengths share; slicing a text with it gives all of
it.
"""

_Key = tuple[SearchPath, bytes] | tuple[SearchPath, bytes, str]

_SHAPE: Final = "shape"  # the third part of a key tells texts, shapes and texts without their comments apart
_COMMENTED: Final = "commented"
_ENTRY_BYTES: Final = 400
_STATEMENT_BYTES: Final = 1000
_ITEM_BYTES: Final = 120  # a key source, a relation name, a literal


class Planned(NamedTuple):
    """The plan of one request. ``literals``: the values of the places that the plan's Literal keys speak of.

    ``text`` tells plans apart in statistics: the shape, or the text where nothing is shared.
    """

    statements: tuple[Statement, ...]
    literals: tuple[str, ...]
    text: bytes


_NOT_SHARED: Final = Planned((), (), b"")  # stands for a shape whose statements are planned one by one


class Analyze(Protocol):
    """What :func:`analysis.analyze` is."""

    def __call__(
        self,
        text: str,
        *,
        schema: Schema,
        rules: TableRules,
        search_path: SearchPath,
        places: Mapping[int, int] | None,
    ) -> tuple[Statement, ...]:
        """The plans of the statements in ``text``, whose literals at the bytes in ``places`` are not
        fixed.
        """


class Planner:
    """Plans under one reading of the schema and one set of table rules; a new reading makes a new planner.

    Not for several threads. ``hits``, ``misses`` and ``evictions`` only grow, also across :meth:`replace`.
    """

    def __init__(
        self,
        schema: Schema,
        rules: TableRules,
        *,
        cache_bytes: int = 32 << 20,
        max_cached_text: int = 1 << 20,
        analyze: Analyze = analyze,
    ) -> None:
        self.schema = schema
        self.rules = rules
        self.max_cached_text = max_cached_text  # longer texts are planned each time
        self.hits = 0
        self.misses = 0
        # A type whose values are checked by functions that may touch tables: the text does not tell whether a
        # parameter is of it, only its OID does, which differs from shard to shard.
        self.checking_type = next(
            (name for name, called in schema.reading_types.items() if not rules.trusted.issuperset(called)),
            None,
        )
        self._analyze = analyze
        self._cache: PlanCache[_Key, Planned] = PlanCache(cache_bytes)

    @property
    def evictions(self) -> int:
        """Plans that were pushed out to stay within ``cache_bytes``."""
        return self._cache.evictions

    @property
    def cached_bytes(self) -> int:
        """What the cached plans take, estimated."""
        return self._cache.bytes

    def __len__(self) -> int:
        return len(self._cache)

    def replace(self, schema: Schema, rules: TableRules) -> "Planner":
        """An empty planner for ``schema`` and ``rules`` with the options and counters of this one."""
        fresh = Planner(
            schema,
            rules,
            cache_bytes=self._cache.budget,
            max_cached_text=self.max_cached_text,
            analyze=self._analyze,
        )
        fresh.hits, fresh.misses = self.hits, self.misses
        fresh._cache.evictions = self._cache.evictions
        return fresh

    def simple(self, text: bytes, search_path: SearchPath) -> Planned:
        """The plan of a simple query. Raises StatementError (42601; 22021 for bytes that are not UTF-8)."""
        exact = self._cache.get((search_path, text))
        if exact is not None:
            self.hits += 1
            return exact
        folded = fold(text) if len(text) <= self.max_cached_text else None
        if folded is None:
            return self._plan_exactly(text, search_path)
        shared = self._cache.get((search_path, folded.shape, _SHAPE))
        if shared is None:
            return self._plan_folded(text, folded, search_path)
        if shared is _NOT_SHARED:
            return self._plan_exactly(text, search_path)
        self.hits += 1
        # Most queries come by here, and a NamedTuple's own constructor is a Python function.
        return tuple.__new__(Planned, (shared.statements, folded.literals, shared.text))

    def extended(self, text: bytes, search_path: SearchPath) -> Planned:
        """The plan of a Parse message's query. Raises as :meth:`simple` does.

        Texts that differ only in their leading comments share a plan.
        """
        comments = leading_comments_end(text)
        if comments == 0:
            exact = self._cache.get((search_path, text))
            if exact is None:
                return self._plan_exactly(text, search_path)
        else:
            key = (search_path, text[comments:], _COMMENTED)
            exact = self._cache.get(key)
            if exact is None:
                return self._plan_commented(text, key, search_path)
        self.hits += 1
        return exact

    def _plan_exactly(self, text: bytes, search_path: SearchPath) -> Planned:
        planned = Planned(self._plan(text, search_path, None), (), text)
        self._keep((search_path, text), planned)
        return planned

    def _plan_commented(self, text: bytes, key: _Key, search_path: SearchPath) -> Planned:
        statements = self._plan(text, search_path, None)
        if len(statements) != 1:
            return Planned(statements, (), text)
        planned = Planned((_for_any_text(statements[0]),), (), text)
        self._keep(key, planned)
        return planned

    def _plan_folded(self, text: bytes, folded: Folded, search_path: SearchPath) -> Planned:
        """Plan the first statement of its shape, and decide whether the shape is shared from now on."""
        shape_key = (search_path, folded.shape, _SHAPE)
        if not is_proven(folded, grammar.parse(decode(text))):
            self._keep(shape_key, _NOT_SHARED)
            return self._plan_exactly(text, search_path)
        statements = self._plan(text, search_path, places(folded))
        if len(statements) == 1 and statements[0].foldable:
            planned = Planned((_for_any_text(statements[0]),), folded.literals, folded.shape)
            self._keep(shape_key, planned._replace(literals=()))
            return planned
        self._keep(shape_key, _NOT_SHARED)
        if any(map(_has_places, statements)):  # a Parse of the same text brings no literals
            return self._plan_exactly(text, search_path)
        planned = Planned(statements, (), text)
        self._keep((search_path, text), planned)
        return planned

    def _plan(
        self, text: bytes, search_path: SearchPath, places: Mapping[int, int] | None
    ) -> tuple[Statement, ...]:
        self.misses += 1
        return self._analyze(
            decode(text), schema=self.schema, rules=self.rules, search_path=search_path, places=places
        )

    def _keep(self, key: _Key, planned: Planned) -> None:
        if len(planned.text) <= self.max_cached_text:
            self._cache.put(key, planned, _cost(key, planned))


def _has_places(statement: Statement) -> bool:
    return any(isinstance(source, Literal) for key_set in statement.key_sets for source in key_set.sources)


def _for_any_text(statement: Statement) -> Statement:
    """The plan for texts in which the statement lies elsewhere: no positions, and the whole text is its
    own.
    """
    refusal = statement.refusal
    if refusal is not None and refusal.position:
        refusal = Refused(
            refusal.construct, hint=refusal.hint, detail=refusal.detail, sqlstate=refusal.sqlstate
        )
    return replace(statement, start=0, end=WHOLE_TEXT, refusal=refusal)


def _cost(key: _Key, planned: Planned) -> int:
    items = len(planned.literals)
    for statement in planned.statements:
        items += len(statement.relations) + len(statement.unbound) + len(statement.key_sets)
        items += sum(len(key_set.sources) for key_set in statement.key_sets)
    return len(key[1]) + _ENTRY_BYTES + _STATEMENT_BYTES * len(planned.statements) + _ITEM_BYTES * items

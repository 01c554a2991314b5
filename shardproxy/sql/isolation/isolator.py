"""Isolated statements from memory: a template is made once per statement shape, not once per text.

The shape's literals become stand-ins, all different, and the statement with them is isolated and proven
as any other. Where the stand-ins are in the result, each statement of the shape has its own literals put
in.
"""

import re
from typing import Final

from shardproxy.errors import Refused, StatementError
from shardproxy.sql import grammar
from shardproxy.sql.analysis import analyze
from shardproxy.sql.fold_proof import is_proven, places
from shardproxy.sql.isolation.template import isolate
from shardproxy.sql.lexer import MARKER_INT4, MARKER_INT8, MARKER_NUMERIC, MARKER_STRING, Folded, fold
from shardproxy.sql.plan_cache import PlanCache
from shardproxy.sql.schema import Schema
from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.tables import TableRules

SearchPath = tuple[str, ...]
Pieces = tuple[str | int, ...]
"""A template: text, and between it the places of literals; place -1 is the tenant's."""

_TENANT: Final = -1
_NOT_SHARED: Final[Pieces] = ()  # stands for a shape whose statements are isolated one by one
_MARKER: Final = re.compile(b"(\0.)", re.DOTALL)
_MOST_LITERALS: Final = 1000
_NUMBERS: Final = {MARKER_INT4: "1{:09}", MARKER_INT8: "8{:018}", MARKER_NUMERIC: "0.9{:06}"}
_STRINGS: Final = {
    KeyFamily.TEXT: "~s{}~",
    KeyFamily.INTEGER: "7{:06}",
    KeyFamily.UUID: "7e9a9700-0000-4000-9000-{:012}",
}
_ENTRY_BYTES: Final = 500
_PIECE_BYTES: Final = 100


class Isolator:
    """Rewrites statements under one reading of the schema, and remembers how. Not for several threads."""

    def __init__(
        self,
        schema: Schema,
        rules: TableRules,
        *,
        cache_bytes: int = 16 << 20,
        max_cached_text: int = 1 << 20,
    ) -> None:
        self.schema = schema
        self.rules = rules
        self.max_cached_text = max_cached_text  # longer texts are rewritten each time
        self._family = rules.groups[rules.tenant_group]
        # By (search path, text) and by (search path, shape); a shape is bytes.
        self._cache: PlanCache[tuple[SearchPath, str | bytes], Pieces] = PlanCache(cache_bytes)

    def rewrite(self, text: str, tenant: str, search_path: SearchPath) -> str:
        """One statement as it runs for a tenant, whose key ``tenant`` is a quoted SQL string whatever its
        type.

        What :func:`isolate` says of routing and of errors holds here.
        """
        pieces = self._cache.get((search_path, text))
        literals: list[str] = []
        if pieces is None:
            folded = fold(text.encode()) if len(text) <= self.max_cached_text else None
            if folded is not None:
                pieces = self._shared(folded, search_path)
                literals = _written(folded)
            if not pieces:
                pieces = self._exact(text, search_path)
        values = [*literals, tenant]
        return "".join([piece if isinstance(piece, str) else values[piece] for piece in pieces])

    def _exact(self, text: str, search_path: SearchPath) -> Pieces:
        template = isolate(text, schema=self.schema, rules=self.rules, search_path=search_path)
        pieces: list[str | int] = [template.parts[0]]
        for part in template.parts[1:]:
            pieces += (_TENANT, part)
        self._keep((search_path, text), tuple(pieces))
        return tuple(pieces)

    def _shared(self, folded: Folded, search_path: SearchPath) -> Pieces:
        key = (search_path, folded.shape)
        pieces = self._cache.get(key)
        if pieces is None:
            try:
                pieces = self._make(folded, search_path)
            except (Refused, StatementError):
                pieces = _NOT_SHARED  # perhaps only with the stand-ins: the statement itself shall say it
            self._keep(key, pieces)
        return pieces

    def _make(self, folded: Folded, search_path: SearchPath) -> Pieces:
        """The template of a shape, :data:`_NOT_SHARED` where its statements have to be looked at each."""
        kinds = _MARKER.findall(folded.shape)
        if len(kinds) > _MOST_LITERALS:
            return _NOT_SHARED
        stand_ins = [self._stand_in(kind, i) for i, kind in enumerate(kinds)]
        tenant = self._stand_in(MARKER_STRING, len(kinds))
        text = _fill(folded.shape, stand_ins)
        template = isolate(text, schema=self.schema, rules=self.rules, search_path=search_path)
        rewritten = tenant.join(template.parts)
        found = self._proven_fold(rewritten, search_path)
        if self._proven_fold(text, search_path) is None or found is None:
            return _NOT_SHARED
        known = {value: place for place, value in enumerate(stand_ins)} | {tenant: _TENANT}
        pieces = tuple(_pieces(found, known))
        wanted = [*range(len(stand_ins)), *[_TENANT] * (len(template.parts) - 1)]
        return pieces if sorted(p for p in pieces if isinstance(p, int)) == sorted(wanted) else _NOT_SHARED

    def _stand_in(self, kind: bytes, i: int) -> str:
        return _NUMBERS[kind].format(i) if kind in _NUMBERS else f"'{_STRINGS[self._family].format(i)}'"

    def _proven_fold(self, text: str, search_path: SearchPath) -> Folded | None:
        """The fold of ``text``, None where its plan does not hold for other literals."""
        folded = fold(text.encode())
        if folded is None or not is_proven(folded, grammar.parse(text)):
            return None
        statements = analyze(
            text, schema=self.schema, rules=self.rules, search_path=search_path, places=places(folded)
        )
        return folded if all(statement.foldable for statement in statements) else None

    def _keep(self, key: tuple[SearchPath, str | bytes], pieces: Pieces) -> None:
        if len(key[1]) <= self.max_cached_text:
            text = sum(len(piece) for piece in pieces if isinstance(piece, str))
            self._cache.put(key, pieces, len(key[1]) + text + _PIECE_BYTES * len(pieces) + _ENTRY_BYTES)


def _written(folded: Folded) -> list[str]:
    """The literals of a statement as SQL. A string needs no escapes: standard_conforming_strings is on."""
    kinds = _MARKER.findall(folded.shape)
    return [
        "'" + literal.replace("'", "''") + "'" if kind == MARKER_STRING else literal
        for kind, literal in zip(kinds, folded.literals, strict=True)
    ]


def _fill(shape: bytes, literals: list[str]) -> str:
    """The text of ``shape`` with ``literals`` as SQL in its places."""
    parts = _MARKER.split(shape)
    parts[1::2] = [literal.encode() for literal in literals]
    return b"".join(parts).decode()


def _pieces(folded: Folded, known: dict[str, int]) -> list[str | int]:
    """The text of ``folded`` with places for the ``known`` literals; its others stay."""
    pieces: list[str | int] = []
    literals = iter(_written(folded))
    for i, part in enumerate(_MARKER.split(folded.shape)):
        literal = next(literals) if i % 2 else part.decode()
        pieces.append(known.get(literal, literal) if i % 2 else literal)
    return pieces

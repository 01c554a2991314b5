"""What a PL/pgSQL function does, as far as its source tells."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from shardproxy.errors import StatementError
from shardproxy.sql import grammar
from shardproxy.sql.plpgsql.cursor import NotUnderstood
from shardproxy.sql.plpgsql.reader import Path, Reader

_ROWS: Final = frozenset({"new", "old"})
_ROWS_RETURNED: Final = frozenset({"new", "old", "null", "coalesce ( new , old )", "coalesce ( old , new )"})


@dataclass(frozen=True, slots=True)
class Body:
    """What a function does. ``pieces`` are all its SQL: statements without the INTO of PL/pgSQL, and each
    expression as the SELECT that PL/pgSQL makes of it. ``assigned`` are the targets of assignments, of INTO
    and of loops, ``declared`` the names of its variables, ``returned`` the expressions of RETURN with a space
    between their tokens, ``words`` all names and keywords.
    """

    pieces: tuple[str, ...]
    assigned: frozenset[Path]
    declared: frozenset[str]
    returned: frozenset[str]
    words: frozenset[str]

    def spares(self, column: str) -> bool:
        """Whether ``column`` of a trigger's NEW and OLD is always that of the row it was called for."""
        return self.declared.isdisjoint(_ROWS) and all(_spares(path, column) for path in self.assigned)

    def returns_its_row(self) -> bool:
        """Whether a trigger returns nothing but NEW, OLD or NULL."""
        return self.returned <= _ROWS_RETURNED


def _spares(path: Path, column: str) -> bool:
    """Whether assigning to ``path`` leaves ``column`` of NEW and OLD alone, however they are qualified."""
    at = next((i for i, part in enumerate(path) if part in _ROWS), None)
    return at is None or (at + 1 < len(path) and path[at + 1] != column)


def read_body(source: str) -> Body:
    """The body of a function whose ``source`` is pg_proc.prosrc. Raises NotUnderstood."""
    found = _read(source)
    if isinstance(found, str):
        raise NotUnderstood(found)
    return found


@lru_cache(maxsize=4096)
def _read(source: str) -> Body | str:
    """The body, or why it is not understood."""
    try:
        reader = Reader(source.encode(), grammar.tokens(source))
        reader.function()
    except NotUnderstood as error:
        return str(error)
    except (StatementError, RecursionError):
        return "its source could not be read"
    return Body(
        tuple(reader.pieces),
        frozenset(reader.assigned),
        frozenset(reader.declared),
        frozenset(reader.returned),
        frozenset(token.word for token in reader.tokens if token.word),
    )

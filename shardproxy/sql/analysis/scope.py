"""Names inside a query: what a column reference means, level by level, as parse_relation.c resolves it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from shardproxy.sql.analysis.equivalence import Variable
from shardproxy.topology.keys import KeyFamily

if TYPE_CHECKING:
    from shardproxy.sql.analysis.levels import CommonTable

SYSTEM_COLUMNS: Final = frozenset({"tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"})


@dataclass(frozen=True, slots=True)
class VariableInfo:
    """What a variable is. ``entry`` numbers the occurrence of a relation; ``not_null`` is the table's
    constraint.
    """

    entry: int
    family: KeyFamily | None
    not_null: bool = False


class Variables:
    """All variables of one statement."""

    def __init__(self) -> None:
        self._infos: list[VariableInfo] = []
        self._entries = 0

    def new_entry(self) -> int:
        """A number for one more occurrence of a relation."""
        self._entries += 1
        return self._entries

    def new(self, entry: int, family: KeyFamily | None, *, not_null: bool = False) -> Variable:
        """A new variable."""
        self._infos.append(VariableInfo(entry, family, not_null))
        return len(self._infos) - 1

    def info(self, variable: Variable) -> VariableInfo:
        """What a variable is."""
        return self._infos[variable]


@dataclass(frozen=True, slots=True)
class Column:
    """A column that can be named."""

    name: str
    variable: Variable


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a namespace. ``complete`` is False when it may have more columns than are listed.

    ``by_table``: its columns can be named as ``name.column``; ``by_column``: as ``column`` alone.
    """

    name: str
    columns: tuple[Column, ...]
    complete: bool = True
    schema: str | None = None  # of a table without an alias
    by_table: bool = True
    by_column: bool = True

    def find(self, name: str) -> list[Variable]:
        """The variables of all columns of that name."""
        return [column.variable for column in self.columns if column.name == name]


@dataclass(slots=True)
class Scope:
    """The names that one query level, or a part of it, can see. ``items`` grows while FROM is read."""

    items: list[Item] = field(default_factory=list)
    parent: "Scope | None" = None
    tables: "dict[str, CommonTable]" = field(default_factory=dict)  # WITH
    aggregated: bool = False  # an aggregate, here or in a subquery, may belong to this level

    def common_table(self, name: str) -> "CommonTable | None":
        """The nearest CTE of that name."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.tables:
                return scope.tables[name]
            scope = scope.parent
        return None

    def chain(self) -> "Iterator[Scope]":
        """This scope and those around it."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def levels_of(self, names: Sequence[str]) -> "Iterator[Scope]":
        """The scopes in which a column reference may be resolved, the nearest first."""
        for scope in self.chain():
            certain, _ = scope._column(names[0]) if len(names) == 1 else scope._qualified(names)
            if certain:
                yield scope
                if len(names) > 1 or any(item.by_column and item.find(names[0]) for item in scope.items):
                    return

    def beside(self, items: Iterable[Item] = ()) -> "Scope":
        """A scope with the same surroundings and other names: for a subquery in FROM, or a join's ON."""
        return Scope(list(items), self.parent, self.tables)

    def resolve(self, names: Sequence[str]) -> Variable | None:
        """The variable a column reference means; None when that is not certain, or PostgreSQL refuses it."""
        if not names or "" in names or len(names) > 4:
            return None
        scope: Scope | None = self
        while scope is not None:
            certain, variable = scope._column(names[0]) if len(names) == 1 else scope._qualified(names)
            if certain:
                return variable
            scope = scope.parent
        return None

    def may_have(self, name: str) -> bool:
        """Whether a column of this level alone has that name, or may have it."""
        return self._column(name)[0]

    def _column(self, name: str) -> tuple[bool, Variable | None]:
        """(whether the search ends here, what was found) for an unqualified name."""
        items = [item for item in self.items if item.by_column]
        found = [variable for item in items for variable in item.find(name)]
        if found:
            return True, found[0] if len(found) == 1 else None
        return name in SYSTEM_COLUMNS or not all(item.complete for item in items), None

    def _qualified(self, names: Sequence[str]) -> tuple[bool, Variable | None]:
        schema, table, column = (names[-3] if len(names) > 2 else None), names[-2], names[-1]
        items = [
            item
            for item in self.items
            if item.by_table and item.name == table and (schema is None or item.schema == schema)
        ]
        if not items:
            return False, None
        found = items[0].find(column) if len(items) == 1 else []
        return True, found[0] if len(found) == 1 else None


def only_by_table(items: Iterable[Item]) -> list[Item]:
    """The items of a join's sides, whose columns the join itself lists."""
    return [replace(item, by_column=False) for item in items]


def renamed(columns: Sequence[Column], aliases: Sequence[str]) -> tuple[Column, ...]:
    """The columns under the names of an alias list, which may be shorter."""
    new = [Column(alias, column.variable) for alias, column in zip(aliases, columns, strict=False)]
    return (*new, *columns[len(new) :])

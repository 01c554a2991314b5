"""A statement as analysis sees it: query levels, what their FROM clauses join, and the facts each part
ensures.
"""

from dataclasses import dataclass, field
from enum import Enum, auto

from shardproxy.sql.analysis.equivalence import Facts, Variable
from shardproxy.sql.analysis.names import Target
from shardproxy.sql.analysis.scope import Scope
from shardproxy.sql.analysis.tree import Node
from shardproxy.sql.analysis.values import Value


@dataclass(frozen=True, slots=True)
class Table:
    """One occurrence of a table. ``key``: its sharding key, None when no fact can speak of it."""

    entry: int
    target: Target
    key: Variable | None = None
    sampled: bool = False
    length: int | None = None  # of a key of type varchar(length)


@dataclass(frozen=True, slots=True)
class Derived:
    """A subquery, view or CTE in FROM, with its columns. ``exports`` holds for each of its rows."""

    entry: int
    level: "Level"
    columns: tuple[Variable, ...]
    exports: Facts
    pushable: bool = True  # whether facts about its columns may restrict the tables inside


@dataclass(frozen=True, slots=True)
class Opaque:
    """Anything else in FROM: a function, a recursive reference, an unknown relation, a data-modifying CTE."""

    entry: int
    exports: Facts = ()
    sublinks: tuple["Level", ...] = ()
    function: bool = False  # every shard would evaluate it again


class JoinKind(Enum):
    """Which sides of a join keep rows without a partner."""

    INNER = auto()
    LEFT = auto()
    RIGHT = auto()
    FULL = auto()


@dataclass(frozen=True, slots=True)
class Join:
    """Two sides and the facts of ON, USING or NATURAL. ``entries`` are all occurrences below."""

    kind: JoinKind
    left: "Source"
    right: "Source"
    facts: Facts
    sublinks: tuple["Level", ...]
    entries: frozenset[int]


Source = Table | Derived | Opaque | Join


def entries(source: Source) -> frozenset[int]:
    """The occurrences of relations that a part of FROM joins."""
    return source.entries if isinstance(source, Join) else frozenset({source.entry})


@dataclass(frozen=True, slots=True)
class Output:
    """One column of a result: its name, and the variable it is, or the values it has one of, where it is just
    that.
    """

    name: str | None
    variable: Variable | None = None
    values: tuple[Value, ...] | None = None


@dataclass(frozen=True, slots=True)
class Outputs:
    """The columns of a result. ``complete`` is False when more follow than are listed."""

    columns: tuple[Output, ...] = ()
    complete: bool = True


@dataclass(frozen=True, slots=True)
class InsertedKey:
    """The sharding key of the rows that a level makes for ``table``."""

    table: Table
    variable: Variable | None = None
    values: tuple[Value, ...] | None = None


@dataclass(frozen=True, slots=True)
class AssignedKey:
    """What a level's UPDATE sets the sharding key of ``table`` to. ``facts`` hold for the rows it changes,
    besides those of the level.
    """

    table: Table
    variable: Variable | None = None
    values: tuple[Value, ...] | None = None
    facts: Facts = ()


@dataclass(slots=True)
class Level:
    """One SELECT, VALUES, set operation, INSERT, UPDATE, DELETE or MERGE.

    ``barrier``: a condition on the result must not be moved to its tables (LIMIT, window functions ...).
    ``groups``: the variables it groups by, None when it does not. ``always_row``: it has a row even when its
    tables have none. ``rollup``: grouping sets, which put NULL where a variable was.
    """

    scope: Scope
    sources: list[Source] = field(default_factory=list)
    facts: Facts = ()
    outputs: Outputs = field(default_factory=Outputs)
    sublinks: list["Level"] = field(default_factory=list)
    alone: list["Level"] = field(default_factory=list)  # sublinks that need no row of an ``always_row`` level
    standalone: list["Level"] = field(
        default_factory=list
    )  # evaluated by themselves: a source of rows, a CTE
    arms: tuple["Level", ...] = ()
    inserted: list[InsertedKey] = field(default_factory=list)
    assigned: list[AssignedKey] = field(default_factory=list)
    written: Source | None = None  # the table that UPDATE, DELETE or MERGE changes
    barrier: bool = False
    groups: frozenset[Variable] | None = None
    always_row: bool = False
    rollup: bool = False
    query: Node = None


@dataclass(slots=True)
class CommonTable:
    """A WITH query: built anew for each reference unless it modifies data, which happens once."""

    name: str
    query: Node
    scope: Scope  # what its body sees
    aliases: tuple[str, ...] = ()
    recursive: bool = False
    opaque_columns: bool = False  # SEARCH and CYCLE add columns
    level: Level | None = None  # of a data-modifying one
    references: int = 0
    building: bool = False  # a recursive one whose body is being read
    refers_to_itself: bool = False

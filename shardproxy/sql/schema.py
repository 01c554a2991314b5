"""What the proxy knows of the schema on the shards: relations, columns, functions. Values only;
``monitor`` reads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from shardproxy.topology.tables import RelationName

OWN: Final = "shardproxy"
"""The schema of the catalog and the fences: no reading has anything of it, no client's statement names it."""

OWN_RELATIONS: Final = frozenset({"shard", "moving", "marker", "map", "move", "move_log", "sidecar"})
OWN_FUNCTIONS: Final = frozenset({"enter", "guard", "hold", "let_go", "i_am"})

Names = tuple[RelationName, ...]

FIRST_USER_OID: Final = 16_384
"""FirstNormalObjectId of PostgreSQL: types from here on have a different OID on every server."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``type_oid`` is pg_attribute.atttypid; ``deterministic`` is its collation's (True when
    it has none).
    """

    name: str
    type_oid: int
    type_name: str  # format_type(atttypid, atttypmod), for example 'character varying(20)'
    not_null: bool = False
    deterministic: bool = True
    has_default: bool = False  # a DEFAULT, an identity or a generated column
    generated: bool = False  # computed from other columns, GENERATED ALWAYS AS (...)


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger of users that is not disabled. ``events`` are some of ``INSERT``, ``UPDATE``, ``DELETE``;
    ``changes_row``: it is a BEFORE trigger FOR EACH ROW, which may store another row than was written.
    """

    name: str
    function: RelationName
    events: tuple[str, ...]
    changes_row: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A function of users that the server calls where a relation is used. ``what`` does it, for example
    ``the default of column "total"``; ``events`` are some of ``SELECT``, ``INSERT``, ``UPDATE``, ``DELETE``.
    """

    what: str
    function: RelationName
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key: ``columns`` refer to ``target_columns`` of ``target``. ``on_delete`` and ``on_update``
    are pg_constraint.confdeltype and confupdtype ('a', 'r', 'c', 'n', 'd'). ``unset`` are the columns that
    SET NULL and SET DEFAULT of ON DELETE change.
    """

    name: str
    columns: tuple[str, ...]
    target: RelationName
    target_columns: tuple[str, ...]
    on_delete: str = "a"
    on_update: str = "a"
    unset: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Relation:
    """One row of pg_class that a statement can name.

    ``kind`` is pg_class.relkind ('r', 'p', 'v', 'm', 'f', 'S'). ``definition`` is pg_get_viewdef of a
    view, taken with an empty search_path so that every name in it is qualified. ``parents`` are those of
    pg_inherits (partitions too).
    """

    schema: str
    name: str
    kind: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    definition: str | None = None
    parents: tuple[RelationName, ...] = ()
    has_user_rules: bool = False
    row_security: bool = False
    policies_read: bool = False  # a policy has a subquery on another table
    triggers: tuple[Trigger, ...] = ()
    calls: tuple[Call, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()

    def column(self, name: str) -> Column | None:
        """The column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True)
class Function:
    """One row of pg_proc. ``volatility`` is provolatile ('i', 's', 'v'); ``kind`` is prokind ('f', 'a', 'w',
    'p'). ``reads`` is False where its source proves that it touches no table. ``body`` is the source of a
    trigger function in PL/pgSQL, where it can be told what it means.
    """

    schema: str
    name: str
    volatility: str
    kind: str
    argument_count: int
    from_extension: bool = False
    returns_set: bool = False
    reads: bool = True
    body: str | None = None

    @property
    def touches_tables(self) -> bool:
        """Whether a call may touch a table. That of an immutable one does not: its author has said so."""
        return self.reads and (self.volatility != "i" or self.kind == "a")


@dataclass(frozen=True, slots=True)
class Cast:
    """A cast of users from type ``source`` to ``target`` that PostgreSQL applies unasked, by ``function``."""

    source: str
    target: str
    function: RelationName


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """The schema all shards share, as of one reading. ``functions`` is keyed by bare name, over all schemas.

    ``relations`` has the user's relations; system catalogs (pg_catalog, information_schema, pg_toast) are not
    listed: they are recognised by ``system_relations``, the bare names in pg_catalog. ``version`` changes
    with every reading that found a difference, so that caches can key on it. The ``reading_`` ones lead from
    names to functions that may touch tables: from operators, from types to what their CHECKs and explicit
    casts call, and casts that no name shows. ``heirs`` are the relations with several parents, which may be
    spread as one of them only. Two readings are equal only if they are the same.
    """

    relations: Mapping[RelationName, Relation]
    functions: Mapping[str, tuple[Function, ...]]
    system_relations: frozenset[str]
    schemas: frozenset[str] = frozenset({"public"})
    hidden: frozenset[str] = frozenset()  # schemas of which our login has no USAGE: no search_path finds them
    user_operators: frozenset[str] = frozenset()  # operator names defined outside pg_catalog and extensions
    reading_operators: Mapping[str, Names] = field(default_factory=dict)
    reading_types: Mapping[str, Names] = field(default_factory=dict)
    reading_casts: tuple[Cast, ...] = ()
    enum_types: Mapping[RelationName, int] = field(default_factory=dict)
    version: int = 0
    heirs: tuple[RelationName, ...] = field(init=False)

    def __post_init__(self) -> None:
        heirs = (name for name, relation in self.relations.items() if len(relation.parents) > 1)
        object.__setattr__(self, "heirs", tuple(heirs))

"""Binding: which keys the rows of each sharded table have that can matter to the answer.

Going down from the statement, each part of a level is read under the facts that hold for the rows in which it
matters: those of the level that survive WHERE, and for the nullable side of an outer join those of its ON as
well. A table is bound when these say which values its sharding key has; the rest of its rows may then be
absent, as they are on the shard that has the key.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shardproxy.sql.analysis.derived import pushed
from shardproxy.sql.analysis.equivalence import Classes, Facts, Variable
from shardproxy.sql.analysis.levels import (
    AssignedKey,
    Derived,
    InsertedKey,
    Join,
    JoinKind,
    Level,
    Source,
    Table,
)
from shardproxy.sql.analysis.scope import Variables
from shardproxy.sql.analysis.surviving import nulled, surviving_facts
from shardproxy.sql.analysis.values import Value
from shardproxy.topology.keys import KeyFamily
from shardproxy.topology.tables import Sharded


@dataclass(frozen=True, slots=True)
class Bound:
    """One occurrence of a sharded table. ``values``: its key is one of them, None: it may be any.

    ``inserted``: rows are made, not read. ``follows``: they are made from rows of the same shard's tables.
    ``kept``: rows are given the key that they have already.
    """

    table: Table
    group: str
    family: KeyFamily
    values: tuple[Value, ...] | None
    inserted: bool = False
    follows: bool = False
    kept: bool = False


class Binder:
    """Collects :class:`Bound` for every occurrence of a sharded table below a level."""

    def __init__(self, variables: Variables, families: dict[str, KeyFamily]) -> None:
        self._variables = variables
        self._families = families
        self.bound: list[Bound] = []

    def bind(self, level: Level, known: Facts = ()) -> None:
        """Bind what is below ``level``. ``known``: the facts of its surroundings."""
        for below in (*level.arms, *level.standalone):
            self.bind(below, known)
        facts = surviving_facts(level.sources, (*known, *level.facts), self._variables)
        for source in level.sources:
            self._source(source, facts)
        for sublink in level.sublinks:
            self.bind(sublink, facts)
        for sublink in level.alone:
            self.bind(sublink, known if level.always_row or level.rollup else facts)
        for inserted in level.inserted:
            self._inserted(inserted, Classes(facts), level.sources)
        for assigned in level.assigned:
            self._assigned(assigned, Classes((*facts, *assigned.facts)))

    def _source(self, source: Source, facts: Facts) -> None:
        if isinstance(source, Table):
            self._table(source, facts)
        elif isinstance(source, Derived):
            self._derived(source, facts)
        elif isinstance(source, Join):
            self._join(source, facts)
        else:
            for sublink in source.sublinks:
                self.bind(sublink, facts)

    def _table(self, table: Table, facts: Facts) -> None:
        rule = table.target.rule
        if isinstance(rule, Sharded):
            values = None
            family = self._families[rule.group]
            if table.key is not None:
                values = suitable(Classes(facts).values(table.key), family)
            self.bound.append(Bound(table, rule.group, family, values))

    def _derived(self, derived: Derived, facts: Facts) -> None:
        """Facts about the columns of a derived table restrict its tables only where that leaves its rows the
        same; what the derived table itself ensures is left out, lest it come back as such a fact.
        """
        own = set(map(id, derived.exports))
        outer = tuple(fact for fact in facts if id(fact) not in own)
        if derived.pushable:
            self._below(derived.level, derived.columns, outer)
        else:
            self.bind(derived.level, outer)

    def _below(self, level: Level, columns: Sequence[Variable], outer: Facts) -> None:
        if level.arms and not level.barrier:
            for arm in level.arms:
                self._below(arm, columns, outer)
            for below in (*level.standalone, *level.sublinks, *level.alone):
                self.bind(below, outer)
            return
        self.bind(level, (*outer, *pushed(level, columns, self._variables)))

    def _join(self, join: Join, facts: Facts) -> None:
        left = right = facts
        if join.kind in (JoinKind.LEFT, JoinKind.FULL):
            right = self._nullable_side(join, join.right, facts)
        if join.kind in (JoinKind.RIGHT, JoinKind.FULL):
            left = self._nullable_side(join, join.left, facts)
        self._source(join.left, left)
        self._source(join.right, right)
        on = {JoinKind.LEFT: right, JoinKind.RIGHT: left}.get(join.kind, facts)
        for sublink in join.sublinks:
            self.bind(sublink, on)

    def _nullable_side(self, join: Join, side: Source, facts: Facts) -> Facts:
        """The facts for the side that an outer join may null: its rows matter only where ON holds, unless
        they too are kept without a partner.
        """
        if join.kind is JoinKind.FULL:
            return surviving_facts((side,), facts, self._variables)
        other = join.left if side is join.right else join.right
        return surviving_facts((other, side), (*facts, *join.facts), self._variables)

    def _inserted(self, inserted: InsertedKey, classes: Classes, sources: Sequence[Source]) -> None:
        table, rule = inserted.table, inserted.table.target.rule
        if not isinstance(rule, Sharded):
            return
        family = self._families[rule.group]
        values, follows = inserted.values, False
        if values is not None:
            values = suitable([values], family)
        elif inserted.variable is not None and self._variables.info(inserted.variable).family is family:
            values = suitable(classes.values(inserted.variable), family)
            if values and any(value.padded for value in values) and not self._is_never_null(table):
                values = None
            root = classes.root(inserted.variable)
            nullable = nulled(sources)
            follows = any(
                classes.root(read.key) == root
                for read in tables(sources)
                if read.key is not None
                and read.entry not in nullable
                and isinstance(read.target.rule, Sharded)
                and read.target.rule.group == rule.group
            )
        self.bound.append(Bound(table, rule.group, family, values, inserted=True, follows=follows))

    def _is_never_null(self, table: Table) -> bool:
        return table.key is not None and self._variables.info(table.key).not_null

    def _assigned(self, assigned: AssignedKey, classes: Classes) -> None:
        """A key that is set to what is known to be equal to it stays as it is; values are for routing to
        compare.
        """
        table, rule, variable = assigned.table, assigned.table.target.rule, assigned.variable
        if not isinstance(rule, Sharded):
            return
        family, values = self._families[rule.group], assigned.values
        if values is not None:
            values = suitable([values], family)
        elif variable is not None and self._variables.info(variable).family is family:
            if table.key is not None and classes.root(variable) == classes.root(table.key):
                return
            values = suitable(classes.values(variable), family)
        self.bound.append(Bound(table, rule.group, family, values, kept=True))


def suitable(choices: Sequence[tuple[Value, ...]], family: KeyFamily) -> tuple[Value, ...] | None:
    """The first list of values that are all comparable with keys of ``family``."""
    return next((values for values in choices if all(value.suits(family) for value in values)), None)


def tables(sources: Sequence[Source]) -> list[Table]:
    """The tables joined directly on a level."""
    found: list[Table] = []
    for source in sources:
        if isinstance(source, Table):
            found.append(source)
        elif isinstance(source, Join):
            found.extend(tables((source.left, source.right)))
    return found

"""What the analysis of one statement accumulates while its levels are built."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from shardproxy.errors import Refused
from shardproxy.sql import grammar
from shardproxy.sql.analysis.conditions import Conditions
from shardproxy.sql.analysis.functions import FunctionUse
from shardproxy.sql.analysis.names import Names, Nature, Target
from shardproxy.sql.analysis.scope import Variables
from shardproxy.sql.analysis.survey import Survey, survey
from shardproxy.sql.analysis.tree import Node
from shardproxy.sql.analysis.values import ValueReader
from shardproxy.sql.schema import Relation
from shardproxy.topology.tables import RelationName

MAX_LEVELS = 300
"""Query levels of a statement once views and CTEs are expanded at every reference."""


@dataclass(slots=True)
class Context:
    """The state of one statement's analysis. ``seen`` are the tables of the current text that were accounted
    for. ``unknown`` is the first table that no shard has.
    """

    names: Names
    variables: Variables
    values: ValueReader
    conditions: Conditions
    found: Survey
    use: FunctionUse
    seen: set[int] = field(default_factory=set)
    targets: dict[RelationName, Target] = field(default_factory=dict)
    written: dict[RelationName, Target] = field(default_factory=dict)
    expanding: list[RelationName] = field(default_factory=list)
    levels: int = 0
    unknown: Node | None = None

    def count_level(self) -> None:
        """One more query level. Raises Refused when there are absurdly many."""
        self.levels += 1
        if self.levels > MAX_LEVELS:
            raise Refused(f"more than {MAX_LEVELS} query levels, views included", sqlstate="54001")

    def mark(self, range_vars: Iterable[Node]) -> None:
        """Account for tables that are named without being read or written."""
        self.seen.update(range_var.location for range_var in range_vars)

    def resolve(self, range_var: Node) -> Target:
        """The relation a RangeVar means; recorded as used by the statement."""
        self.seen.add(range_var.location)
        target = self.names.relation(range_var)
        self.targets[target.name] = target
        if target.nature is Nature.UNKNOWN and self.unknown is None:
            self.unknown = range_var
        if target.nature is Nature.SYSTEM:
            self.use.add_catalog(target.name[1])
        if target.relation is not None and target.relation.policies_read:
            self.use.reads = self.use.reads or f"behind the policies of {target.name[1]}"
        return target

    def resolve_written(self, range_var: Node) -> Target:
        """The relation that a statement inserts into, updates or deletes from."""
        target = self.resolve(range_var)
        self.written[target.name] = target
        if target.nature is Nature.VIEW:
            raise Refused(f'writing the view "{target.name[1]}"', hint="Write its tables.")
        if target.nature is Nature.SYSTEM:
            raise Refused(f'writing the system catalog "{target.name[1]}"')
        if target.nature is Nature.REFERENCE:
            raise Refused(
                f'writing the reference table "{target.name[1]}"',
                hint="Its rows must be written on every shard: run the statement on each of them.",
            )
        if target.relation is not None and target.relation.has_user_rules:
            raise Refused(f'writing "{target.name[1]}", which has rules (CREATE RULE)')
        return target

    def check_accounted(self) -> None:
        """Refuse a statement in which a table occurs where analysis does not look."""
        if not self.found.tables <= self.seen:
            raise Refused("a table in a place that is not understood")

    @contextmanager
    def view(self, relation: Relation) -> Iterator[Node]:
        """The query of a view, to be built in place of its name; names in it are qualified."""
        name = (relation.schema, relation.name)
        if relation.definition is None or relation.has_user_rules or name in self.expanding:
            raise Refused(f'the view "{relation.name}", whose definition is not known')
        statements = grammar.parse(relation.definition).stmts
        if len(statements) != 1:
            raise Refused(f'the view "{relation.name}", whose definition is not one query')
        outer = self.names, self.values, self.conditions, self.found, self.seen
        self.expanding.append(name)
        self.names = Names(self.names.schema, self.names.rules, ())
        self.values = ValueReader(relation.definition, None)
        self.conditions = make_conditions(self.names, self.variables, self.values)
        self.found, self.seen = survey(statements[0]), set()
        self.use.add_all(self.found, self.names)
        try:
            yield statements[0].stmt
            self.check_accounted()
        finally:
            self.expanding.pop()
            self.names, self.values, self.conditions, self.found, self.seen = outer


def make_conditions(names: Names, variables: Variables, values: ValueReader) -> Conditions:
    """A reader of conditions for one text."""
    builtin = names.builtin_first and "=" not in names.schema.user_operators
    return Conditions(variables, values, builtin_equality=builtin)

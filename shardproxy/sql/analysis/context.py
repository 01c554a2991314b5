"""What the analysis of one statement accumulates while its levels are built."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from shardproxy.errors import Refused
from shardproxy.sql import grammar
from shardproxy.sql.analysis.conditions import Conditions
from shardproxy.sql.analysis.functions import FunctionUse, distrusted
from shardproxy.sql.analysis.names import Names, Nature, Target
from shardproxy.sql.analysis.scope import Variables
from shardproxy.sql.analysis.survey import Survey, survey
from shardproxy.sql.analysis.tree import Node
from shardproxy.sql.analysis.values import ValueReader
from shardproxy.sql.schema import Relation
from shardproxy.topology.tables import RelationName

MAX_LEVELS = 300
"""Query levels of a statement once views and CTEs are expanded at every reference."""


Step = tuple[RelationName, str]
"""An event on a table: ``INSERT``, ``UPDATE``, ``DELETE``, or ``SELECT`` for what its policies call."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a write sets off, of which ``why`` it may do harm is known: change the sharding key
    ``key`` of a row, or, where that is None, touch rows of other tenants. ``what`` does it, by ``function``.
    """

    what: str
    function: str | None
    why: str
    key: str | None = None

    @property
    def harm(self) -> str:
        """The finding as a clause."""
        harm = "touch rows of other tenants" if self.key is None else f'change the sharding key "{self.key}"'
        return f"{self.what} may {harm}"

    @property
    def remedy(self) -> str:
        """What an operator can do."""
        if self.function is None:
            return "Change it on every shard."
        leaves = "" if self.key is None else ", and leaves the key alone"
        return f"Declare {self.function} under trusted_functions if it stays with its row's tenant{leaves}."


class SideEffects(Protocol):
    """What :class:`~shardproxy.sql.analysis.effects.Effects` is."""

    def findings(self, step: Step) -> tuple[Finding, ...]:
        """What is not proven harmless of an event on a table."""


@dataclass(slots=True)
class Context:
    """The state of one statement's analysis. ``seen`` are the tables of the current text that were accounted
    for. ``unknown`` are the tables that no shard has. ``steps`` are the events on the tables that it
    writes; ``effects`` says what these set off, None: who analyses looks at that himself.
    """

    names: Names
    variables: Variables
    values: ValueReader
    conditions: Conditions
    found: Survey
    use: FunctionUse
    effects: SideEffects | None = None
    steps: set[Step] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)
    targets: dict[RelationName, Target] = field(default_factory=dict)
    written: dict[RelationName, Target] = field(default_factory=dict)
    expanding: list[RelationName] = field(default_factory=list)
    levels: int = 0
    unknown: list[Node] = field(default_factory=list)

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
        if target.nature is Nature.UNKNOWN:
            self.unknown.append(range_var)
        if target.nature is Nature.SYSTEM:
            self.use.add_catalog(target.name[1])
        relation = target.relation
        if relation is not None and relation.policies_read:
            self.use.read(f"behind the policies of {target.name[1]}")
        for call in relation.calls if relation is not None else ():
            if "SELECT" in call.events and distrusted((call.function,), self.names):
                self.use.read(f'{call.function[1]} behind {call.what} of "{target.name[1]}"')
        return target

    def resolve_written(self, range_var: Node, *events: str) -> Target:
        """The relation that a statement inserts into, updates or deletes from: ``INSERT``, ``UPDATE``,
        ``DELETE``. Raises Refused where that may change a sharding key.
        """
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
        for event in events:
            self._set_off(target, event)
        return target

    def _set_off(self, target: Target, event: str) -> None:
        step = (target.name, event)
        self.steps.add(step)
        for finding in self.effects.findings(step) if self.effects is not None else ():
            detail = f"{finding.function}: {finding.why}." if finding.function else f"{finding.why}."
            if finding.key is not None or finding.function is None:
                raise Refused(
                    f'writing "{target.name[1]}", where {finding.harm}', detail=detail, hint=finding.remedy
                )
            self.use.read(f"{finding.function} behind {finding.what}", detail)

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

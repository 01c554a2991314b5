"""The facts that follow from a condition being true: equalities in its AND list, and nothing else.

What stands inside OR, NOT, CASE or a function follows nothing, except an OR whose every arm says one of which
values the same variable has.
"""

from collections.abc import Iterator, Sequence

from shardproxy.sql.analysis.equivalence import Equal, Fact, Facts, OneOf, Variable
from shardproxy.sql.analysis.scope import Scope, Variables
from shardproxy.sql.analysis.tree import Node, enum_name, kind, strings
from shardproxy.sql.analysis.values import Form, Value, ValueReader
from shardproxy.topology.keys import KeyFamily


class Conditions:
    """Reads facts from conditions. ``builtin_equality``: ``=`` cannot mean an operator of a user."""

    def __init__(self, variables: Variables, values: ValueReader, *, builtin_equality: bool) -> None:
        self._variables = variables
        self._values = values
        self.builtin_equality = builtin_equality

    def facts(self, node: Node, scope: Scope, solid: frozenset[int]) -> Facts:
        """What holds for each row for which the condition is true. ``solid``: entries that no outer join
        makes NULL here; those of a level around this one are never among them.
        """
        return tuple(self._facts(node, scope, solid))

    def column(self, node: Node, scope: Scope) -> Variable | None:
        """The variable that an expression is, perhaps cast from varchar to text: no comparison changes."""
        match kind(node):
            case "column_ref":
                return scope.resolve(strings(node.column_ref.fields))
            case "type_cast":
                variable = self.column(node.type_cast.arg, scope)
                if (
                    variable is None
                    or self._values.cast_family(node.type_cast.type_name) is not KeyFamily.TEXT
                ):
                    return None
                return variable if self._variables.info(variable).family is KeyFamily.TEXT else None
        return None

    def _facts(self, node: Node, scope: Scope, solid: frozenset[int]) -> Iterator[Fact]:
        match kind(node):
            case "bool_expr":
                yield from self._boolean(node.bool_expr, scope, solid)
            case "a_expr":
                yield from self._comparison(node.a_expr, scope, solid)

    def _boolean(self, expression: Node, scope: Scope, solid: frozenset[int]) -> Iterator[Fact]:
        match enum_name(expression, "boolop"):
            case "AND_EXPR":
                for argument in expression.args:
                    yield from self._facts(argument, scope, solid)
            case "OR_EXPR":
                yield from _alternatives([self.facts(argument, scope, solid) for argument in expression.args])

    def _comparison(self, expression: Node, scope: Scope, solid: frozenset[int]) -> Iterator[Fact]:
        if not self.builtin_equality or strings(expression.name) not in (("=",), ("pg_catalog", "=")):
            return
        match enum_name(expression, "kind"):
            case "AEXPR_OP":
                yield from self._equality(expression.lexpr, expression.rexpr, scope)
            case "AEXPR_IN":
                yield from self._membership(expression.lexpr, expression.rexpr.list.items, scope)
            case "AEXPR_OP_ANY":
                variable = self.column(expression.lexpr, scope)
                values = self._values.read_array(expression.rexpr)
                yield from self._one_of(variable, values)
            case "AEXPR_NOT_DISTINCT":
                yield from self._not_distinct(expression.lexpr, expression.rexpr, scope, solid)

    def _equality(self, left: Node, right: Node, scope: Scope) -> Iterator[Fact]:
        row, partner = row_elements(left), row_elements(right)
        if row is not None or partner is not None:
            if row is not None and partner is not None and len(row) == len(partner):
                for one, other in zip(row, partner, strict=True):
                    yield from self._equality(one, other, scope)
            return
        variable, other = self.column(left, scope), self.column(right, scope)
        if variable is not None and other is not None:
            family = self._variables.info(variable).family
            if family is not None and family is self._variables.info(other).family:
                yield Equal(variable, other)
        elif variable is not None or other is not None:
            value = self._values.read(right if variable is not None else left)
            if value is not None:
                yield from self._one_of(variable if variable is not None else other, (value,))

    def _membership(self, left: Node, items: Sequence[Node], scope: Scope) -> Iterator[Fact]:
        """``x IN (1, 2)``, and element by element ``(x, y) IN ((1, 2), (3, 4))``."""
        row = row_elements(left)
        if row is None:
            yield from self._one_of(self.column(left, scope), self._values.read_all(items))
            return
        rows = [elements for item in items if (elements := row_elements(item)) is not None]
        if len(rows) == len(items) and all(len(elements) == len(row) for elements in rows):
            for i, element in enumerate(row):
                values = self._values.read_all([elements[i] for elements in rows])
                yield from self._one_of(self.column(element, scope), values)

    def _not_distinct(self, left: Node, right: Node, scope: Scope, solid: frozenset[int]) -> Iterator[Fact]:
        """``x IS NOT DISTINCT FROM 7`` is ``x = 7``; with NULL it holds for rows without a key, of which
        there are none only where the column is NOT NULL and no outer join makes it NULL.
        """
        variable = self.column(left, scope)
        value = self._values.read(right if variable is not None else left)
        if variable is None:
            variable = self.column(right, scope)
        if variable is None or value is None:
            return
        info = self._variables.info(variable)
        never_null = info.not_null and info.entry in solid
        if never_null or value.form in (Form.INTEGER, Form.STRING):
            yield from self._one_of(variable, (value,))

    def _one_of(self, variable: Variable | None, values: tuple[Value, ...] | None) -> Iterator[Fact]:
        if variable is None or not values:
            return
        family = self._variables.info(variable).family
        if family is not None and all(value.suits(family) for value in values):
            yield OneOf(variable, values)


def row_elements(node: Node) -> Sequence[Node] | None:
    """The elements of a row constructor, None for anything else."""
    match kind(node):
        case "row_expr":
            return list(node.row_expr.args)
        case "list":
            return list(node.list.items)
    return None


def _alternatives(arms: list[Facts]) -> Iterator[Fact]:
    """What every arm of an OR says in its own way: variables that have one of known values in each."""
    choices: list[dict[Variable, tuple[Value, ...]]] = []
    for arm in arms:
        known: dict[Variable, tuple[Value, ...]] = {}
        for fact in arm:
            if isinstance(fact, OneOf) and len(fact.values) <= len(known.get(fact.variable, fact.values)):
                known[fact.variable] = fact.values
        choices.append(known)
    for variable in choices[0]:
        if all(variable in known for known in choices):
            yield OneOf(variable, tuple(value for known in choices for value in known[variable]))

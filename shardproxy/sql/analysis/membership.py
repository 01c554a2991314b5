"""``x IN (SELECT ...)`` among the conditions that a row has to meet: x has one of the values that the
subquery's column has one of.
"""

from collections.abc import Iterator

from shardproxy.sql.analysis.conditions import row_elements
from shardproxy.sql.analysis.context import Context
from shardproxy.sql.analysis.derived import derived_item
from shardproxy.sql.analysis.equivalence import Classes, Fact, OneOf
from shardproxy.sql.analysis.levels import Level
from shardproxy.sql.analysis.scope import Scope
from shardproxy.sql.analysis.tree import Node, enum_name, inner, kind, strings


def memberships(condition: Node) -> Iterator[Node]:
    """The IN and = ANY among the AND list of a condition, a wrapped expression."""
    if kind(condition) == "sub_link":
        link = inner(condition)
        if enum_name(link, "sub_link_type") == "ANY_SUBLINK" and strings(link.oper_name) in ((), ("=",)):
            yield link
    elif kind(condition) == "bool_expr" and enum_name(condition.bool_expr, "boolop") == "AND_EXPR":
        for argument in condition.bool_expr.args:
            yield from memberships(argument)


def member_facts(context: Context, link: Node, level: Level, scope: Scope) -> Iterator[Fact]:
    """What holds where one of :func:`memberships` is true; ``level`` is its query."""
    tested = row_elements(link.testexpr) or [link.testexpr]
    if (
        not context.conditions.builtin_equality
        or not level.outputs.complete
        or len(level.outputs.columns) != len(tested)
    ):
        return
    derived, _ = derived_item(context, level, "")
    classes = Classes(derived.exports)
    for node, column in zip(tested, derived.columns, strict=True):
        variable = context.conditions.column(node, scope)
        family = context.variables.info(column).family
        if variable is None or family is None or context.variables.info(variable).family is not family:
            continue
        for values in classes.values(column):
            if all(value.suits(family) for value in values):
                yield OneOf(variable, values)

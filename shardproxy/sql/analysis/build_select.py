"""Building the level of a SELECT, VALUES or set operation, with everything below it."""

from collections.abc import Iterable, Iterator

from shardproxy.sql.analysis.aggregates import is_aggregate_call, note_owners, outside_aggregates
from shardproxy.sql.analysis.build_from import FromBuilder
from shardproxy.sql.analysis.context import Context
from shardproxy.sql.analysis.equivalence import Classes, Variable
from shardproxy.sql.analysis.levels import Level, Output, Outputs
from shardproxy.sql.analysis.membership import member_facts, memberships
from shardproxy.sql.analysis.outputs import target_outputs, values_outputs
from shardproxy.sql.analysis.scope import Scope
from shardproxy.sql.analysis.surviving import solid, surviving_facts
from shardproxy.sql.analysis.tree import Node, enum_name, kind, strings, type_name, walk_level
from shardproxy.sql.analysis.values import read_integer
from shardproxy.sql.analysis.with_clause import ChangeBuilder, WithClause

STRUCTURE = frozenset(
    {"from_clause", "with_clause", "larg", "rarg", "locking_clause", "into_clause", "returning_clause"}
)


def build_select(
    context: Context, select: Node, scope: Scope, build_change: ChangeBuilder | None = None
) -> Level:
    """The level of a SelectStmt. ``scope`` is its own, still without names; its parent is what surrounds it.

    ``build_change`` builds data-modifying CTEs, at the top level only.
    """
    context.count_level()
    level = Level(scope, query=select)
    common = WithClause(context, select.with_clause, level, build_select, build_change)
    if enum_name(select, "op") != "SETOP_NONE":
        arms = (select.larg, select.rarg)
        level.arms = tuple(build_select(context, arm, Scope(parent=scope)) for arm in arms)
        first = level.arms[0].outputs
        level.outputs = Outputs(tuple(Output(output.name) for output in first.columns), first.complete)
    elif select.values_lists:
        level.outputs = values_outputs(select.values_lists, context.values)
    else:
        _plain(context, select, level)
    level.barrier |= kind(select.limit_count) != "" or kind(select.limit_offset) != ""
    if select.locking_clause:
        level.barrier = True
        for clause in select.locking_clause:
            context.mark(node.range_var for node in clause.locking_clause.locked_rels)
    if context.found.sublinks:
        _add_sublinks(context, select, level)
    level.always_row = not select.group_clause and (scope.aggregated or kind(select.having_clause) != "")
    common.finish()
    return level


def sublink_levels(context: Context, parts: Iterable[Node], scope: Scope) -> Iterator[tuple[Node, Level]]:
    """The subqueries in some expressions, and their levels, which see the names of ``scope``."""
    for part in parts:
        for node in walk_level(part):
            if type_name(node) == "SubLink":
                yield node, build_select(context, node.subselect.select_stmt, Scope(parent=scope))


def add_members(context: Context, level: Level, where: Node, built: Iterable[tuple[Node, Level]]) -> None:
    """Add to a level what the subqueries in its WHERE ensure."""
    wanted = {link.location for link in memberships(where)}
    for link, below in built:
        if link.location in wanted:
            level.facts = (*level.facts, *member_facts(context, link, below, level.scope))


def expressions(statement: Node) -> Iterator[Node]:
    """The parts of a statement that are expressions of its own level."""
    for field, value in statement.ListFields():
        if field.name not in STRUCTURE and field.message_type is not None:
            yield from value if hasattr(value, "extend") else (value,)


def _plain(context: Context, select: Node, level: Level) -> None:
    scope = level.scope
    builder = FromBuilder(context, scope, build_select)
    level.sources = [builder.add(node) for node in select.from_clause]
    if kind(select.where_clause):
        level.facts = context.conditions.facts(select.where_clause, scope, solid(level.sources))
    known = Classes(surviving_facts(level.sources, (), context.variables))
    level.outputs = target_outputs(select.target_list, scope, context.conditions, context.values, known)
    _note_aggregates(context, select, scope)
    level.barrier = _calls_window(select) or any(kind(node) for node in select.distinct_clause)
    if select.group_clause:
        level.rollup = any(kind(node) == "grouping_set" for node in select.group_clause)
        variables = (grouped(context, node, level) for node in select.group_clause)
        level.groups = frozenset(variable for variable in variables if variable is not None)


def grouped(context: Context, node: Node, level: Level) -> Variable | None:
    """The variable that an item of GROUP BY is: by name, which a column of FROM has before one of the select
    list, or by its number there.
    """
    position, columns = read_integer(node), level.outputs.columns
    if position is None:
        names = strings(node.column_ref.fields) if kind(node) == "column_ref" else ()
        named = [output for output in columns if names == (output.name,)]
        if named and level.outputs.complete and not level.scope.may_have(names[0]):
            return named[0].variable if len(named) == 1 else None
        return context.conditions.column(node, level.scope)
    context.values.foldable = False
    return columns[position - 1].variable if 0 < position <= len(columns) else None


def _calls_window(select: Node) -> bool:
    """Whether a level calls window functions."""
    nodes = (node for part in expressions(select) for node in walk_level(part))
    return any(type_name(node) == "FuncCall" and node.HasField("over") for node in nodes)


def _note_aggregates(context: Context, select: Node, scope: Scope) -> None:
    for part in expressions(select):
        for node in walk_level(part):
            if is_aggregate_call(node, context.names):
                note_owners(node, scope)


def _add_sublinks(context: Context, select: Node, level: Level) -> None:
    """Build the subqueries in expressions. Where the level always has a row, those beside its aggregates are
    evaluated even if no row passes WHERE.
    """
    for part in expressions(select):
        in_where = part == select.where_clause
        beside = () if in_where else outside_aggregates(part, context.names)
        alone = {node.location for node in beside if type_name(node) == "SubLink"}
        built = list(sublink_levels(context, (part,), level.scope))
        for node, below in built:
            (level.alone if node.location in alone else level.sublinks).append(below)
        if in_where:
            add_members(context, level, part, built)

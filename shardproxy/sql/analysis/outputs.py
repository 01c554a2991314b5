"""The columns of a query's result: their names as FigureColname() gives them, and what each is made of."""

from collections.abc import Iterable, Iterator, Sequence

from shardproxy.sql.analysis.conditions import Conditions
from shardproxy.sql.analysis.equivalence import Classes
from shardproxy.sql.analysis.levels import Output, Outputs
from shardproxy.sql.analysis.scope import Item, Scope
from shardproxy.sql.analysis.tree import Node, inner, kind, strings
from shardproxy.sql.analysis.values import Value, ValueReader


def target_outputs(
    targets: Iterable[Node],
    scope: Scope,
    conditions: Conditions,
    values: ValueReader,
    known: Classes | None = None,
) -> Outputs:
    """The result columns of a select list or RETURNING. ``known``: what FROM ensures."""
    columns: list[Output] = []
    for target in targets:
        node = target.res_target.val
        names = _star(node)
        if names is not None:
            starred, complete = _expand(names, scope)
            columns.extend(starred)
            if not complete:
                return Outputs(tuple(columns), complete=False)
            continue
        name = target.res_target.name or figure_name(node)
        value = values.read(node)
        variable = conditions.column(node, scope)
        choices: tuple[Value, ...] | None = None if value is None else (value,)
        if variable is None and choices is None and known is not None:
            choices = _cast_values(node, scope, values, known)
        columns.append(Output(name, variable, choices))
    return Outputs(tuple(columns))


def _cast_values(node: Node, scope: Scope, reader: ValueReader, known: Classes) -> tuple[Value, ...] | None:
    """The values that a column has one of, cast to another type; the cast of any other column may fail for
    rows that are elsewhere.
    """
    if kind(node) != "type_cast":
        return None
    inside = node.type_cast.arg
    if kind(inside) == "column_ref":
        variable = scope.resolve(strings(inside.column_ref.fields))
        found = known.values(variable) if variable is not None else []
        values = found[0] if found else None
    else:
        values = _cast_values(inside, scope, reader, known)
    return None if values is None else reader.cast_all(values, node.type_cast.type_name)


def values_outputs(lists: Sequence[Node], values: ValueReader) -> Outputs:
    """The result columns of a VALUES list."""
    rows = [row.list.items for row in lists]
    width = min(len(row) for row in rows)
    columns = (
        Output(f"column{i + 1}", values=values.read_all([row[i] for row in rows])) for i in range(width)
    )
    return Outputs(tuple(columns))


def figure_name(node: Node) -> str | None:
    """The name of an unnamed result column; None where PostgreSQL has a rule that is not copied here."""
    match kind(node):
        case "column_ref":
            return next((name for name in reversed(strings(node.column_ref.fields)) if name), None)
        case "func_call":
            return strings(node.func_call.funcname)[-1]
        case "type_cast":
            name = figure_name(node.type_cast.arg)
            return strings(node.type_cast.type_name.names)[-1] if name == "?column?" else name
        case "a_const" | "param_ref" | "a_expr" | "bool_expr" | "null_test" | "boolean_test":
            return "?column?"
        case "case_expr":
            default = inner(node).defresult
            name = figure_name(default) if kind(default) else None
            return "case" if name in (None, "?column?") else name
        case "coalesce_expr":
            return "coalesce"
    return None


def _star(node: Node) -> tuple[str, ...] | None:
    """The qualification of ``*`` or ``t.*``, None for another expression."""
    if kind(node) != "column_ref":
        return None
    fields = node.column_ref.fields
    return strings(fields[:-1]) if fields and kind(fields[-1]) == "a_star" else None


def _expand(names: tuple[str, ...], scope: Scope) -> tuple[list[Output], bool]:
    """The columns that ``*`` stands for, and whether these are all."""
    if not names:
        items = [item for item in scope.items if item.by_column]
        return list(_columns(items)), all(item.complete for item in items)
    current: Scope | None = scope
    while current is not None:
        items = [item for item in current.items if item.by_table and item.name == names[-1]]
        if items:
            return list(_columns(items)), len(items) == 1 and items[0].complete
        current = current.parent
    return [], False


def _columns(items: Iterable[Item]) -> Iterator[Output]:
    for item in items:
        for column in item.columns:
            yield Output(column.name, column.variable)

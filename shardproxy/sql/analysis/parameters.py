"""Is a parameter that is a key of the key's type? PostgreSQL decides by the first place where it finds it.

``WHERE price = $1 AND device_id = $1`` makes ``$1`` numeric, and equality with the key another one than the
key's. A client that leaves types to the server would not tell, so a parameter that is used elsewhere too
must be used there as a value of the key's type, or the statement is refused.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from shardproxy.errors import Refused
from shardproxy.sql.analysis.context import Context
from shardproxy.sql.analysis.tree import Node, children, inner, kind, strings, type_name
from shardproxy.sql.schema import FIRST_USER_OID
from shardproxy.sql.statement import KeySet, Parameter
from shardproxy.topology.keys import KeyFamily, family_of

_LISTS: Final = frozenset({"List", "A_ArrayExpr", "RowExpr", "MultiAssignRef"})
_COMPARISONS: Final = frozenset({"=", "<>", "<", ">", "<=", ">="})
_TEXT_FUNCTIONS: Final = frozenset(
    {"lower", "upper", "length", "concat", "concat_ws", "format", "md5", "btrim", "ltrim", "rtrim"}
    | {"jsonb_build_object", "json_build_object", "to_tsquery", "plainto_tsquery", "current_setting"}
)
_CONFUSABLE: Final = {
    KeyFamily.TEXT: frozenset({18, 19, 1042}),  # "char", name, bpchar
    KeyFamily.INTEGER: frozenset({26, 700, 701, 790, 1700}),  # oid, real, double precision, money, numeric
    KeyFamily.UUID: frozenset[int](),
}
"""Types that compare with keys of a family without being of it, and read a value in their own way."""

_Columns = Mapping[str, set[KeyFamily | None]]


def check_parameters(context: Context, key_sets: Iterable[KeySet]) -> None:
    """Refuse a key in a parameter whose type the rest of the statement may decide."""
    counts = context.found.parameters
    repeated = {
        (source.number, key_set.family)
        for key_set in key_sets
        for source in key_set.sources
        if isinstance(source, Parameter) and counts[source.number] > 1
    }
    if not repeated:
        return
    columns = _columns(context)
    for number, family in sorted(repeated):
        for user in _users(context.found.root, number):
            if not _decides_for(user, family, context, columns):
                raise Refused(
                    f"parameter ${number} as a sharding key and as a value of another or unknown type",
                    hint="Use a parameter of its own for the sharding key.",
                )


def _columns(context: Context) -> _Columns:
    """The families of all columns that the statement's tables have, by name."""
    found: dict[str, set[KeyFamily | None]] = {}
    for target in context.targets.values():
        for column in target.relation.columns if target.relation is not None else ():
            found.setdefault(column.name, set()).add(family_of(column.type_oid))
    return found


def _users(root: Node, number: int) -> Iterator[Node]:
    """The node that each occurrence of a parameter is an operand of; lists and rows are seen through."""
    stack = [(root, root)]
    while stack:
        node, user = stack.pop()
        if type_name(node) == "ParamRef" and node.number == number:
            yield user
        below = user if type_name(node) in _LISTS else node
        stack.extend((child, below) for child in children(node))


def _decides_for(user: Node, family: KeyFamily, context: Context, columns: _Columns) -> bool:
    """Whether a parameter used here is of ``family``, or is left to be decided elsewhere, or is an error."""
    match type_name(user):
        case "TypeCast":
            dimensions = len(user.type_name.array_bounds)
            if context.values.cast_length(user.type_name, dimensions) is not None:
                return family is KeyFamily.TEXT
            return context.values.cast_family(user.type_name, dimensions) is family
        case "A_Expr":
            operator = strings(user.name)[-1]
            if family is KeyFamily.TEXT and operator == "||":
                return True
            operands = (operand for side in (user.lexpr, user.rexpr) for operand in _operands(side))
            return operator in _COMPARISONS and all(
                _is_of(operand, family, context, columns) for operand in operands
            )
        case "FuncCall":
            return family is KeyFamily.TEXT and strings(user.funcname)[-1] in _TEXT_FUNCTIONS
        case "NullTest":
            return True
        case "SelectStmt" | "ResTarget":  # LIMIT, VALUES and select lists, which may fill columns
            return not any(
                column.type_oid in _CONFUSABLE[family] or column.type_oid >= FIRST_USER_OID
                for target in context.written.values()
                if target.relation is not None
                for column in target.relation.columns
            )
    return False


def _operands(node: Node) -> Iterator[Node]:
    match kind(node):
        case "list":
            elements = node.list.items
        case "a_array_expr":
            elements = node.a_array_expr.elements
        case "row_expr":
            elements = node.row_expr.args
        case _:
            yield node
            return
    for element in elements:
        yield from _operands(element)


def _is_of(node: Node, family: KeyFamily, context: Context, columns: _Columns) -> bool:
    match kind(node):
        case "column_ref":
            return columns.get(strings(node.column_ref.fields)[-1]) == {family}
        case "param_ref":
            return True
        case "a_const":
            form = inner(node).WhichOneof("val")
            return form in (None, "sval") or (form == "ival" and family is KeyFamily.INTEGER)
        case "type_cast":
            cast_to = node.type_cast.type_name
            return context.values.cast_family(cast_to, len(cast_to.array_bounds)) is family
    return False

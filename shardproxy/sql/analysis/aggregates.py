"""To which query level an aggregate belongs: that of its nearest argument, as check_agg_arguments() decides.

It matters because the level of an aggregate without GROUP BY has a row even where its tables have none.
"""

from collections.abc import Iterator
from typing import Final

from shardproxy.sql.analysis.functions import is_aggregate
from shardproxy.sql.analysis.names import Names
from shardproxy.sql.analysis.scope import Scope
from shardproxy.sql.analysis.tree import Node, children, inner, strings, type_name, walk

_JSON: Final = frozenset({"JsonArrayAgg", "JsonObjectAgg"})


def is_aggregate_call(node: Node, names: Names) -> bool:
    """Whether an expression node is, or may be, an aggregate that is no window function."""
    name = type_name(node)
    if name == "FuncCall":
        return not node.HasField("over") and is_aggregate(node, names)
    return name in _JSON


def note_owners(call: Node, scope: Scope) -> None:
    """Mark each level an aggregate may belong to as ``aggregated``. ``scope``: the names where it stands."""
    nodes = list(walk(call))
    references = [strings(node.fields) for node in nodes if type_name(node) == "ColumnRef"]
    if any(type_name(node) == "SubLink" for node in nodes):
        owners = list(scope.chain())
    else:
        meant = [list(scope.levels_of(names)) for names in references]
        inmost = any(levels == [scope] for levels in meant)
        owners = [scope] if inmost or not references else [level for levels in meant for level in levels]
    for level in owners or [scope]:
        level.aggregated = True


def outside_aggregates(part: Node, names: Names) -> Iterator[Node]:
    """The nodes of an expression on its own level that are not in an argument of an aggregate."""
    stack = [part]
    while stack:
        node = stack.pop()
        if is_aggregate_call(node, names):
            continue
        yield node
        if type_name(node) != "SubLink":
            stack.extend(children(node))
        elif node.HasField("testexpr"):
            stack.append(inner(node.testexpr))

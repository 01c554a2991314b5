"""One pass over a whole raw statement, blind to its structure: what occurs in it anywhere.

Analysis by structure is checked against it: a table that the structure did not account for is a refusal.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

from shardproxy.sql.analysis.scope import SYSTEM_COLUMNS
from shardproxy.sql.analysis.tree import Node, enum_name, strings, type_name, walk


@dataclass(slots=True)
class Survey:
    """What occurs in a statement, at any depth. Tables are known by the byte offset of their name."""

    root: Node
    tables: set[int] = field(default_factory=set)
    functions: list[Node] = field(default_factory=list)
    parameters: Counter[int] = field(default_factory=Counter)  # how often each number occurs
    sublinks: bool = False
    locking: bool = False
    data_changes: bool = False
    system_columns: bool = False
    clock: str | None = None  # CURRENT_TIMESTAMP and its like
    moment: bool = False  # a string that a date or time may be read from by the clock: 'today'
    operators: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)  # what is selected from something by a dot
    types: set[tuple[str, ...]] = field(default_factory=set)  # as they are named, qualified or not


_CHANGES = frozenset({"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
_MOMENT = re.compile(r"(?<![a-z])(?:now|today|tomorrow|yesterday)(?![a-z])", re.IGNORECASE)
_BETWEEN = frozenset({"AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN", "AEXPR_BETWEEN_SYM", "AEXPR_NOT_BETWEEN_SYM"})
_SAME_EVERYWHERE = frozenset(
    {
        "SVFOP_CURRENT_ROLE",
        "SVFOP_CURRENT_USER",
        "SVFOP_USER",
        "SVFOP_SESSION_USER",
        "SVFOP_CURRENT_CATALOG",
        "SVFOP_CURRENT_SCHEMA",
    }
)


def survey(statement: Node) -> Survey:
    """Walk the statement once. Raises StatementError where it nests too deeply."""
    found = Survey(statement)
    for node in walk(statement):
        match type_name(node):
            case "RangeVar":
                found.tables.add(node.location)
            case "FuncCall":
                found.functions.append(node)
            case "ParamRef":
                found.parameters[node.number] += 1
            case "TypeName":
                found.types.add(strings(node.names))
            case "SubLink":
                found.sublinks = True
                found.operators.update(strings(node.oper_name)[-1:] or ("=",))
            case "CaseExpr" if node.HasField("arg"):
                found.operators.add("=")
            case "JoinExpr" if node.using_clause or node.is_natural:
                found.operators.add("=")
            case "SortBy":
                found.operators.update(strings(node.use_op)[-1:])
            case "A_Indirection":
                found.fields.update(strings(node.indirection))
            case "LockingClause":
                found.locking = True
            case "ColumnRef":
                last = strings(node.fields[-1:])[0]
                found.system_columns |= last in SYSTEM_COLUMNS
                if len(node.fields) > 1:
                    found.fields.add(last)
            case "A_Expr":
                found.operators.update(strings(node.name)[-1:])
                if enum_name(node, "kind") in _BETWEEN:
                    found.operators.update(("<", ">", "<=", ">="))
            case "A_Const" if node.WhichOneof("val") == "sval":
                found.moment = found.moment or _MOMENT.search(node.sval.sval) is not None
            case "SQLValueFunction":
                operation = enum_name(node, "op")
                if operation not in _SAME_EVERYWHERE:
                    found.clock = operation.removeprefix("SVFOP_").removesuffix("_N")
            case name if name in _CHANGES:
                found.data_changes = True
    return found

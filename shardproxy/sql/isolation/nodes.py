"""Small pieces of parse tree for the tenant's rewriting, made by the grammar itself from their text.

Names are quoted; the marker is the caller's own. Nothing of a client's values gets into these texts.
"""

from collections.abc import Iterable

from shardproxy.sql import grammar
from shardproxy.sql.analysis.tree import Node, enum_name, kind


def quote(name: str) -> str:
    """``name`` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def column(qualifier: str, name: str) -> str:
    """``qualifier.name``, quoted."""
    return f"{quote(qualifier)}.{quote(name)}"


def key_is_marker_or_error(key: str, marker: str) -> Node:
    """The expression that is true of a row with that key, and an error (22P02) for any other.

    concat() is not immutable, so the server cannot fail the cast before it has seen a row.
    """
    return condition(
        f"{quote(key)} IS NOT DISTINCT FROM '{marker}' OR CAST("
        f"pg_catalog.concat('not a row of the session''s tenant: ', {quote(key)}) AS pg_catalog.bool)"
    )


def subquery(item: Node, where: Node, alias: Node, name: str) -> Node:
    """``(SELECT * FROM item WHERE where) AS name``, with the column aliases of ``alias``."""
    made = _from_item(f"(SELECT * FROM t WHERE true) AS {quote(name)}")  # noqa: S608
    select = made.range_subselect.subquery.select_stmt
    select.from_clause[0].CopyFrom(item)
    select.where_clause.CopyFrom(where)
    made.range_subselect.alias.colnames.extend(alias.colnames)
    return made


def select_columns(columns: Iterable[str], table: Node, where: Node) -> Node:
    """``SELECT columns FROM table WHERE where``, a wrapped statement."""
    made = _parse(f"SELECT {', '.join(map(quote, columns))} FROM t WHERE true")  # noqa: S608
    made.select_stmt.from_clause[0].range_var.CopyFrom(table)
    made.select_stmt.where_clause.CopyFrom(where)
    return made


def derived_table(definition: Node, name: str, columns: Iterable[str]) -> Node:
    """``(definition) AS name (columns)`` for the query of a view, a wrapped statement."""
    made = _from_item(f"(SELECT 1) AS {quote(name)} ({', '.join(map(quote, columns))})")
    made.range_subselect.subquery.CopyFrom(definition)
    return made


def conjoin(message: Node, field: str, conditions: Iterable[Node], *, first: bool = True) -> None:
    """Add ``conditions`` to the expression in ``field`` of ``message`` with AND, before it or behind it."""
    existing = getattr(message, field)
    args = list(existing.bool_expr.args) if _is_and(existing) else [existing] * message.HasField(field)
    args = [*conditions, *args] if first else [*args, *conditions]
    if len(args) == 1:
        made = args[0]
    else:
        made = condition("true AND true")
        del made.bool_expr.args[:]
        made.bool_expr.args.extend(args)
    copy = type(made)()
    copy.CopyFrom(made)  # ``made`` may be a part of what it replaces
    existing.CopyFrom(copy)


def _is_and(node: Node) -> bool:
    return kind(node) == "bool_expr" and enum_name(node.bool_expr, "boolop") == "AND_EXPR"


def _parse(text: str) -> Node:
    return grammar.parse(text).stmts[0].stmt


def condition(text: str) -> Node:
    """The expression that ``text`` is; it is ours, or made of quoted names."""
    return _parse(f"SELECT WHERE {text}").select_stmt.where_clause


def _from_item(text: str) -> Node:
    return _parse(f"SELECT FROM {text}").select_stmt.from_clause[0]

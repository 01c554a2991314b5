"""SELECT, INSERT, UPDATE, DELETE and MERGE as whole statements."""

from dataclasses import replace
from typing import Final

from shardproxy.sql.analysis import set_config
from shardproxy.sql.analysis.build_change import build_change
from shardproxy.sql.analysis.build_select import build_select
from shardproxy.sql.analysis.context import Context
from shardproxy.sql.analysis.levels import Level
from shardproxy.sql.analysis.scope import Scope
from shardproxy.sql.analysis.temporary import check_copied, temporary_table
from shardproxy.sql.analysis.tree import Node, inner, type_name
from shardproxy.sql.analysis.verdict import judge
from shardproxy.sql.classify import command_tag
from shardproxy.sql.statement import Kind, Statement

QUERIES: Final = frozenset({"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})


def query(context: Context, node: Node, kind: Kind = Kind.QUERY, *, alone: bool = False) -> Statement:
    """The plan of a query. Raises Refused.

    ``alone``: it is no part of another statement, which may run it later, elsewhere or not at all.
    """
    into = _into(node)
    if into is not None:
        temporary_table(context, into.rel)
    statement = judge(context, build(context, node), kind, command_tag(node))
    if into is not None:
        check_copied(context, statement.tag)
    return _with_settings(context, node, statement, alone=alone)


def _with_settings(context: Context, node: Node, statement: Statement, *, alone: bool) -> Statement:
    """The statement with what its calls of set_config() change."""
    calls = context.use.set_configs
    if not calls:
        return statement
    changes = set_config.followed(node) if alone else ()
    if len(changes) == len(calls):
        return replace(statement, set_config=changes)
    lasting = [call for call in calls if set_config.check_elsewhere(call)]
    return replace(statement, pins=statement.pins or set_config.NAME) if lasting else statement


def build(context: Context, node: Node) -> Level:
    """The levels of a query."""
    if type_name(node) == "SelectStmt":
        return build_select(context, node, Scope(), build_change)
    return build_change(context, node, Scope())


def is_query(wrapper: Node) -> bool:
    """Whether a wrapped statement is one that :func:`query` plans."""
    message = inner(wrapper)
    return message is not None and type_name(message) in QUERIES


def _into(node: Node) -> Node | None:
    """The INTO of SELECT INTO; in a set operation it stands in the first SELECT."""
    if type_name(node) != "SelectStmt":
        return None
    while node.HasField("larg"):
        node = node.larg
    return node.into_clause if node.HasField("into_clause") else None

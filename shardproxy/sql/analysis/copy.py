"""COPY: of a table or a query, to and from the client."""

from dataclasses import replace

from shardproxy.errors import Refused
from shardproxy.sql.analysis.context import Context
from shardproxy.sql.analysis.names import Nature, Target
from shardproxy.sql.analysis.queries import is_query, query
from shardproxy.sql.analysis.tree import Node, inner, kind
from shardproxy.sql.analysis.verdict import READING_HINT, check_targets
from shardproxy.sql.statement import Kind, Reach, Statement
from shardproxy.topology.tables import Local


def copy_statement(context: Context, node: Node) -> Statement:
    """The plan of a COPY. Raises Refused."""
    if node.filename or node.is_program:
        raise Refused(
            "COPY with a file or program of the server", hint="Use COPY ... STDIN or STDOUT, or \\copy."
        )
    if kind(node.query):
        return _copy_query(context, node)
    target = (
        context.resolve_written(node.relation, "INSERT") if node.is_from else context.resolve(node.relation)
    )
    check_targets([target])
    if context.use.reads is not None:
        raise Refused(
            f"COPY with the function {context.use.reads}, which may read sharded tables",
            detail=context.use.why,
            hint=READING_HINT,
        )
    statement = _copy_table(target, is_from=node.is_from)
    return replace(statement, read_only=not node.is_from and not context.use.volatile)


def _copy_query(context: Context, node: Node) -> Statement:
    if not is_query(node.query):
        raise Refused("COPY of a utility statement")
    return replace(query(context, inner(node.query), Kind.COPY_OUT), tag="COPY")


def _copy_table(target: Target, *, is_from: bool) -> Statement:
    name = target.name[1]
    ruled = (target.ruled,)
    statement = Statement(Kind.COPY_IN if is_from else Kind.COPY_OUT, "COPY", Reach.ANYWHERE, relations=ruled)
    match target.nature:
        case Nature.SHARDED:
            return replace(statement, reach=Reach.UNBOUND, unbound=ruled, refusal=_several(name, is_from))
        case Nature.LOCAL if isinstance(target.rule, Local):
            return replace(statement, reach=Reach.LOCAL, local_shard=target.rule.shard)
        case Nature.VIEW:
            raise Refused(f'COPY of the view "{name}"', hint="Use COPY (SELECT ...) TO STDOUT.")
        case Nature.REFERENCE:
            return statement
    return replace(statement, relations=(), catalog=target.nature is Nature.SYSTEM)


def _several(name: str, is_from: bool) -> Refused:
    if is_from:
        return Refused(
            f'COPY of rows for several shards into "{name}"',
            hint="Copy the rows of one tenant at a time, with SET shardproxy.tenant.",
        )
    return Refused(
        f'COPY of "{name}" from several shards',
        hint="Use COPY (SELECT ... WHERE the sharding key = ...) TO STDOUT.",
    )

"""Temporary tables: they live on one server connection, to which they pin the session."""

from shardproxy.errors import Refused
from shardproxy.sql.analysis.context import Context
from shardproxy.sql.analysis.functions import distrusted
from shardproxy.sql.analysis.tree import Node
from shardproxy.sql.analysis.verdict import READING_HINT

PIN = "temporary table"


def temporary_table(context: Context, range_var: Node) -> None:
    """Account for a new table. Raises Refused unless it is temporary and hides no table that others know."""
    context.seen.add(range_var.location)
    if range_var.relpersistence != "t" and not range_var.schemaname.startswith("pg_temp"):
        raise Refused("CREATE TABLE, which must run on every shard", hint="Run it on each shard.")
    schema, rules = context.names.schema, context.names.rules
    taken = {name for _, name in (*schema.relations, *rules.rules)} | schema.system_relations
    if range_var.relname in taken:
        raise Refused(
            f'the temporary table "{range_var.relname}", which would hide another relation of that name',
            hint="Give it another name.",
        )
    context.use.pins = PIN
    context.use.creates = range_var.relname
    context.use.volatile = True


def check_reads(context: Context, tag: str) -> None:
    """Raise Refused for functions that may read tables, where no key says on which shard."""
    use = context.use
    if use.reads is not None:
        raise Refused(
            f"{tag} with the function {use.reads}, which may read sharded tables",
            detail=use.why,
            hint=READING_HINT,
        )


def check_copied(context: Context, tag: str) -> None:
    """As :func:`check_reads`, for a temporary table: its columns may call what those it is made of call."""
    for target in context.targets.values():
        for call in target.relation.calls if target.relation is not None else ():
            if "INSERT" in call.events and distrusted((call.function,), context.names):
                context.use.read(f'{call.function[1]} behind {call.what} of "{target.name[1]}"')
    check_reads(context, tag)

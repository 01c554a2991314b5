"""Statements that are not queries: one function for each kind that may run, and a refusal for the rest."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from shardproxy.errors import Refused
from shardproxy.sql.analysis import settings
from shardproxy.sql.analysis.context import Context
from shardproxy.sql.analysis.copy import copy_statement
from shardproxy.sql.analysis.names import Nature
from shardproxy.sql.analysis.queries import is_query, query
from shardproxy.sql.analysis.temporary import check_copied, check_reads, temporary_table
from shardproxy.sql.analysis.tree import Node, enum_name, inner, kind, strings, type_name
from shardproxy.sql.classify import command_tag
from shardproxy.sql.statement import Kind, Reach, Statement

HOLD: Final = 0x0020
"""CURSOR_OPT_HOLD of parsenodes.h."""


@dataclass(frozen=True, slots=True)
class Utility:
    """A utility statement to plan; ``sql`` is its own text."""

    context: Context
    node: Node
    sql: str

    def anywhere(
        self,
        kind: Kind = Kind.QUERY,
        *,
        name: str | None = None,
        pins: str | None = None,
    ) -> Statement:
        """A statement that touches no table of a shard."""
        return Statement(
            kind,
            command_tag(self.node),
            Reach.ANYWHERE,
            name=name,
            pins=pins,
            foldable=False,
        )

    def inner(self, wrapper: Node) -> Statement:
        """The plan of a statement inside this one."""
        if is_query(wrapper):
            return query(self.context, inner(wrapper))
        return utility(self.context, inner(wrapper), self.sql)


def utility(context: Context, node: Node, sql: str) -> Statement:
    """The plan of a utility statement. Raises Refused."""
    planner = _PLANNERS.get(type_name(node), _definition)
    return planner(Utility(context, node, sql))


_TRANSACTION_KINDS: Final = {
    "TRANS_STMT_BEGIN": Kind.BEGIN,
    "TRANS_STMT_START": Kind.BEGIN,
    "TRANS_STMT_COMMIT": Kind.COMMIT,
    "TRANS_STMT_ROLLBACK": Kind.ROLLBACK,
    "TRANS_STMT_SAVEPOINT": Kind.SAVEPOINT,
    "TRANS_STMT_RELEASE": Kind.RELEASE,
    "TRANS_STMT_ROLLBACK_TO": Kind.ROLLBACK_TO,
}


def _transaction(self: Utility) -> Statement:
    transaction_kind = _TRANSACTION_KINDS.get(enum_name(self.node, "kind"))
    if transaction_kind is None:
        raise Refused(command_tag(self.node), hint="Two-phase commit is the proxy's own business.")
    statement = self.anywhere(transaction_kind, name=self.node.savepoint_name or None)
    return replace(statement, chain=self.node.chain)


def _discard(self: Utility) -> Statement:
    return self.anywhere(Kind.DISCARD, name=enum_name(self.node, "target").removeprefix("DISCARD_").lower())


def _prepare(self: Utility) -> Statement:
    body = self.inner(self.node.query)
    if body.reach not in (Reach.ANYWHERE, Reach.LOCAL):
        raise Refused(
            "PREPARE of a statement on sharded tables",
            hint="Use the driver's prepared statements (Parse and Bind), whose parameters can be routed.",
        )
    return replace(
        body,
        tag="PREPARE",
        name=self.node.name,
        pins="PREPARE",
        read_only=False,
        fan_out=False,
        foldable=False,
    )


def _execute(self: Utility) -> Statement:
    check_reads(self.context, command_tag(self.node))
    return replace(self.anywhere(name=self.node.name), private=True)


def _declare(self: Utility) -> Statement:
    body = self.inner(self.node.query)
    pins = "WITH HOLD cursor" if self.node.options & HOLD else body.pins
    refusal = body.refusal or Refused("a cursor over several shards", hint="Bind the sharding key.")
    return replace(
        body,
        tag="DECLARE CURSOR",
        name=self.node.portalname,
        pins=pins,
        fan_out=False,
        refusal=refusal if body.reach in (Reach.KEYED, Reach.UNBOUND) else body.refusal,
    )


def _cursor(self: Utility) -> Statement:
    return replace(self.anywhere(name=self.node.portalname or None), private=True)


def _explain(self: Utility) -> Statement:
    body = self.inner(self.node.query)
    refusal = body.refusal
    if refusal is None and body.reach in (Reach.KEYED, Reach.UNBOUND):
        refusal = Refused("EXPLAIN of a statement over several shards", hint="Bind the sharding key.")
    return replace(body, kind=Kind.QUERY, tag="EXPLAIN", fan_out=False, refusal=refusal)


def _create_table_as(self: Utility) -> Statement:
    if enum_name(self.node, "objtype") != "OBJECT_TABLE":
        return _definition(self)
    temporary_table(self.context, self.node.into.rel)
    use = self.context.use
    body = self.inner(self.node.query)
    check_copied(self.context, command_tag(self.node))
    return replace(body, tag=command_tag(self.node), pins=use.pins, creates=use.creates, fan_out=False)


def _create_table(self: Utility) -> Statement:
    node = self.node
    temporary_table(self.context, node.relation)
    if node.inh_relations or node.HasField("partbound"):
        raise Refused("a temporary table that inherits from another")
    for element in node.table_elts:
        if kind(element) == "table_like_clause":
            self.context.resolve(element.table_like_clause.relation)
    check_copied(self.context, command_tag(self.node))
    self.context.mark(
        constraint.pktable
        for element in node.table_elts
        for constraint in _constraints(element)
        if constraint.HasField("pktable")
    )
    return replace(self.anywhere(pins=self.context.use.pins), creates=self.context.use.creates)


def _constraints(element: Node) -> list[Node]:
    if kind(element) == "constraint":
        return [element.constraint]
    if kind(element) == "column_def":
        return [node.constraint for node in element.column_def.constraints]
    return []


def _listen(self: Utility) -> Statement:
    return replace(self.anywhere(name=self.node.conditionname, pins="LISTEN"), catalog=True, notifies=True)


def _notify(self: Utility) -> Statement:
    return replace(self.anywhere(name=self.node.conditionname), catalog=True, notifies=True)


def _load(self: Utility) -> Statement:
    return self.anywhere(pins="LOAD")


def _block(self: Utility) -> Statement:
    """DO and CALL: code that may touch any table."""
    tag = command_tag(self.node)
    refusal = Refused(
        f"{tag}, whose code may touch sharded tables",
        hint="Run it on the shard it is meant for.",
    )
    return Statement(Kind.QUERY, tag, Reach.UNBOUND, refusal=refusal, pins=self.context.use.pins)


def _set_constraints(self: Utility) -> Statement:
    self.context.mark(node.range_var for node in self.node.constraints)
    return self.anywhere()


def _definition(self: Utility) -> Statement:
    """DDL and maintenance: on every shard or on none, except for a session's temporary tables."""
    tag, context = command_tag(self.node), self.context
    refusal = Refused(f"{tag}, which must run on every shard", hint="Run it on each shard.")
    unknown = _only_unknown(context, self.node)
    if not unknown:
        raise refusal
    check_reads(context, tag)
    context.seen |= context.found.tables
    return replace(self.anywhere(), unless_temporary=refusal, temporary=unknown)


def _only_unknown(context: Context, node: Node) -> frozenset[str]:
    """The names of the relations that a statement concerns if they are no shard's: temporary ones, or none
    that exist. Empty for any other statement.
    """
    match type_name(node):
        case "DropStmt" if enum_name(node, "remove_type") == "OBJECT_TABLE":
            names = [strings(item.list.items) for item in node.objects]
            unknown = all(_is_unknown(context, name) for name in names)
            return frozenset(name[-1] for name in names) if unknown else frozenset()
        case "TruncateStmt" | "LockStmt":
            targets = [item.range_var for item in node.relations]
        case "VacuumStmt":
            targets = [item.vacuum_relation.relation for item in node.rels]
        case "AlterTableStmt" | "IndexStmt":
            targets = [node.relation]
        case _:
            return frozenset()
    # Every table of the statement must be one of these: a foreign key or a partition names another.
    complete = {target.location for target in targets} == context.found.tables
    unknown = all(context.names.relation(target).nature is Nature.UNKNOWN for target in targets)
    return frozenset(target.relname for target in targets) if complete and unknown else frozenset()


def _is_unknown(context: Context, name: tuple[str, ...]) -> bool:
    schemas = context.names.path if len(name) == 1 else (name[-2],)
    return all(context.names.named(schema, name[-1]).nature is Nature.UNKNOWN for schema in schemas)


_PLANNERS: Final[dict[str, Callable[[Utility], Statement]]] = {
    "TransactionStmt": _transaction,
    "VariableSetStmt": lambda self: settings.set_statement(self.node, self.sql),
    "VariableShowStmt": lambda self: settings.show_statement(self.node),
    "DiscardStmt": _discard,
    "DeallocateStmt": lambda self: self.anywhere(Kind.DEALLOCATE, name=self.node.name or None),
    "CopyStmt": lambda self: copy_statement(self.context, self.node),
    "PrepareStmt": _prepare,
    "ExecuteStmt": _execute,
    "DeclareCursorStmt": _declare,
    "FetchStmt": _cursor,
    "ClosePortalStmt": _cursor,
    "ExplainStmt": _explain,
    "CreateTableAsStmt": _create_table_as,
    "CreateStmt": _create_table,
    "ListenStmt": _listen,
    "UnlistenStmt": lambda self: self.anywhere(name=self.node.conditionname or None),
    "NotifyStmt": _notify,
    "LoadStmt": _load,
    "DoStmt": _block,
    "CallStmt": _block,
    "ConstraintsSetStmt": _set_constraints,
}

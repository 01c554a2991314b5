"""Building the level of an INSERT, UPDATE, DELETE or MERGE."""

from collections.abc import Iterable
from dataclasses import replace

from shardproxy.errors import Refused
from shardproxy.sql.analysis.build_from import FromBuilder
from shardproxy.sql.analysis.build_select import add_members, build_select, expressions, sublink_levels
from shardproxy.sql.analysis.conditions import row_elements
from shardproxy.sql.analysis.context import Context
from shardproxy.sql.analysis.derived import table_item
from shardproxy.sql.analysis.equivalence import Fact, Facts, OneOf
from shardproxy.sql.analysis.levels import (
    AssignedKey,
    InsertedKey,
    Join,
    JoinKind,
    Level,
    Opaque,
    Output,
    Table,
    entries,
)
from shardproxy.sql.analysis.outputs import target_outputs
from shardproxy.sql.analysis.scope import Column, Item, Scope
from shardproxy.sql.analysis.surviving import solid
from shardproxy.sql.analysis.tree import Node, enum_name, kind, type_name
from shardproxy.sql.analysis.values import Form, Value
from shardproxy.sql.analysis.with_clause import WithClause
from shardproxy.topology.tables import Sharded

NULL = (Value(Form.NULL),)


def build_change(context: Context, statement: Node, scope: Scope) -> Level:
    """The level of a data-modifying statement. ``scope`` is its own, as for :func:`build_select`."""
    context.count_level()
    level = Level(scope, query=statement)
    common = WithClause(context, statement.with_clause, level, build_select, build_change)
    match type_name(statement):
        case "InsertStmt":
            _insert(context, statement, level)
        case "MergeStmt":
            _merge(context, statement, level)
        case "UpdateStmt":
            _change(context, statement, level, statement.from_clause)
        case "DeleteStmt":
            _change(context, statement, level, statement.using_clause)
        case name:
            raise Refused(f"a statement of type {name} in WITH")
    built = list(sublink_levels(context, expressions(statement), scope))
    level.sublinks.extend(below for _, below in built)
    if type_name(statement) in ("UpdateStmt", "DeleteStmt"):
        add_members(context, level, statement.where_clause, built)
    after = _scope_of_returning(context, statement, level)
    returning = statement.returning_clause.exprs
    level.outputs = target_outputs(returning, after, context.conditions, context.values)
    level.sublinks.extend(below for _, below in sublink_levels(context, returning, after))
    common.finish()
    return level


def _target(context: Context, range_var: Node, *events: str) -> tuple[Table | Opaque, Item]:
    """The table that is written by ``events`` as an occurrence, under its name or alias."""
    target = context.resolve_written(range_var, *events)
    source, item = table_item(context, target)
    name = range_var.alias.aliasname or range_var.relname
    return source, Item(name, item.columns, item.complete, schema=target.name[0])


def _scope_of_returning(context: Context, statement: Node, level: Level) -> Scope:
    """What RETURNING sees: the written row has new values, of which the conditions that found it say nothing;
    its sharding key stays.
    """
    target, *others = level.scope.items
    table = level.written
    if not isinstance(table, Table) or type_name(statement) not in ("UpdateStmt", "MergeStmt"):
        return level.scope
    variables = context.variables
    columns = tuple(
        column
        if column.variable == table.key
        else Column(column.name, variables.new(table.entry, variables.info(column.variable).family))
        for column in target.columns
    )
    return replace(level.scope, items=[replace(target, columns=columns), *others])


def _change(context: Context, statement: Node, level: Level, others: Iterable[Node]) -> None:
    """UPDATE ... FROM and DELETE ... USING: the target joined with the other tables."""
    event = "UPDATE" if type_name(statement) == "UpdateStmt" else "DELETE"
    source, item = _target(context, statement.relation, event)
    level.written = source
    level.scope.items.append(item)
    builder = FromBuilder(context, level.scope, build_select)
    level.sources = [source, *(builder.add(node) for node in others)]
    if type_name(statement) == "UpdateStmt":
        _assign(context, source, statement.target_list, level)
    if kind(statement.where_clause) == "current_of_expr":
        raise Refused("WHERE CURRENT OF a cursor", hint="Name the row by its key.")
    if kind(statement.where_clause):
        level.facts = context.conditions.facts(statement.where_clause, level.scope, solid(level.sources))


def _assign(
    context: Context, source: Table | Opaque, targets: Iterable[Node], level: Level, facts: Facts = ()
) -> None:
    """Note what the assignments of an UPDATE set the sharding key to: it has to stay what it is, for with
    another the row would have to move to another shard. ``facts`` hold for the rows that are changed.
    """
    if not isinstance(source, Table) or not isinstance(source.target.rule, Sharded):
        return
    key, relation = source.target.rule.key, source.target.relation
    column = relation.column(key) if relation is not None else None
    if column is not None and column.generated:
        raise Refused(f'UPDATE of table "{source.target.name[1]}", whose sharding key "{key}" is generated')
    for target in targets:
        if target.res_target.name != source.target.rule.key:
            continue
        node = None if target.res_target.indirection else _assigned(target.res_target.val)
        value = context.values.read(node) if node is not None else None
        variable = context.conditions.column(node, level.scope) if node is not None else None
        if variable is not None and variable == source.key:
            continue
        values = None if value is None else (value,)
        level.assigned.append(AssignedKey(source, variable, values, facts))


def _assigned(node: Node) -> Node | None:
    """The expression that a column is set to; None where a subquery gives several."""
    if kind(node) != "multi_assign_ref":
        return node
    elements = row_elements(node.multi_assign_ref.source)
    return None if elements is None else elements[node.multi_assign_ref.colno - 1]


def changed_key(table: Table) -> Refused:
    """The refusal to change a row's sharding key: the row would have to move to another shard."""
    key = table.target.rule.key if isinstance(table.target.rule, Sharded) else ""
    return Refused(
        f'changing the sharding key "{key}" of table "{table.target.name[1]}"',
        hint="Delete the row and insert it under its new key.",
    )


def _insert(context: Context, statement: Node, level: Level) -> None:
    updates = enum_name(statement.on_conflict_clause, "action") == "ONCONFLICT_UPDATE"
    source, item = _target(context, statement.relation, "INSERT", *(["UPDATE"] if updates else []))
    level.scope.items.append(item)
    rows: Level | None = None
    if kind(statement.select_stmt):
        rows = build_select(context, statement.select_stmt.select_stmt, Scope(parent=level.scope.beside()))
        level.standalone.append(rows)
    if statement.HasField("on_conflict_clause"):
        level.scope.items.append(Item("excluded", item.columns, by_column=False))
        _assign(context, source, statement.on_conflict_clause.target_list, level)
    if isinstance(source, Table) and isinstance(source.target.rule, Sharded):
        names = [target.res_target.name for target in statement.cols]
        position = _key_position(source, names)
        if enum_name(statement, "override") == "OVERRIDING_USER_VALUE":
            _check_default(source)
        if rows is None or position is None:
            _check_default(source)
            level.inserted.append(InsertedKey(source, values=NULL))
        else:
            _inserted(source, position, rows)
            level.facts = _inserted_facts(context, source, position, rows)


def _key_position(table: Table, names: list[str]) -> int | None:
    """Where the sharding key stands in the rows of an INSERT with this column list; None: nowhere."""
    rule, relation = table.target.rule, table.target.relation
    if not isinstance(rule, Sharded) or relation is None:
        return None
    columns = names or [column.name for column in relation.columns]
    return columns.index(rule.key) if rule.key in columns else None


def _check_default(table: Table) -> None:
    """Refuse rows whose key the server would make up: it may belong to another shard."""
    rule, relation = table.target.rule, table.target.relation
    column = relation.column(rule.key) if isinstance(rule, Sharded) and relation is not None else None
    if column is not None and column.has_default:
        raise unknown_key(table)


def unknown_key(table: Table) -> Refused:
    """The refusal of rows whose shard is not known."""
    key = table.target.rule.key if isinstance(table.target.rule, Sharded) else ""
    return Refused(
        f'a new row of "{table.target.name[1]}" whose sharding key "{key}" is not a constant or parameter',
        hint=f"Give {key} as a value in the statement, not as an expression or default.",
    )


def _inserted(table: Table, position: int, rows: Level) -> None:
    """Record the key of the inserted rows on each level that makes some."""
    if rows.arms:
        for arm in rows.arms:
            _inserted(table, position, arm)
        return
    columns = rows.outputs.columns
    if position >= len(columns):
        if not rows.outputs.complete:
            raise unknown_key(table)
        _check_default(table)
        rows.inserted.append(InsertedKey(table, values=NULL))
        return
    output: Output = columns[position]
    rows.inserted.append(InsertedKey(table, output.variable, output.values))


def _inserted_facts(context: Context, table: Table, position: int, rows: Level) -> tuple[Fact, ...]:
    """What RETURNING and ON CONFLICT may rely on: the rows they see have the inserted keys."""
    columns = rows.outputs.columns
    if rows.arms or table.key is None or position >= len(columns):
        return ()
    values, family = columns[position].values, context.variables.info(table.key).family
    if values is None or family is None or not all(value.suits(family) for value in values):
        return ()
    return (OneOf(table.key, values),)


def _merge(context: Context, statement: Node, level: Level) -> None:
    """MERGE: the source joined with the target; which side keeps rows without a partner depends on the
    actions.
    """
    clauses = [node.merge_when_clause for node in statement.merge_when_clauses]
    commands = {enum_name(clause, "command_type").removeprefix("CMD_") for clause in clauses} - {"NOTHING"}
    target, item = _target(context, statement.relation, *sorted(commands))
    builder = FromBuilder(context, level.scope, build_select)
    source = builder.add(statement.source_relation)
    level.written = target
    level.scope.items.insert(0, item)
    matches = {enum_name(clause, "match_kind") for clause in clauses}
    facts = context.conditions.facts(statement.join_condition, level.scope, solid((source, target)))
    both = entries(target) | entries(source)
    level.sources = [Join(_merge_join(matches), source, target, facts, (), both)]
    for clause in clauses:
        match enum_name(clause, "command_type"):
            case "CMD_UPDATE":
                matched = enum_name(clause, "match_kind") == "MERGE_WHEN_MATCHED"
                _assign(context, target, clause.target_list, level, facts if matched else ())
            case "CMD_INSERT":
                _merge_insert(context, clause, target, level)


def _merge_join(matches: set[str]) -> JoinKind:
    """The join that MERGE makes of its source (left) and target (right)."""
    by_source = "MERGE_WHEN_NOT_MATCHED_BY_SOURCE" in matches
    by_target = "MERGE_WHEN_NOT_MATCHED_BY_TARGET" in matches
    if by_source:
        return JoinKind.FULL if by_target else JoinKind.RIGHT
    return JoinKind.LEFT if by_target else JoinKind.INNER


def _merge_insert(context: Context, clause: Node, target: Table | Opaque, level: Level) -> None:
    if not isinstance(target, Table) or not isinstance(target.target.rule, Sharded):
        return
    position = _key_position(target, [node.res_target.name for node in clause.target_list])
    if position is None or position >= len(clause.values):
        _check_default(target)
        level.inserted.append(InsertedKey(target, values=NULL))
        return
    node = clause.values[position]
    value = context.values.read(node)
    variable = context.conditions.column(node, level.scope)
    level.inserted.append(InsertedKey(target, variable, None if value is None else (value,)))

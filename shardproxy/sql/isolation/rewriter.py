"""Adds ``key = tenant`` for every table of the tenant group, at every level of a parse tree.

The condition goes where it filters the table before anything else sees its rows: to WHERE, and for a table on
the nullable side of an outer join to that join's ON. Where neither can say it (FULL JOIN, USING, NATURAL, an
aliased join, the source of MERGE) the table becomes a subquery. So tables mostly stay tables: whole-row
references, system columns, names qualified with their schema and functional dependencies go on working.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from shardproxy.errors import Refused
from shardproxy.sql import grammar
from shardproxy.sql.analysis.names import Names, Nature, Target
from shardproxy.sql.analysis.tree import Node, enum_name, inner, kind, type_name
from shardproxy.sql.isolation import nodes
from shardproxy.sql.schema import Relation
from shardproxy.topology.tables import Sharded

CommonTables = frozenset[str]
"""The names of the CTEs that are visible: they hide tables."""

Place = Callable[[Node], None]
"""Takes the condition on a table that is visible there."""

_NO_COMMON_TABLES: Final[CommonTables] = frozenset()
_NOT_REPEATED: Final = (int, str, bool, float)


class Rewriter:
    """Rewrites trees in place. ``marker``: the text of the constant that stands for the tenant's key.

    ``count``: how many were put in. ``views``: the queries of all views that the statement reads.
    """

    def __init__(self, names: Names, marker: str) -> None:
        self.count = 0
        self.views: list[Node] = []
        self._names = names
        self._marker = marker
        self._assigned: Node = None  # the source of the multiple assignment that is being visited

    def statement(self, wrapper: Node) -> None:
        """Bind every table of a wrapped statement. Raises Refused."""
        node = inner(wrapper)
        match type_name(node):
            case "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt":
                self._visit(node, _NO_COMMON_TABLES)
            case "ExplainStmt" | "DeclareCursorStmt" | "CreateTableAsStmt":
                self.statement(node.query)
            case "CopyStmt":
                self._copy(node)

    # --- levels ---------------------------------------------------------------------------------------------

    def _visit(self, node: Node, common: CommonTables) -> None:
        match type_name(node):
            case "SelectStmt":
                self._select(node, common)
            case "InsertStmt":
                self._insert(node, common)
            case "UpdateStmt":
                self._change(node, common, "from_clause")
            case "DeleteStmt":
                self._change(node, common, "using_clause")
            case "MergeStmt":
                self._merge(node, common)
            case "MultiAssignRef":
                self._multiple_assignment(node, common)
            case _:
                self._visit_fields(node, common)

    def _visit_fields(self, node: Node, common: CommonTables, *done: str) -> None:
        """Visit all that is in ``node``, except for the fields that the caller has ``done``."""
        for child in _children(node, done):
            self._visit(child, common)

    def _multiple_assignment(self, node: Node, common: CommonTables) -> None:
        """``SET (a, b) = (SELECT ...)``: the tree has the subquery once for each column, the text once."""
        if node.colno == 1:
            self._visit_fields(node, common)
            self._assigned = node.source
        else:
            node.source.CopyFrom(self._assigned)

    def _with_clause(self, node: Node, common: CommonTables) -> CommonTables:
        """Visit the CTEs of ``node``; return the names that its other parts see."""
        tables = [wrapper.common_table_expr for wrapper in node.with_clause.ctes]
        if node.with_clause.recursive:
            common |= {table.ctename for table in tables}
        for table in tables:
            self._visit(inner(table.ctequery), common)
            common |= {table.ctename}
        return common

    def _select(self, select: Node, common: CommonTables) -> None:
        common = self._with_clause(select, common)
        conditions: list[Node] = []
        self._from(select.from_clause, conditions.append, common)
        self._visit_fields(select, common, "with_clause", "from_clause")
        if conditions:
            nodes.conjoin(select, "where_clause", conditions)

    def _change(self, statement: Node, common: CommonTables, others: str) -> None:
        """UPDATE ... FROM, DELETE ... USING."""
        common = self._with_clause(statement, common)
        target = self._written(statement.relation)
        conditions = [self._condition(statement.relation, target)] if target else []
        self._from(getattr(statement, others), conditions.append, common)
        self._visit_fields(statement, common, "with_clause", "relation", others)
        if kind(statement.where_clause) == "current_of_expr":
            raise Refused("WHERE CURRENT OF a cursor", hint="Name the row by its key.")
        if conditions:
            nodes.conjoin(statement, "where_clause", conditions)

    def _insert(self, statement: Node, common: CommonTables) -> None:
        """New rows keep their keys: the proof that follows looks at them, and routing compares them."""
        common = self._with_clause(statement, common)
        target = self._written(statement.relation)
        self._visit_fields(statement, common, "with_clause", "relation")
        conflict = statement.on_conflict_clause
        if target is not None and enum_name(conflict, "action") == "ONCONFLICT_UPDATE":
            _check_arbiter(conflict, target)
            nodes.conjoin(conflict, "where_clause", [self._condition(statement.relation, target)])

    def _merge(self, statement: Node, common: CommonTables) -> None:
        """MERGE. With NOT MATCHED BY SOURCE it reaches the rows of all tenants: the proof refuses it."""
        common = self._with_clause(statement, common)
        self._from_item(statement.source_relation, None, common)
        self._visit_fields(statement, common, "with_clause", "relation", "source_relation")
        target = self._written(statement.relation)
        if target is not None:
            nodes.conjoin(statement, "join_condition", [self._condition(statement.relation, target)])

    # --- FROM -----------------------------------------------------------------------------------------------

    def _from(self, items: Iterable[Node], place: Place | None, common: CommonTables) -> None:
        for item in items:
            self._from_item(item, place, common)

    def _from_item(self, item: Node, place: Place | None, common: CommonTables) -> None:
        """Bind what is in ``item``. ``place`` None: the condition must be inside the item itself."""
        match kind(item):
            case "range_var":
                self._table(item, item.range_var, place, common)
            case "range_table_sample" if kind(item.range_table_sample.relation) == "range_var":
                self._visit_fields(item.range_table_sample, common, "relation")
                self._table(item, item.range_table_sample.relation.range_var, place, common)
            case "join_expr":
                self._join(item.join_expr, place, common)
            case _:
                self._visit_fields(item, common)

    def _join(self, join: Node, place: Place | None, common: CommonTables) -> None:
        if join.HasField("alias"):
            place = None  # the names inside are hidden
        on_conditions: list[Node] = []
        on_place = on_conditions.append if join.HasField("quals") else None
        left, right = place, place
        match enum_name(join, "jointype"):
            case "JOIN_LEFT":
                right = on_place
            case "JOIN_RIGHT":
                left = on_place
            case "JOIN_FULL":
                left = right = None
        self._from_item(join.larg, left, common)
        self._from_item(join.rarg, right, common)
        self._visit_fields(join, common, "larg", "rarg")
        if on_conditions:
            nodes.conjoin(join, "quals", on_conditions)

    def _table(self, item: Node, range_var: Node, place: Place | None, common: CommonTables) -> None:
        """One table of FROM; ``item`` is ``range_var`` or a sample of it."""
        if not range_var.schemaname and range_var.relname in common:
            return
        target = self._names.relation(range_var)
        if target.nature is Nature.VIEW:
            self._view(item, range_var, target)
        elif self.concerns(target):
            if place is not None:
                place(self._condition(range_var, target))
            else:
                self._wrap(item, range_var, target)

    def _wrap(self, item: Node, range_var: Node, target: Target) -> None:
        """Make a table a subquery of its tenant's rows, under its name."""
        alias = type(range_var.alias)()
        alias.CopyFrom(range_var.alias)
        range_var.ClearField("alias")
        condition = self._condition(range_var, target)
        name = alias.aliasname or range_var.relname
        item.CopyFrom(nodes.subquery(item, condition, alias, name))

    def _view(self, item: Node, range_var: Node, target: Target) -> None:
        """Put the query of a view in its place, if it reads the tenant's tables."""
        relation = target.relation
        if relation is None or relation.definition is None:
            return  # nobody knows what it reads: the proof refuses it
        definition = grammar.parse(relation.definition).stmts[0].stmt
        self.views.append(definition)
        before = self.count
        outer, self._names = self._names, Names(self._names.schema, self._names.rules, ())
        self.statement(definition)
        self._names = outer
        if self.count > before:
            if type_name(inner(item)) != "RangeVar":
                raise Refused(f'TABLESAMPLE of the view "{relation.name}"')
            name = range_var.alias.aliasname or range_var.relname
            item.CopyFrom(nodes.derived_table(definition, name, _column_names(range_var, relation)))

    # --- COPY -----------------------------------------------------------------------------------------------

    def _copy(self, statement: Node) -> None:
        if kind(statement.query):
            self.statement(statement.query)
            return
        target = self._names.relation(statement.relation)
        if not self.concerns(target):
            return
        assert isinstance(target.rule, Sharded)
        if statement.is_from:
            check = nodes.key_is_marker_or_error(target.rule.key, self._marker)
            self.count += 1
            nodes.conjoin(statement, "where_clause", [check], first=False)
        else:
            self._copy_out(statement, target)

    def _copy_out(self, statement: Node, target: Target) -> None:
        columns = [node.string.sval for node in statement.attlist]
        if not columns or target.relation is None or target.relation.kind == "p":
            raise Refused(
                f'COPY of the table "{target.name[1]}" with a tenant',
                hint="Use COPY (SELECT ...) TO STDOUT.",
            )
        condition = self._condition(statement.relation, target)
        statement.relation.inh = False  # COPY of a table leaves out its children
        statement.query.CopyFrom(nodes.select_columns(columns, statement.relation, condition))
        statement.ClearField("relation")
        statement.ClearField("attlist")

    # --- conditions -----------------------------------------------------------------------------------------

    def _written(self, range_var: Node) -> Target | None:
        """The table that a statement changes, None for one that is not the tenant's."""
        target = self._names.relation(range_var)
        if target.nature is Nature.VIEW:
            raise Refused(f'writing through the view "{target.name[1]}"', hint="Write to its table.")
        return target if self.concerns(target) else None

    def concerns(self, target: Target) -> bool:
        """Whether the rows of a table are to be restricted."""
        rule = target.rule
        return (
            target.nature is Nature.SHARDED
            and isinstance(rule, Sharded)
            and rule.group == self._names.rules.tenant_group
        )

    def _condition(self, range_var: Node, target: Target) -> Node:
        assert isinstance(target.rule, Sharded)
        assert target.relation is not None
        self.count += 1
        names = _column_names(range_var, target.relation)
        positions = [i for i, column in enumerate(target.relation.columns) if column.name == target.rule.key]
        if not positions:
            raise Refused(f'the table "{target.name[1]}" without its sharding key "{target.rule.key}"')
        qualifier = range_var.alias.aliasname or range_var.relname
        return self.restriction(nodes.column(qualifier, names[positions[0]]), target.rule)

    def restriction(self, key: str, rule: Sharded) -> Node:
        """The condition on a table spread by ``rule`` whose key is ``key``, a quoted name."""
        return nodes.condition(f"{key} = '{self._marker}'")


def _column_names(range_var: Node, relation: Relation) -> list[str]:
    """The columns of a relation under their aliases, ``AS name (a, b)``."""
    aliases = [node.string.sval for node in range_var.alias.colnames]
    return [*aliases, *(column.name for column in relation.columns[len(aliases) :])]


def _check_arbiter(conflict: Node, target: Target) -> None:
    """Refuse DO UPDATE that another tenant's row may cause: it would do nothing, where it should insert."""
    assert isinstance(target.rule, Sharded)
    assert target.relation is not None
    key = target.rule.key
    if any(element.index_elem.name == key for element in conflict.infer.index_elems):
        return
    unique = [columns for columns in (target.relation.primary_key, *target.relation.unique_keys) if columns]
    if conflict.infer.index_elems or not unique or any(key not in columns for columns in unique):
        raise Refused(
            f'ON CONFLICT DO UPDATE on a unique key without "{key}"',
            hint=f"Name the columns of a unique key that has {key}: ON CONFLICT ({key}, ...).",
        )


def _children(message: Node, done: tuple[str, ...]) -> Iterator[Node]:
    """Every message directly inside ``message`` except for the fields ``done``; wrappers are seen through."""
    for field, value in message.ListFields():
        if field.name in done or isinstance(value, _NOT_REPEATED):
            continue
        for child in value if field.is_repeated else (value,):
            found = inner(child) if type_name(child) == "Node" else child
            if found is not None and not isinstance(found, _NOT_REPEATED):
                yield found

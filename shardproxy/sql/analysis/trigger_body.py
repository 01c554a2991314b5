"""Does a trigger's function stay with the tenant of its row? The proof is the analysis of the SQL in its
body.

``NEW.key`` and ``OLD.key`` are the row's sharding key, so they stand there for a parameter; a statement that
is bound to it and to nothing else touches rows of the same tenant only. What is not proven is not wrong: an
operator can vouch.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Final

from shardproxy.errors import Refused, StatementError
from shardproxy.sql import grammar
from shardproxy.sql.analysis.context import Context, Step, make_conditions
from shardproxy.sql.analysis.derived import column_family, column_length
from shardproxy.sql.analysis.functions import FunctionUse, distrusted
from shardproxy.sql.analysis.names import Names
from shardproxy.sql.analysis.queries import QUERIES, query
from shardproxy.sql.analysis.scope import Variables
from shardproxy.sql.analysis.survey import survey
from shardproxy.sql.analysis.temporary import check_copied
from shardproxy.sql.analysis.tree import Node, children, inner, kind, strings, type_name, walk
from shardproxy.sql.analysis.values import ValueReader
from shardproxy.sql.grammar import REPEATED
from shardproxy.sql.plpgsql import Body
from shardproxy.sql.schema import Relation
from shardproxy.sql.statement import Parameter, Reach, Statement
from shardproxy.topology.tables import Local, RelationName, Sharded, TableRule

_ROWS: Final = ("new", "old")
_VARIABLES: Final = frozenset(
    {"new", "old", "found", "sqlstate", "sqlerrm", "tg_name", "tg_when", "tg_level", "tg_op", "tg_relid"}
    | {"tg_relname", "tg_table_name", "tg_table_schema", "tg_nargs", "tg_argv"}
)
"""The variables that every trigger function has."""


class Unproven(Exception):
    """The first argument says what is not proven, in the user's words."""


@dataclass(frozen=True, slots=True)
class TriggerRow:
    """The row that a trigger is called for. ``names`` looks for tables and functions in every schema;
    ``tables`` has all relations by their bare names.
    """

    relation: Relation
    rule: TableRule | None
    names: Names
    tables: Mapping[str, tuple[RelationName, ...]]

    def prove(self, body: Body) -> frozenset[Step]:
        """What the function writes, if all it touches is of the row's tenant. Raises Unproven."""
        self._check_types(body)
        writes: set[Step] = set()
        for piece in body.pieces:
            try:
                writes |= self._piece(piece, body)
            except (Refused, StatementError) as error:
                why = error.construct if isinstance(error, Refused) else error.message
                raise Unproven(f"{_in(piece)}: {why}") from None
        return frozenset(writes)

    def _check_types(self, body: Body) -> None:
        """Refuse variables of types whose values are checked by reading; one may be ``column%TYPE``."""
        for checked, called in self.names.schema.reading_types.items():
            used = body.words & {checked, "type", "rowtype"}
            if used and distrusted(called, self.names):
                raise Unproven(f"it may have a variable of the type {checked}")

    def _check_key(self, body: Body) -> None:
        """Refuse what NEW and OLD say of the tenant where it may not be so."""
        if not isinstance(self.rule, Sharded):
            return
        key, family = self.rule.key, self.names.rules.groups[self.rule.group]
        if not body.spares(key):
            raise Unproven(f"it may assign {key} of NEW or OLD")
        column = self.relation.column(key)
        if column is None or column_family(column) is not family:
            raise Unproven(f"its table has no {key} of the group's type")

    def _piece(self, text: str, body: Body) -> set[Step]:
        statements = grammar.parse(text).stmts
        if len(statements) != 1 or type_name(inner(statements[0].stmt)) not in QUERIES:
            raise Unproven(f"{_in(text)}: a statement that is not a query")
        node = inner(statements[0].stmt)
        found = survey(node)
        if found.parameters:
            raise Unproven(f"{_in(text)}: a parameter")
        use = FunctionUse()
        if not found.tables:
            use.add_all(found, self.names)
            _check_use(text, use)
            return set()
        self._check_key(body)
        self._check_variables(text, node, body)
        _expand_rows(node, self.relation)
        keys = _bind_keys(node, self.rule.key) if isinstance(self.rule, Sharded) else frozenset()
        self._qualify(text, node)
        context = self._context(text, node, use)
        statement = query(context, node)
        context.check_accounted()
        if context.unknown or statement.catalog:
            raise Unproven(f"{_in(text)}: a table that is no tenant's")
        _check_use(text, use)
        check_copied(context, "a variable")
        self._check_reach(text, statement, keys)
        return context.steps

    def _context(self, text: str, node: Node, use: FunctionUse) -> Context:
        variables, values = Variables(), ValueReader(text, None, builtin_types_first=False)
        found = survey(node)
        use.add_all(found, self.names)
        return Context(
            self.names, variables, values, make_conditions(self.names, variables, values), found, use
        )

    def _check_variables(self, text: str, node: Node, body: Body) -> None:
        """A name must not mean a variable to PL/pgSQL and a column to us, or the other way round."""
        columns = {
            column.name
            for each in walk(node)
            if type_name(each) == "RangeVar"
            for name in self.tables.get(each.relname, ())
            for column in self.names.schema.relations[name].columns
        }
        both = (body.declared | _VARIABLES) & (columns | set(_identifiers(node)))
        if both:
            raise Unproven(f"{_in(text)}: {min(both)} is a variable and may be a column")

    def _qualify(self, text: str, node: Node) -> None:
        """Give each table its schema: a bare name means what the caller's search_path says, and must mean
        one.
        """
        common = {each.ctename for each in walk(node) if type_name(each) == "CommonTableExpr"}
        for each in walk(node):
            if type_name(each) != "RangeVar" or each.schemaname:
                continue
            tables = self.tables.get(each.relname, ())
            if each.relname in common and not tables:
                continue
            if (
                each.relname in common
                or len(tables) != 1
                or each.relname in self.names.schema.system_relations
            ):
                raise Unproven(f"{_in(text)}: it is not certain which table {each.relname} is")
            each.schemaname = tables[0][0]

    def _check_reach(self, text: str, statement: Statement, keys: frozenset[int]) -> None:
        rule = self.rule
        match statement.reach:
            case Reach.ANYWHERE:
                return
            case Reach.LOCAL if isinstance(rule, Local) and statement.local_shard == rule.shard:
                return
            case Reach.KEYED if isinstance(rule, Sharded):
                column = self.relation.column(rule.key)
                longest = column_length(column) if column is not None else None
                if all(
                    each.group == rule.group
                    and all(
                        isinstance(s, Parameter) and s.number in keys and not s.array for s in each.sources
                    )
                    and (each.max_length is None or (longest is not None and longest <= each.max_length))
                    for each in statement.key_sets
                ):
                    return
        bound = (
            f" not bound to NEW.{rule.key} or OLD.{rule.key}"
            if isinstance(rule, Sharded)
            else " not of its shard"
        )
        raise Unproven(f"{_in(text)}: it is{bound}")


def _in(piece: str) -> str:
    """A piece of SQL as messages show it."""
    text = " ".join(piece.split())
    return f'in "{text}"' if len(text) <= 60 else f'in "{text[:57]}..."'


def _check_use(text: str, use: FunctionUse) -> None:
    if use.reads is not None:
        raise Unproven(f"{_in(text)}: the function {use.reads} may read tables")
    if use.reveals is not None:
        raise Unproven(f"{_in(text)}: {use.reveals} shows what other sessions do")
    if use.notifies:
        raise Unproven(f"{_in(text)}: its notification is heard on its own shard only")


def _identifiers(node: Node) -> Iterator[str]:
    """All names in a tree but those of columns that are referred to, and constants."""
    stack = [node]
    while stack:
        message = stack.pop()
        if type_name(message) in ("ColumnRef", "A_Const"):
            continue
        for _, value in message.ListFields():
            if isinstance(value, str):
                yield value
        stack.extend(children(message))


def _expand_rows(node: Node, relation: Relation) -> None:
    """``NEW.*`` in a select list or in VALUES, column by column."""
    for each in walk(node):
        if type_name(each) == "SelectStmt":
            _expand(each.target_list, relation)
            for row in each.values_lists:
                _expand(row.list.items, relation)


def _expand(items: Node, relation: Relation) -> None:
    if not any(map(_is_star, items)):
        return
    expanded = []
    for item in items:
        if not _is_star(item):
            expanded.append(item)
            continue
        for column in relation.columns:
            copy = type(item)()
            copy.CopyFrom(item)
            _reference(copy).fields[1].string.sval = column.name
            expanded.append(copy)
    copies = type(items[0])
    made = []
    for item in expanded:
        made.append(copies())
        made[-1].CopyFrom(item)
    del items[:]
    items.extend(made)


def _reference(item: Node) -> Node:
    """The column reference that an item of a list is, None for anything else."""
    value = item.res_target.val if kind(item) == "res_target" else item
    return value.column_ref if kind(value) == "column_ref" else None


def _is_star(item: Node) -> bool:
    reference = _reference(item)
    return reference is not None and strings(reference.fields) in tuple((row, "") for row in _ROWS)


def _bind_keys(node: Node, key: str) -> frozenset[int]:
    """Put a parameter of its own in the place of each ``NEW.key`` and ``OLD.key``; their numbers."""
    numbers = count(1)
    bound = set()
    for wrapper in list(_wrappers(node)):
        if _is_key(wrapper, key):
            number = next(numbers)
            wrapper.param_ref.number = number
            bound.add(number)
    return frozenset(bound)


def _is_key(wrapper: Node, key: str) -> bool:
    """Whether an expression is the row's key: of an INSERT or DELETE, one of NEW and OLD has none."""
    match kind(wrapper):
        case "column_ref":
            return strings(wrapper.column_ref.fields) in tuple((row, key) for row in _ROWS)
        case "coalesce_expr":
            return all(_is_key(argument, key) for argument in wrapper.coalesce_expr.args)
    return False


def _wrappers(message: Node) -> Iterator[Node]:
    """Every wrapper ``Node`` below a message."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for child in value if type(value) is REPEATED else (value,):
            if type_name(child) == "Node":
                yield child
                below = inner(child)
                if below is not None:
                    yield from _wrappers(below)
            else:
                yield from _wrappers(child)

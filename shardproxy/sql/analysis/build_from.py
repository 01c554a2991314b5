"""Building the FROM clause of a level: what is joined, what each part ensures, and which names it adds."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from shardproxy.errors import Refused
from shardproxy.sql.analysis.context import Context
from shardproxy.sql.analysis.derived import derived_item, known_values, table_item
from shardproxy.sql.analysis.equivalence import Equal, Fact, Facts, Variable
from shardproxy.sql.analysis.levels import CommonTable, Join, JoinKind, Level, Opaque, Source, entries
from shardproxy.sql.analysis.names import Nature
from shardproxy.sql.analysis.scope import Column, Item, Scope, only_by_table
from shardproxy.sql.analysis.tree import Node, enum_name, inner, kind, strings, walk_level
from shardproxy.sql.analysis.unnest import unnested

SelectBuilder = Callable[[Context, Node, Scope], Level]
Built = tuple[Source, list[Item]]

NOTHING_SOLID: Final[frozenset[int]] = frozenset()

_KINDS = {
    "JOIN_INNER": JoinKind.INNER,
    "JOIN_LEFT": JoinKind.LEFT,
    "JOIN_RIGHT": JoinKind.RIGHT,
    "JOIN_FULL": JoinKind.FULL,
}


class FromBuilder:
    """Builds the items of FROM for one level. ``scope`` is the level's; its items grow as FROM is read."""

    def __init__(self, context: Context, scope: Scope, build_select: SelectBuilder) -> None:
        self._context = context
        self._scope = scope
        self._build_select = build_select

    def add(self, node: Node) -> Source:
        """Build one item of the FROM list; its names become visible in the level's scope."""
        source, items = self._build(node, [])
        self._scope.items.extend(items)
        return source

    def _build(self, node: Node, beside: list[Item]) -> Built:
        """``beside``: the items to the left in the same join, which LATERAL sees."""
        match kind(node):
            case "range_var":
                return self.table(node.range_var)
            case "range_table_sample":
                return self._sample(node.range_table_sample, beside)
            case "join_expr":
                return self._join(node.join_expr, beside)
            case "range_subselect":
                return self._subquery(node.range_subselect, beside)
        return self._function(inner(node), beside)

    def table(self, range_var: Node, *, sampled: bool = False) -> Built:
        """A table, view or CTE by name."""
        context = self._context
        if not range_var.schemaname and (common := self._scope.common_table(range_var.relname)) is not None:
            context.seen.add(range_var.location)
            return self._common_table(common, range_var)
        target = context.resolve(range_var)
        if target.nature is Nature.VIEW and target.relation is not None:
            with context.view(target.relation) as query:
                level = self._build_select(context, query.select_stmt, Scope())
                names = tuple(column.name for column in target.relation.columns)
                derived, item = derived_item(context, level, target.name[1], names)
            return derived, [_aliased(item, range_var, target.name[0])]
        entry, item = table_item(context, target, sampled=sampled)
        return entry, [_aliased(item, range_var, target.name[0])]

    def _sample(self, sample: Node, beside: list[Item]) -> Built:
        relation = sample.relation
        if kind(relation) != "range_var":
            return self._build(relation, beside)
        source, items = self.table(relation.range_var, sampled=True)
        sublinks = self._sublinks(sample.args, self._scope.beside(beside))
        if sublinks:
            raise Refused("a subquery in TABLESAMPLE")
        return source, items

    def _common_table(self, common: CommonTable, range_var: Node) -> Built:
        """A reference to a CTE. One that only reads is built as if its query stood here."""
        context = self._context
        if common.building:
            common.refers_to_itself = True
            entry = context.variables.new_entry()
            return Opaque(entry), [_aliased(Item(common.name, (), complete=False), range_var, None)]
        common.references += 1
        level = common.level if common.level is not None else self.common_level(common)
        derived, item = derived_item(
            context, level, common.name, common.aliases, more_columns=common.opaque_columns
        )
        items = [_aliased(item, range_var, None)]
        if common.level is not None:
            return Opaque(derived.entry, known_values(derived)), items
        # A row of a recursive query may come from one with another key: a condition on it restricts no table.
        return replace(derived, pushable=not common.refers_to_itself), items

    def common_level(self, common: CommonTable) -> Level:
        """The level of a CTE that only reads, for one reference to it."""
        common.building = common.recursive
        try:
            return self._build_select(self._context, common.query.select_stmt, Scope(parent=common.scope))
        finally:
            common.building = False

    def _subquery(self, subselect: Node, beside: list[Item]) -> Built:
        scope = self._scope.beside([*self._scope.items, *beside] if subselect.lateral else ())
        level = self._build_select(self._context, subselect.subquery.select_stmt, Scope(parent=scope))
        names = strings(subselect.alias.colnames)
        derived, item = derived_item(self._context, level, subselect.alias.aliasname, names)
        return derived, [item]

    def _function(self, node: Node, beside: list[Item]) -> Built:
        """A function, ROWS FROM, XMLTABLE, JSON_TABLE: lateral without saying so; its columns are not
        tracked, but for those of unnest().
        """
        scope = self._scope.beside([*self._scope.items, *beside])
        sublinks = self._sublinks([node], scope)
        entry = self._context.variables.new_entry()
        name = node.alias.aliasname if node.HasField("alias") else _function_name(node)
        arrays = unnested(self._context, node, entry)
        if arrays is not None:
            columns, facts = arrays
            return Opaque(entry, facts, sublinks, function=True), [Item(name, columns)]
        item = Item(name, (), complete=False)
        return Opaque(entry, sublinks=sublinks, function=True), [item]

    def _join(self, join: Node, beside: list[Item]) -> Built:
        left, left_items = self._build(join.larg, beside)
        right, right_items = self._build(join.rarg, [*beside, *left_items])
        join_kind = _KINDS.get(enum_name(join, "jointype"))
        if join_kind is None:
            raise Refused("a join of an unknown type")
        using = strings(join.using_clause)
        complete = _complete(left_items) and _complete(right_items)
        if join.is_natural and complete:
            shared = {column.name for column in _columns(right_items)}
            using = tuple(column.name for column in _columns(left_items) if column.name in shared)
        merged, facts = self._merge(using, left_items, right_items, join_kind)
        scope = self._scope.beside([*left_items, *right_items])
        sublinks: tuple[Level, ...] = ()
        if kind(join.quals):
            facts = (*facts, *self._context.conditions.facts(join.quals, scope, NOTHING_SOLID))
            sublinks = self._sublinks([join.quals], scope)
        source = Join(join_kind, left, right, facts, sublinks, entries(left) | entries(right))
        if join.is_natural and not complete:
            return source, self._joined(join, [*left_items, *right_items], Item("", (), complete=False))
        columns = [*merged, *_others(left_items, using), *_others(right_items, using)]
        item = Item("", tuple(columns), complete=complete)
        items = self._joined(join, [*left_items, *right_items], item)
        if join.HasField("join_using_alias"):
            items.append(Item(join.join_using_alias.aliasname, tuple(merged), by_column=False))
        return source, items

    def _joined(self, join: Node, sides: list[Item], item: Item) -> list[Item]:
        """The names after a join: an alias hides those of the sides."""
        if join.HasField("alias"):
            return [_renamed_item(item, join.alias.aliasname, strings(join.alias.colnames))]
        return [*only_by_table(sides), Item("", item.columns, item.complete, by_table=False)]

    def _merge(
        self, using: Sequence[str], left: list[Item], right: list[Item], join_kind: JoinKind
    ) -> tuple[list[Column], Facts]:
        """The merged columns of USING, and the equalities it states."""
        variables = self._context.variables
        merged: list[Column] = []
        facts: list[Fact] = []
        for name in using:
            one, other = _named(left, name), _named(right, name)
            if one is None or other is None:
                merged.append(Column(name, variables.new(0, None)))
                continue
            family = variables.info(one).family
            same = family is not None and family is variables.info(other).family
            if same and self._context.conditions.builtin_equality:
                facts.append(Equal(one, other))
            kept = {JoinKind.RIGHT: other, JoinKind.FULL: variables.new(0, None)}.get(join_kind, one)
            merged.append(Column(name, kept if same else variables.new(0, None)))
        return merged, tuple(facts)

    def _sublinks(self, nodes: Sequence[Node], scope: Scope) -> tuple[Level, ...]:
        if not self._context.found.sublinks:
            return ()
        links = [link for node in nodes for link in walk_level(node) if type(link).__name__ == "SubLink"]
        return tuple(
            self._build_select(self._context, link.subselect.select_stmt, Scope(parent=scope))
            for link in links
        )


def _aliased(item: Item, range_var: Node, schema: str | None) -> Item:
    if range_var.HasField("alias"):
        return _renamed_item(item, range_var.alias.aliasname, strings(range_var.alias.colnames))
    return Item(range_var.relname, item.columns, item.complete, schema=schema)


def _renamed_item(item: Item, name: str, aliases: Sequence[str]) -> Item:
    if aliases and not item.complete:
        return Item(name, (), complete=False)
    new = [Column(alias, column.variable) for alias, column in zip(aliases, item.columns, strict=False)]
    return Item(name, (*new, *item.columns[len(new) :]), item.complete)


def _function_name(node: Node) -> str:
    for part in walk_level(node):
        if type(part).__name__ == "FuncCall":
            return strings(part.funcname)[-1]
    return ""


def _columns(items: Sequence[Item]) -> list[Column]:
    return [column for item in items if item.by_column for column in item.columns]


def _complete(items: Sequence[Item]) -> bool:
    return all(item.complete for item in items if item.by_column)


def _named(items: Sequence[Item], name: str) -> Variable | None:
    found = [column.variable for column in _columns(items) if column.name == name]
    return found[0] if len(found) == 1 else None


def _others(items: Sequence[Item], using: Sequence[str]) -> list[Column]:
    return [column for column in _columns(items) if column.name not in using]

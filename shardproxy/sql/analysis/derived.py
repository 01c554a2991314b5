"""Tables and derived tables as occurrences in FROM: their variables, and the facts that pass through them."""

import re
from collections.abc import Sequence

from shardproxy.sql.analysis.context import Context
from shardproxy.sql.analysis.equivalence import Classes, Fact, Facts, OneOf, Same, Variable
from shardproxy.sql.analysis.levels import Derived, Level, Opaque, Table
from shardproxy.sql.analysis.names import Nature, Target
from shardproxy.sql.analysis.scope import Column, Item, Variables
from shardproxy.sql.analysis.surviving import surviving_facts
from shardproxy.sql.schema import Column as TableColumn
from shardproxy.topology.keys import KeyFamily, family_of
from shardproxy.topology.tables import Sharded

_LENGTH = re.compile(r"character varying\((\d+)\)")


def table_item(context: Context, target: Target, *, sampled: bool = False) -> tuple[Table | Opaque, Item]:
    """One occurrence of a relation that is no view, and its columns by name."""
    variables = context.variables
    entry = variables.new_entry()
    relation = target.relation
    if relation is None:
        return Opaque(entry), Item(target.name[1], (), complete=False)
    columns = tuple(
        Column(column.name, variables.new(entry, column_family(column), not_null=column.not_null))
        for column in relation.columns
    )
    item = Item(target.name[1], columns)
    if target.nature is not Nature.SHARDED or not isinstance(target.rule, Sharded):
        return Table(entry, target, sampled=sampled), item
    family = context.names.rules.groups[target.rule.group]
    key = next((column.variable for column in columns if column.name == target.rule.key), None)
    if key is not None and variables.info(key).family is not family:
        key = None
    column = relation.column(target.rule.key)
    return Table(entry, target, key, sampled, column_length(column) if column is not None else None), item


def column_length(column: TableColumn) -> int | None:
    """How many characters a varchar(n) holds; None for other columns."""
    length = _LENGTH.fullmatch(column.type_name)
    return int(length[1]) if length else None


def column_family(column: TableColumn) -> KeyFamily | None:
    """The key family of a column; None when equality on it is not the equality of the family's hashes."""
    return family_of(column.type_oid) if column.deterministic else None


def derived_item(
    context: Context, level: Level, name: str, aliases: Sequence[str] = (), *, more_columns: bool = False
) -> tuple[Derived, Item]:
    """A subquery, view or CTE in FROM, and its columns by name. ``more_columns``: it has some besides its
    query's.
    """
    variables = context.variables
    entry = variables.new_entry()
    outputs = level.outputs
    if aliases and not outputs.complete:
        return Derived(entry, level, (), ()), Item(name, (), complete=False)
    families = [output_family(level, i, variables) for i in range(len(outputs.columns))]
    own = tuple(variables.new(entry, family) for family in families)
    names = [*aliases[: len(own)], *(output.name for output in outputs.columns[len(aliases) :])]
    columns = tuple(Column(column, variable) for column, variable in zip(names, own, strict=True) if column)
    complete = outputs.complete and not more_columns and len(columns) == len(own)
    return Derived(entry, level, own, exports(level, own, variables)), Item(name, columns, complete)


def output_family(level: Level, i: int, variables: Variables) -> KeyFamily | None:
    """The family of a result column; of a set operation, only where every arm agrees."""
    if level.arms:
        families = {
            output_family(arm, i, variables)
            if arm.outputs.complete and i < len(arm.outputs.columns)
            else None
            for arm in level.arms
        }
        return families.pop() if len(families) == 1 else None
    output = level.outputs.columns[i]
    if output.variable is not None:
        return variables.info(output.variable).family
    families = {value.family() for value in output.values or ()}
    return families.pop() if len(families) == 1 else None


def exports(level: Level, own: Sequence[Variable], variables: Variables) -> Facts:
    """What holds for each row of a derived table: the facts of its level, and what its columns are."""
    if level.arms or level.rollup:
        return ()
    facts: list[Fact] = []
    if not level.always_row:
        facts.extend(surviving_facts(level.sources, level.facts, variables))
    for variable, output in zip(own, level.outputs.columns, strict=False):
        if variables.info(variable).family is None:
            continue
        if output.values is not None:
            facts.append(OneOf(variable, output.values))
        elif output.variable is not None and not level.always_row:
            facts.append(Same(variable, output.variable))
    return tuple(facts)


def known_values(derived: Derived) -> Facts:
    """What each column of a derived table is one of, by itself: two references to one result share its
    tables, not its rows.
    """
    classes = Classes(derived.exports)
    return tuple(OneOf(column, values) for column in derived.columns for values in classes.values(column))


def pushed(level: Level, own: Sequence[Variable], variables: Variables) -> Facts:
    """What makes a condition on a derived table's columns one on its level's own variables, where that is the
    same.
    """
    if level.barrier or level.arms or level.rollup or (level.always_row and level.groups is None):
        return ()
    return tuple(
        Same(variable, output.variable)
        for variable, output in zip(own, level.outputs.columns, strict=False)
        if output.variable is not None
        and variables.info(variable).family is not None
        and variables.info(variable).family is variables.info(output.variable).family
        and (level.groups is None or output.variable in level.groups)
    )

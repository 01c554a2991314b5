"""May the same SELECT run on every shard, and the rows be concatenated? Only where that is PostgreSQL's
answer.

The rows of the answer must be made of one shard's rows each, by a rule that does not look at other rows.
"""

from shardproxy.sql.analysis.context import Context
from shardproxy.sql.analysis.equivalence import Classes, Facts, Variable
from shardproxy.sql.analysis.functions import is_aggregate
from shardproxy.sql.analysis.levels import Derived, Join, JoinKind, Level, Opaque, Source, Table
from shardproxy.sql.analysis.names import Nature
from shardproxy.sql.analysis.surviving import nulled, surviving_facts
from shardproxy.sql.analysis.tree import Node, kind, strings, type_name, walk_level


class NotColocated(Exception):
    """Rows of different shards would meet; the first argument is the construct that makes them."""


def obstacle(context: Context, level: Level) -> str | None:
    """The construct for which concatenation is not exact, in the user's words; None when there is none."""
    if type_name(level.query) != "SelectStmt":
        return "a data-modifying statement over several shards"
    return (
        _in_functions(context)
        or _in_shape(context, level)
        or _in_grouping(context, level)
        or _in_from(context, level)
    )


def _in_functions(context: Context) -> str | None:
    use = context.use
    if use.volatile:
        return "a volatile function over several shards"
    if use.reads is not None:
        return f"the function {use.reads} over several shards, which may read tables"
    if use.local is not None:
        return f"{use.local} over several shards, which differs from server to server"
    if context.found.system_columns:
        return "a system column (ctid, xmin, tableoid ...) over several shards"
    return None


def _in_shape(context: Context, level: Level) -> str | None:
    select = level.query
    checks = (
        (level.arms, "UNION, INTERSECT or EXCEPT over several shards"),
        (select.with_clause.ctes, "WITH over several shards"),
        (select.sort_clause, "ORDER BY over several shards"),
        (kind(select.limit_count) or kind(select.limit_offset), "LIMIT or OFFSET over several shards"),
        (select.locking_clause, "FOR UPDATE or FOR SHARE over several shards"),
        (level.sublinks or level.alone or level.standalone, "a subquery over several shards"),
        (select.HasField("into_clause"), "SELECT INTO over several shards"),
    )
    for present, construct in checks:
        if present:
            return construct
    natures = {target.nature for target in context.targets.values()}
    if not natures <= {Nature.SHARDED, Nature.REFERENCE, Nature.VIEW}:
        return "a sharded table joined with another relation over several shards"
    return None


def _in_grouping(context: Context, level: Level) -> str | None:
    """Grouping is exact where one group is on one shard: it contains the sharding key of a table that no
    outer join makes NULL.
    """
    select = level.query
    keys = _keys(context, level)
    if level.groups is not None:
        if level.rollup:
            return "GROUPING SETS, ROLLUP or CUBE over several shards"
        classes = Classes(_facts(context, level))
        if not {classes.root(variable) for variable in level.groups} & keys:
            return "GROUP BY without the sharding key over several shards"
    calls = [
        node for target in select.target_list for node in walk_level(target) if type_name(node) == "FuncCall"
    ]
    for call in calls:
        if call.HasField("over"):
            return f"window function over several shards: {call_text(call)}"
        if level.groups is None and is_aggregate(call, context.names):
            return f"aggregate over several shards: {call_text(call)}"
    if level.always_row or (level.barrier and not select.distinct_clause):
        return "an aggregate or window function over several shards"
    if select.distinct_clause:
        return _in_distinct(context, level, keys)
    return None


def _in_distinct(context: Context, level: Level, keys: set[Variable]) -> str | None:
    if any(kind(node) for node in level.query.distinct_clause):
        return "DISTINCT ON over several shards"
    classes = Classes(_facts(context, level))
    listed = {
        classes.root(output.variable) for output in level.outputs.columns if output.variable is not None
    }
    return None if listed & keys else "DISTINCT without the sharding key over several shards"


def _keys(context: Context, level: Level) -> set[Variable]:
    """The classes of the keys of all sharded tables that are never NULL here."""
    classes = Classes(_facts(context, level))
    nullable = nulled(level.sources)
    return {
        classes.root(table.key)
        for table in _tables(level.sources)
        if table.key is not None and table.target.nature is Nature.SHARDED and table.entry not in nullable
    }


def _facts(context: Context, level: Level) -> Facts:
    return surviving_facts(level.sources, level.facts, context.variables)


def _tables(sources: list[Source]) -> list[Table]:
    found: list[Table] = []
    for source in sources:
        if isinstance(source, Join):
            found.extend(_tables([source.left, source.right]))
        elif isinstance(source, Table):
            found.append(source)
    return found


def _in_from(context: Context, level: Level) -> str | None:
    facts = _facts(context, level)
    joined: set[Variable] = set()
    try:
        for source in level.sources:
            joined = _meet(joined, _colocated(context, source, facts), facts)
    except NotColocated as error:
        return str(error)
    return None


def _colocated(context: Context, source: Source, facts: Facts) -> set[Variable]:
    """The keys by which the rows of a part of FROM lie on one shard; none for rows that are on every shard.

    Raises NotColocated.
    """
    if isinstance(source, Derived):
        raise NotColocated("a subquery, view or CTE in FROM over several shards")
    if isinstance(source, Table):
        return _table_keys(source)
    if isinstance(source, Opaque):
        if source.sublinks or not source.function:
            raise NotColocated("a relation of an unknown kind over several shards")
        return set()
    if source.sublinks:
        raise NotColocated("a subquery in ON over several shards")
    if source.kind is not JoinKind.INNER:
        facts = surviving_facts((source.left, source.right), (*facts, *source.facts), context.variables)
    left = _colocated(context, source.left, facts)
    right = _colocated(context, source.right, facts)
    kept_alone = {
        JoinKind.LEFT: not left and right,
        JoinKind.RIGHT: not right and left,
        JoinKind.FULL: bool(left) != bool(right),
    }.get(source.kind)
    if kept_alone:
        raise NotColocated("an outer join that keeps rows of a reference table over several shards")
    return _meet(left, right, facts)


def _table_keys(table: Table) -> set[Variable]:
    if table.sampled:
        raise NotColocated("TABLESAMPLE over several shards")
    if table.target.nature is not Nature.SHARDED:
        return set()
    if table.key is None:
        raise NotColocated(
            f'table "{table.target.name[1]}", whose key column cannot be compared, over several shards'
        )
    return {table.key}


def _meet(left: set[Variable], right: set[Variable], facts: Facts) -> set[Variable]:
    """Both sides' keys, provided that the rows of the two that meet are of one key."""
    classes = Classes(facts)
    if left and right and not {classes.root(one) for one in left} & {classes.root(other) for other in right}:
        raise NotColocated("a join of sharded tables that is not on the sharding key, over several shards")
    return left | right


def call_text(call: Node) -> str:
    """A function call in short, for messages: ``count(*)`` or ``sum(...)``."""
    return f"{strings(call.funcname)[-1]}({'*' if call.agg_star else '...' if call.args else ''})"

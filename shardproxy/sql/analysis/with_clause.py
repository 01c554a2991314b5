"""WITH: queries by name, built where they are referenced."""

from collections.abc import Callable

from shardproxy.errors import Refused
from shardproxy.sql.analysis.build_from import FromBuilder, SelectBuilder
from shardproxy.sql.analysis.context import Context
from shardproxy.sql.analysis.levels import CommonTable, Level
from shardproxy.sql.analysis.scope import Scope
from shardproxy.sql.analysis.tree import Node, inner, kind, strings

ChangeBuilder = Callable[[Context, Node, Scope], Level]


class WithClause:
    """The CTEs of one statement. Those that modify data are built at once; call :meth:`finish` for unused
    ones.
    """

    def __init__(
        self,
        context: Context,
        clause: Node,
        level: Level,
        build_select: SelectBuilder,
        build_change: ChangeBuilder | None = None,
    ) -> None:
        self._level = level
        self._from = FromBuilder(context, Scope(parent=level.scope), build_select)
        self._own: list[CommonTable] = []
        for node in clause.ctes:
            self._own.append(_common_table(node.common_table_expr, level.scope, recursive=clause.recursive))
            level.scope.tables[self._own[-1].name] = self._own[-1]
        for common in self._own:
            if kind(common.query) != "select_stmt":
                if build_change is None:
                    raise Refused("a data-modifying WITH query below the top level")
                common.level = build_change(context, inner(common.query), Scope(parent=common.scope))
                level.standalone.append(common.level)

    def finish(self) -> None:
        """Build the CTEs that nothing refers to: not run, but their tables are named all the same."""
        for common in self._own:
            if common.level is None and common.references == 0:
                self._level.standalone.append(self._from.common_level(common))


def _common_table(expression: Node, scope: Scope, *, recursive: bool) -> CommonTable:
    """A CTE whose body sees those before it, or all when WITH is RECURSIVE."""
    tables = scope.tables if recursive else dict(scope.tables)
    return CommonTable(
        expression.ctename,
        expression.ctequery,
        Scope(parent=scope.parent, tables=tables),
        strings(expression.aliascolnames),
        recursive=recursive,
        opaque_columns=expression.HasField("search_clause") or expression.HasField("cycle_clause"),
    )

"""A fan-out's statement on a shard that has rows which do not count there: those of a move in progress.

Only what may be concatenated comes here (``analysis/fan_out``): one level of tables and joins. Each sharded
table of a group that moves is restricted as for tenant isolation; what cannot be is refused.
"""

from collections.abc import Mapping
from typing import Final

from shardproxy.errors import Refused
from shardproxy.sql import grammar
from shardproxy.sql.analysis.names import Names, Nature, Target
from shardproxy.sql.analysis.tree import Node, type_name, walk
from shardproxy.sql.isolation import nodes
from shardproxy.sql.isolation.rewriter import Rewriter
from shardproxy.sql.isolation.written import write
from shardproxy.sql.schema import Schema
from shardproxy.topology.tables import Sharded, TableRules

HINT: Final = "Run it again when the move is over; shardproxy moves list says how far it is."
COLUMN: Final = "\0"
"""Stands for the key's column: no key has it in its text."""


def without_rows(
    text: str,
    excluded: Mapping[str, str],
    *,
    schema: Schema,
    rules: TableRules,
    search_path: tuple[str, ...],
) -> str:
    """``text`` without the rows that ``excluded`` says, for each group: an expression over :data:`COLUMN`.

    Only rows for which it is true are left out. Raises Refused for a table that cannot be restricted.
    """
    names = Names(schema, rules, search_path)
    tree = grammar.parse(text)
    rewriter = _Excluder(names, excluded)
    wanted = sum(
        rewriter.concerns(names.relation(node)) for node in walk(tree) if type_name(node) == "RangeVar"
    )
    for raw in tree.stmts:
        rewriter.statement(raw.stmt)
    if rewriter.count != wanted or rewriter.views:
        raise Refused("a read of several shards while rows of its tables move", hint=HINT)
    return write(tree) if rewriter.count else text


class _Excluder(Rewriter):
    def __init__(self, names: Names, excluded: Mapping[str, str]) -> None:
        super().__init__(names, marker="")
        self._excluded = excluded

    def concerns(self, target: Target) -> bool:
        rule = target.rule
        return target.nature is Nature.SHARDED and isinstance(rule, Sharded) and rule.group in self._excluded

    def restriction(self, key: str, rule: Sharded) -> Node:
        return nodes.condition(f"({self._excluded[rule.group].replace(COLUMN, key)}) IS NOT TRUE")

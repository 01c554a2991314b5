"""``isolate``: from the text of a statement to a template with places for the tenant."""

from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Final

from shardproxy.errors import Refused
from shardproxy.sql import grammar
from shardproxy.sql.analysis import analyze
from shardproxy.sql.analysis.names import Names
from shardproxy.sql.isolation.bound import check_bound, check_functions
from shardproxy.sql.isolation.rewriter import Rewriter
from shardproxy.sql.isolation.written import HINT, write
from shardproxy.sql.schema import Schema
from shardproxy.topology.keys import KeyFamily, from_text
from shardproxy.topology.tables import TableRules

_MARKERS: Final = {
    KeyFamily.TEXT: "~{}~",
    KeyFamily.INTEGER: "9{:06}",
    KeyFamily.UUID: "7e9a9700-0000-4000-8000-{:012}",
}


@dataclass(frozen=True, slots=True)
class Template:
    """A rewritten statement with places for the tenant: ``literal.join(parts)`` is what a server runs.

    ``literal`` is the tenant's key as a quoted SQL string, whatever its type. One part: nothing was
    rewritten.
    """

    parts: tuple[str, ...]


def isolate(text: str, *, schema: Schema, rules: TableRules, search_path: tuple[str, ...]) -> Template:
    """``text`` rewritten for whichever tenant the session has.

    Routing must have accepted the statement for the tenant: it has compared the keys that the text names.
    Raises Refused for what cannot be proven to stay with one tenant, StatementError as the analysis does.
    """
    try:
        return _isolate(text, Names(schema, rules, search_path), search_path)
    except RecursionError:
        raise grammar.too_deep() from None


def _isolate(text: str, names: Names, search_path: tuple[str, ...]) -> Template:
    family = names.rules.groups[names.rules.tenant_group]
    marker = _unused_marker(text, names.schema, family)
    tree = grammar.parse(text)
    rewriter = Rewriter(names, marker)
    for raw in tree.stmts:
        rewriter.statement(raw.stmt)
    for statement in (*(raw.stmt for raw in tree.stmts), *rewriter.views):
        check_functions(statement, names)
    rewritten = write(tree) if rewriter.count else text
    parts = tuple(rewritten.split(f"'{marker}'"))
    if len(parts) != rewriter.count + 1:
        raise Refused("a statement that cannot be written out again", hint=HINT)
    plan = partial(analyze, schema=names.schema, rules=names.rules, search_path=search_path)
    for before, after in zip(plan(text), plan(rewritten), strict=True):
        check_bound(before, after, names.rules, own=from_text(family, marker))
    return Template(parts)


def _unused_marker(text: str, schema: Schema, family: KeyFamily) -> str:
    """A key that occurs neither in the text nor in the definition of a view."""
    texts = [text, *(relation.definition for relation in schema.relations.values() if relation.definition)]
    markers = (_MARKERS[family].format(i) for i in count())
    return next(marker for marker in markers if not any(marker in used for used in texts))

"""``analyze``: what are the statements in this text, and where may each of them run?"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from shardproxy.errors import Refused, StatementError
from shardproxy.sql import grammar
from shardproxy.sql.analysis.context import Context, make_conditions
from shardproxy.sql.analysis.effects import effects_of
from shardproxy.sql.analysis.functions import FunctionUse
from shardproxy.sql.analysis.movable import is_movable
from shardproxy.sql.analysis.names import Names
from shardproxy.sql.analysis.queries import QUERIES, query
from shardproxy.sql.analysis.scope import Variables
from shardproxy.sql.analysis.survey import survey
from shardproxy.sql.analysis.tree import Node, inner, type_name
from shardproxy.sql.analysis.utility import utility
from shardproxy.sql.analysis.values import ValueReader
from shardproxy.sql.classify import command_tag
from shardproxy.sql.schema import Schema
from shardproxy.sql.statement import Kind, Reach, Statement
from shardproxy.topology.tables import TableRules

EMPTY = Statement(Kind.EMPTY, "", Reach.ANYWHERE, read_only=True)


def analyze(
    text: str,
    *,
    schema: Schema,
    rules: TableRules,
    search_path: tuple[str, ...],
    places: Mapping[int, int] | None = None,
) -> tuple[Statement, ...]:
    """The plans of the statements in ``text``, one each; a text without any has one of ``Kind.EMPTY``.

    ``search_path`` is as current_schemas(false) shows it: ``"$user"`` is expanded. ``places`` maps the UTF-8
    byte offset of each folded literal, and of a minus sign before it, to the literal's place; without it keys
    are :class:`Constant`. A statement that may run nowhere has ``Reach.REFUSED``; only a text that is wrong
    in itself raises (StatementError: 42601, 54001).
    """
    try:
        return _analyze(text, schema, rules, search_path, places)
    except RecursionError:
        raise grammar.too_deep() from None


def _analyze(
    text: str,
    schema: Schema,
    rules: TableRules,
    search_path: tuple[str, ...],
    places: Mapping[int, int] | None,
) -> tuple[Statement, ...]:
    statements = grammar.parse(text).stmts
    if not statements:
        return (replace(EMPTY, end=len(text)),)
    names = Names(schema, rules, search_path)
    spans = Spans(text)
    return tuple(_one(raw, text, spans, names, places) for raw in statements)


def _one(raw: Node, text: str, spans: "Spans", names: Names, places: Mapping[int, int] | None) -> Statement:
    start, end = spans.characters(raw.stmt_location, raw.stmt_len)
    node = inner(raw.stmt)
    try:
        statement = _plan(raw.stmt, node, text, text[start:end], names, places)
    except Refused as refusal:
        statement = refused(node, refusal)
    return replace(statement, start=start, end=end)


def _plan(
    wrapper: Node, node: Node, text: str, sql: str, names: Names, places: Mapping[int, int] | None
) -> Statement:
    variables = Variables()
    values = ValueReader(text, places, builtin_types_first=names.builtin_first)
    found = survey(node)
    use = FunctionUse()
    effects = effects_of(names.schema, names.rules)
    context = Context(
        names, variables, values, make_conditions(names, variables, values), found, use, effects
    )
    use.add_all(found, names)
    if type_name(node) in QUERIES:
        statement = query(context, node, alone=True)
        statement = replace(statement, movable=is_movable(context, node, statement))
    else:
        statement = utility(context, node, sql)
    context.check_accounted()
    if found.moment:
        statement = replace(statement, private=True)
    if context.unknown:
        statement = replace(
            statement,
            unless_temporary=does_not_exist(context.unknown[0], text),
            temporary=frozenset(range_var.relname for range_var in context.unknown),
            private=True,
            foldable=False,
        )
    return statement


def does_not_exist(range_var: Node, text: str) -> StatementError:
    """What PostgreSQL says of a relation that is not there.

    No shard is asked: one of them might have the table by now, and would answer for all.
    """
    name = f"{range_var.schemaname}.{range_var.relname}" if range_var.schemaname else range_var.relname
    position = len(text.encode()[: range_var.location].decode()) + 1
    return StatementError(f'relation "{name}" does not exist', sqlstate="42P01", position=position)


def refused(node: Node, refusal: Refused) -> Statement:
    """The plan of a statement that may run nowhere. Its errors are made anew for each client from
    ``refusal``.
    """
    return Statement(
        Kind.QUERY, command_tag(node), Reach.REFUSED, refusal=refusal.with_traceback(None), foldable=False
    )


@dataclass(frozen=True, slots=True)
class Spans:
    """Byte spans of the grammar as spans of characters of ``text``."""

    text: str

    def characters(self, location: int, length: int) -> tuple[int, int]:
        """The first character and the one after the last; length 0 means to the end of the text."""
        if self.text.isascii():
            return location, location + length if length else len(self.text)
        encoded = self.text.encode()
        start = len(encoded[:location].decode())
        end = len(encoded[: location + length].decode()) if length else len(self.text)
        return start, end

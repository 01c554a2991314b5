"""unnest() in FROM: rows made of arrays, as applications send them to insert or change many rows at once."""

from collections.abc import Sequence
from dataclasses import replace

from shardproxy.sql.analysis.context import Context
from shardproxy.sql.analysis.equivalence import Facts, OneOf
from shardproxy.sql.analysis.functions import user_functions
from shardproxy.sql.analysis.scope import Column
from shardproxy.sql.analysis.tree import Node, kind, strings, type_name
from shardproxy.sql.analysis.values import Form, Value
from shardproxy.topology.keys import KeyFamily


def unnested(context: Context, node: Node, entry: int) -> tuple[tuple[Column, ...], Facts] | None:
    """The columns of a RangeFunction that is unnest() of arrays, and which values they have one of; None for
    any other.
    """
    call = _call(context, node)
    if call is None:
        return None
    columns: list[Column] = []
    facts: list[OneOf] = []
    for argument, name in zip(call.args, _names(node, len(call.args)), strict=False):
        values = context.values.read_array(argument) or ()
        family = _family(values)
        columns.append(Column(name, context.variables.new(entry, family)))
        if family is not None:
            # The columns of shorter arrays are filled up.
            elements = tuple(replace(value, padded=len(call.args) > 1) for value in values)
            facts.append(OneOf(columns[-1].variable, elements))
    if node.ordinality:
        name = _names(node, len(columns) + 1)[len(columns)]
        columns.append(Column(name, context.variables.new(entry, None)))
    return tuple(columns), tuple(facts)


def _call(context: Context, node: Node) -> Node | None:
    if type_name(node) != "RangeFunction" or node.is_rowsfrom or node.coldeflist or len(node.functions) != 1:
        return None
    function, definition = node.functions[0].list.items
    if kind(function) != "func_call" or kind(definition):
        return None
    call = function.func_call
    names = strings(call.funcname)
    known = names == ("unnest",) or (names == ("pg_catalog", "unnest") and len(call.args) == 1)
    return call if known and call.args and not user_functions(names, context.names) else None


def _names(node: Node, count: int) -> list[str]:
    """The names of ``count`` columns: of the alias, else as chooseScalarFunctionAlias() has them."""
    alias = node.alias.aliasname if node.HasField("alias") else ""
    arrays = count - node.ordinality
    own = [alias or "unnest"] if arrays == 1 else ["unnest"] * arrays
    own += ["ordinality"] * (count - len(own))
    aliases = strings(node.alias.colnames)
    return [*aliases, *own[len(aliases) :]]


def _family(values: Sequence[Value]) -> KeyFamily | None:
    """The key family of an array's elements, None where they have none, or it is the client's to say."""
    if any(
        value.cast is None for value in values if value.form not in (Form.STRING, Form.INTEGER, Form.NULL)
    ):
        return None
    families = {value.family() for value in values}
    return families.pop() if len(families) == 1 else None

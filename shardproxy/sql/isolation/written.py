"""The proof that a rewritten tree was written out as the text that means it."""

from typing import Final

from shardproxy.errors import Refused
from shardproxy.sql import grammar
from shardproxy.sql.analysis.tree import walk
from shardproxy.sql.grammar import Tree

HINT: Final = "SET shardproxy.tenant works with such statements only where tenant_isolation is off."

_LOCATIONS: Final = frozenset(("location", "name_location", "stmt_location", "stmt_len")) | frozenset(
    ("list_start", "list_end", "rexpr_list_start", "rexpr_list_end")
)


def write(tree: Tree) -> str:
    """The text of ``tree``. Raises Refused if that text parses to another tree, apart from locations."""
    text = grammar.deparse(tree)
    if _without_locations(grammar.parse(text)) != _without_locations(tree):
        raise Refused("a statement that cannot be written out again", hint=HINT)
    return text


def _without_locations(tree: Tree) -> bytes:
    copy = type(tree)()
    copy.CopyFrom(tree)
    for message in walk(copy):
        for field, _ in message.ListFields():
            if field.name in _LOCATIONS:
                message.ClearField(field.name)
    return bytes(copy.SerializeToString(deterministic=True))

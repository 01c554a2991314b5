"""The proof that a fold was right: the grammar found the same constants at the same bytes.

The lexer and PostgreSQL's scanner are two programs. Before a shape is shared between statements, its first
statement is checked: every literal that the lexer took out is, in the parse tree, an A_Const of that kind and
value. A literal that is syntax and no constant (``float(10)``, ``int[3]``) fails it too, and is not folded.
"""

import re
from typing import Final

from google.protobuf.message import Message

from shardproxy.sql.grammar import Tree
from shardproxy.sql.lexer import MARKER_INT4, MARKER_INT8, MARKER_NUMERIC, MARKER_STRING, Folded

Constant = tuple[str, str | int]
"""The field of A_Const.val that is set, and its value. An integer beyond int4 is an ``fval``."""

_MARKER: Final = re.compile(b"\\0.", re.DOTALL)
_FIELDS: Final = {MARKER_INT4: "ival", MARKER_INT8: "fval", MARKER_NUMERIC: "fval", MARKER_STRING: "sval"}


def is_proven(folded: Folded, tree: Tree) -> bool:
    """Whether every literal of ``folded`` is a constant of ``tree``, the parse tree of the same text."""
    constants = _constants(tree)
    kinds = _MARKER.findall(folded.shape)
    return all(
        constants.get(offset) == _expected(kind, literal)
        or (sign >= 0 and constants.get(sign) == _expected(kind, literal, negated=True))
        for kind, literal, offset, sign in zip(
            kinds, folded.literals, folded.offsets, folded.signs, strict=True
        )
    )


def places(folded: Folded) -> dict[int, int]:
    """The place of each literal by the byte where the grammar finds it: its own, or that of its sign."""
    found = {sign: place for place, sign in enumerate(folded.signs) if sign >= 0}
    found.update((offset, place) for place, offset in enumerate(folded.offsets))
    return found


def _expected(kind: bytes, literal: str, negated: bool = False) -> Constant:
    """The constant that a literal is; a minus before a string moves its location, but negates it only
    later.
    """
    if negated and kind != MARKER_STRING:
        literal = "-" + literal
    return _FIELDS[kind], int(literal) if kind == MARKER_INT4 else literal


def _constants(tree: Message) -> dict[int, Constant]:
    """The value of each number and string of the tree by its byte."""
    found: dict[int, Constant] = {}
    stack = [tree]
    while stack:
        message = stack.pop()
        if message.DESCRIPTOR.name == "A_Const":
            _collect(message, found)
            continue
        for field, value in message.ListFields():
            if field.message_type is None:
                continue
            if field.is_repeated:
                stack.extend(value)
            else:
                stack.append(value)
    return found


def _collect(constant: Tree, found: dict[int, Constant]) -> None:
    kind = constant.WhichOneof("val")
    if kind in ("ival", "fval", "sval"):
        node = getattr(constant, kind)
        found[constant.location] = kind, getattr(node, kind)

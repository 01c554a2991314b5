"""Looking into a raw parse tree without naming every node type, so that none can hide another."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from shardproxy.sql.grammar import REPEATED, too_deep

Node = Any
"""A protobuf message of the parse tree: the wrapper ``Node`` or one of its variants."""

MAX_DEPTH: Final = 400
"""Messages nested in each other; analysis recurses about once for each."""

_SCALARS: Final = (int, str, bool, float)


def kind(node: Node) -> str:
    """The variant that a ``Node`` holds, for example "column_ref"; "" for none."""
    return node.WhichOneof("node") or ""


def inner(node: Node) -> Node:
    """The message that a ``Node`` wraps, None for an empty one."""
    variant = node.WhichOneof("node")
    return getattr(node, variant) if variant else None


def type_name(message: Node) -> str:
    """The node's type as PostgreSQL names it, for example "SelectStmt"."""
    return type(message).__name__


def strings(nodes: Iterable[Node]) -> tuple[str, ...]:
    """The parts of a qualified name. A part that is no string (``*``, a subscript) becomes ""."""
    return tuple(node.string.sval for node in nodes)


def children(message: Node) -> Iterator[Node]:
    """Every message directly inside ``message``; wrappers are seen through."""
    for _, value in message.ListFields():
        if isinstance(value, _SCALARS):
            continue
        for child in value if type(value) is REPEATED else (value,):
            if type_name(child) == "Node":
                variant = child.WhichOneof("node")
                if variant:
                    yield getattr(child, variant)
            else:
                yield child


def walk(message: Node) -> Iterator[Node]:
    """``message`` and all messages below it, parents first. StatementError beyond :data:`MAX_DEPTH`."""
    stack = [(message, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise too_deep()
        yield node
        stack.extend((child, depth + 1) for child in children(node))


def walk_level(message: Node) -> Iterator[Node]:
    """As :func:`walk`, staying on one query level: a SubLink is yielded and its query is not entered."""
    stack = [message]
    while stack:
        node = stack.pop()
        yield node
        if type_name(node) == "SubLink":
            if node.HasField("testexpr"):
                stack.append(inner(node.testexpr))
        else:
            stack.extend(children(node))


def enum_name(node: Node, field_name: str) -> str:
    """The name of an enumerator in a field of ``node``."""
    enum = type(node).DESCRIPTOR.fields_by_name[field_name].enum_type
    return str(enum.values_by_number[getattr(node, field_name)].name)

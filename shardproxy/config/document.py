"""YAML text to a tree of text, lists and mappings that knows where everything stands.

Scalars stay text whatever they look like: the option decides the type, so a tenant called ``NO``, ``007`` or
``1_000`` is that text, and ``off`` is no boolean. Only an empty value, ``~`` and ``null`` are special: None.
Explicit tags and merge keys are refused; aliases are expanded, with a bound on the whole.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml import events

from shardproxy.config.mistakes import START, Mistake, OptionPath, Position, dotted

MAX_NODES = 500_000
MAX_DEPTH = 32
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_QUOTED = re.compile(r"\s*(?:'[^'<]{2,}'|\"[^\"]{2,}\")")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # only its scanner and parser are used


@dataclass(slots=True)
class ScalarNode:
    """A scalar: its text, or None for an empty value."""

    path: OptionPath
    position: Position
    text: str | None


@dataclass(slots=True)
class ListNode:
    """A sequence."""

    path: OptionPath
    position: Position
    items: "list[Node]" = field(default_factory=list)


@dataclass(slots=True)
class MapNode:
    """A mapping. ``key_positions`` says where each key stands."""

    path: OptionPath
    position: Position
    entries: "dict[str, Node]" = field(default_factory=dict)
    key_positions: dict[str, Position] = field(default_factory=dict)


Node = ScalarNode | ListNode | MapNode


def plain(node: Node) -> Any:
    """The tree's values: dict, list, str and None."""
    if isinstance(node, ScalarNode):
        return node.text
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return {key: plain(value) for key, value in node.entries.items()}


def child(node: Node, step: str | int) -> Node | None:
    """What stands under a key or index, None when there is nothing."""
    if isinstance(node, MapNode):
        return node.entries.get(str(step)) if isinstance(step, str) else None
    if isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items):
        return node.items[step]
    return None


def position_of(root: Node, path: OptionPath) -> Position:
    """Where ``path`` stands in the file, or its nearest parent when it is not written there."""
    node = root
    for step in path:
        found = child(node, step)
        if found is None:
            break
        node = found
    return node.position


class DocumentError(Exception):
    """The text is no usable YAML; nothing behind this place was read."""

    def __init__(self, position: Position, path: OptionPath, message: str) -> None:
        super().__init__(message)
        self.position = position
        self.path = path
        self.message = message


def read_document(file: str, text: str) -> tuple[MapNode | None, list[Mistake]]:
    """The tree of the document in ``text`` (None: it cannot be read), and what is wrong with it as YAML."""
    builder = _Builder(file)
    try:
        root = builder.build(text)
    except DocumentError as error:
        fatal = Mistake(file, error.position, dotted(error.path), error.message)
        return None, [*builder.mistakes, fatal]
    return root, builder.mistakes


def _position(mark: Any) -> Position:
    return Position(mark.line + 1, mark.column + 1) if mark is not None else START


def _parse_events(text: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        # The problem may quote the text it stumbled over, which may be part of a password.
        problem = _QUOTED.sub("", error.problem or "cannot be read")
        hint = (
            "check the indentation, and quote values that contain ': ', ' #' or begin with one of @`%&*!|>{}["
        )
        raise DocumentError(_position(error.problem_mark), (), f"YAML syntax: {problem}; {hint}") from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position] if isinstance(error.position, int) else ""
        place = Position(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
        raise DocumentError(
            place, (), "a character that YAML does not allow; remove it or write it as \\x.."
        ) from None


class _Builder:
    """Builds the tree from the parser's events, without recursion."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.mistakes: list[Mistake] = []
        self._open: list[ListNode | MapNode] = []
        self._keys: list[str | None] = []  # of each open mapping: the key whose value comes next
        self._anchors: dict[str, Node] = {}
        self._anchors_of_open: list[str | None] = []
        self._nodes = 0
        self._root: Node | None = None

    def build(self, text: str) -> MapNode:
        for event in _parse_events(text):
            self._take(event)
        if self._root is None or (isinstance(self._root, ScalarNode) and self._root.text is None):
            return MapNode((), START)
        if not isinstance(self._root, MapNode):
            raise DocumentError(
                self._root.position, (), "the file must be a mapping of options, such as 'database: app'"
            )
        return self._root

    def _take(self, event: Any) -> None:
        place = _position(event.start_mark)
        if isinstance(event, events.DocumentStartEvent) and self._root is not None:
            raise DocumentError(place, (), "a second document begins here; keep one document in the file")
        if getattr(event, "tag", None) is not None:
            raise DocumentError(
                place, self._path(), "tags (!...) are not used here; remove it, or quote the value"
            )
        if isinstance(event, events.AliasEvent):
            self._take_alias(event, place)
        elif isinstance(event, events.ScalarEvent):
            self._take_scalar(event, place)
        elif isinstance(event, events.SequenceStartEvent):
            self._begin(ListNode(self._path(), place), event.anchor)
        elif isinstance(event, events.MappingStartEvent):
            self._begin(MapNode(self._path(), place), event.anchor)
        elif isinstance(event, events.CollectionEndEvent):
            self._end()

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1], MapNode) and self._keys[-1] is None

    def _path(self) -> OptionPath:
        if not self._open:
            return ()
        parent = self._open[-1]
        if isinstance(parent, ListNode):
            return (*parent.path, len(parent.items))
        key = self._keys[-1]
        return parent.path if key is None else (*parent.path, key)

    def _take_scalar(self, event: Any, place: Position) -> None:
        if self._awaits_key():
            self._take_key(event.value, place)
            return
        empty = event.implicit[0] and event.value in _NULLS  # a plain scalar
        node = ScalarNode(self._path(), place, None if empty else event.value)
        self._attach(node)
        if event.anchor is not None:
            self._anchors[event.anchor] = node

    def _take_key(self, key: str, place: Position) -> None:
        mapping = self._open[-1]
        assert isinstance(mapping, MapNode)
        if key == "<<":
            raise DocumentError(
                place, mapping.path, "merge keys (<<) are not supported; write the options out"
            )
        if key in mapping.key_positions:
            first = mapping.key_positions[key].line
            message = f"is given twice, first on line {first}; keep one"
            self.mistakes.append(Mistake(self.file, place, dotted((*mapping.path, key)), message))
        else:
            mapping.key_positions[key] = place
        self._keys[-1] = key

    def _take_alias(self, event: Any, place: Position) -> None:
        if self._awaits_key():
            raise DocumentError(
                place, self._path(), "a key cannot be an alias (*); quote it if it begins with *"
            )
        target = self._anchors.get(event.anchor)
        if target is None:
            raise DocumentError(
                place,
                self._path(),
                "an alias (*) without an anchor (&) before it; quote the value if it begins with *",
            )
        self._attach(self._copy(target, self._path(), place))

    def _copy(self, node: Node, path: OptionPath, place: Position) -> Node:
        """A copy of an anchored node, standing where its alias stands."""
        if isinstance(node, ScalarNode):
            self._count(place)
            return ScalarNode(path, place, node.text)
        self._count(place)
        if isinstance(node, ListNode):
            items = [self._copy(item, (*path, i), place) for i, item in enumerate(node.items)]
            return ListNode(path, place, items)
        entries = {key: self._copy(value, (*path, key), place) for key, value in node.entries.items()}
        return MapNode(path, place, entries, dict.fromkeys(entries, place))

    def _begin(self, node: ListNode | MapNode, anchor: str | None) -> None:
        if self._awaits_key():
            raise DocumentError(
                node.position, node.path, "a key must be text; quote it if it begins with [ or {"
            )
        if len(self._open) >= MAX_DEPTH:
            raise DocumentError(node.position, (), f"nested more than {MAX_DEPTH} levels deep")
        self._count(node.position)
        self._open.append(node)
        self._keys.append(None)
        self._anchors_of_open.append(anchor)

    def _end(self) -> None:
        node = self._open.pop()
        self._keys.pop()
        anchor = self._anchors_of_open.pop()
        if anchor is not None:
            self._anchors[anchor] = node
        self._attach(node)

    def _attach(self, node: Node) -> None:
        if isinstance(node, ScalarNode):
            self._count(node.position)
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        if isinstance(parent, ListNode):
            parent.items.append(node)
            return
        key = self._keys[-1]
        assert key is not None
        parent.entries.setdefault(key, node)
        self._keys[-1] = None

    def _count(self, place: Position) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise DocumentError(
                place, (), f"more than {MAX_NODES} values; is an alias (*) expanded too often?"
            )

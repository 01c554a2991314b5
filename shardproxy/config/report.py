"""Collects what is wrong with one file, finding the place of each mistake."""

from shardproxy.config.document import MapNode, child, position_of
from shardproxy.config.mistakes import Mistake, OptionPath, dotted


class Report:
    """The mistakes and warnings found in one file so far.

    Paths are those of the tree ``root``, whose lists may have lost items that could not be used; every node
    remembers the path it has in the file, and that is what is shown. ``unusable`` are the paths in the file
    of what was taken out.
    """

    def __init__(self, file: str, root: MapNode) -> None:
        self.file = file
        self.mistakes: list[Mistake] = []
        self.warnings: list[Mistake] = []
        self.unusable: list[OptionPath] = []
        self._root = root

    def mistake(self, path: OptionPath, message: str, *, at_key: bool = False) -> None:
        """Add a mistake at ``path``; ``at_key`` points at the key rather than at its value."""
        self.mistakes.append(self.place(path, message, at_key=at_key))

    def warning(self, path: OptionPath, message: str, *, at_key: bool = False) -> None:
        """Add something that works but should be looked at."""
        self.warnings.append(self.place(path, message, at_key=at_key))

    def place(self, path: OptionPath, message: str, *, at_key: bool = False) -> Mistake:
        """``message`` at ``path``, or at its nearest parent that is written in the file."""
        position = position_of(self._root, path)
        if at_key and path:
            parent = self._parent(path)
            position = parent.key_positions.get(str(path[-1]), position) if parent is not None else position
        return Mistake(self.file, position, dotted(self.original(path)), message)

    def original(self, path: OptionPath) -> OptionPath:
        """``path`` as it is in the file."""
        node = self._root
        shown: OptionPath = ()
        for depth, step in enumerate(path):
            found = child(node, step)
            if found is None:
                return (*shown, *path[depth:])
            node, shown = found, found.path  # type: ignore[assignment]
        return shown

    def _parent(self, path: OptionPath) -> MapNode | None:
        node = self._root
        for step in path[:-1]:
            found = child(node, step)
            if found is None:
                return None
            node = found  # type: ignore[assignment]
        return node if isinstance(node, MapNode) else None

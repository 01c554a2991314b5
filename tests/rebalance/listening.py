"""Doing something at a moment of a move: the report is called in the middle of it."""

from collections.abc import Callable

from shardproxy.rebalance.progress import Progress


class At:
    """A report that calls ``act`` once, when the move, which has a number, has come to ``step`` and said ``words``.

    The move does not go on before ``act`` has returned.
    """

    def __init__(self, step: str, act: Callable[[], object], words: str = "") -> None:
        self._step = step
        self._words = words
        self._act = act
        self.happened = False

    def __call__(self, progress: Progress) -> None:
        if self.happened or progress.move is None or progress.step != self._step:
            return
        if self._words in progress.what:
            self.happened = True
            self._act()

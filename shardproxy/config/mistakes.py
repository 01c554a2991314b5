"""A mistake in the configuration, with its place: ``file:line:column: key: what to do``."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from shardproxy.errors import ConfigError

OptionPath = tuple[str | int, ...]
"""Keys and list indexes (from 0) from the top of the file to a value."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Position(NamedTuple):
    """A place in the file; line and column count from 1, columns in characters."""

    line: int
    column: int


START = Position(1, 1)


def dotted(path: OptionPath) -> str:
    """``shards[1].primary``; keys that are not plain words are quoted: ``placements.'a.b'``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            shown = step if _PLAIN_KEY.fullmatch(step) else f"'{step:.80}'"
            text += f".{shown}" if text else shown
    return text


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake or warning. ``message`` says what to do and never contains a secret."""

    file: str
    position: Position
    key: str
    message: str

    def __str__(self) -> str:
        line, column = self.position
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}:{line}:{column}: {key}{self.message}"


def in_order(mistakes: Iterable[Mistake]) -> tuple[Mistake, ...]:
    """By position in the file, each once."""
    return tuple(sorted(dict.fromkeys(mistakes), key=lambda mistake: mistake.position))


class ConfigMistakes(ConfigError):
    """The configuration has ``mistakes``; the message lists all of them, one a line."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = in_order(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))

"""A configuration for people who may look at it: every option as text, and no secret."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shardproxy.config.mistakes import OptionPath, dotted
from shardproxy.config.model import Config, Section
from shardproxy.secret import HIDDEN, Secret


def shown(config: Config) -> list[tuple[str, str | None]]:
    """Each option with its value, None where it has none, in the order of the file's description."""
    return [(dotted(path), text) for path, text in _walk((), config)]


def _walk(path: OptionPath, value: Any) -> Iterator[tuple[OptionPath, str | None]]:
    match value:
        case Section():
            for name in type(value).model_fields:
                yield from _walk((*path, name), getattr(value, name))
        case dict():
            for name, each in value.items():
                yield from _walk((*path, name), each)
        case tuple() | list():
            for i, each in enumerate(value):
                yield from _walk((*path, i), each)
        case Secret():
            yield path, HIDDEN
        case bool():
            yield path, "true" if value else "false"
        case None | str() | int() | float() | Path():
            yield path, None if value is None else str(value)
        case _:
            raise TypeError(f"{dotted(path)}: {type(value).__name__} is not known to be no secret")

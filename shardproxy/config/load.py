"""The way in: a YAML file to a checked :class:`Config`, or every mistake in it at once."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shardproxy.config.document import ListNode, MapNode, Node, ScalarNode, child, plain, read_document
from shardproxy.config.explain import explain
from shardproxy.config.mistakes import START, ConfigMistakes, Mistake, OptionPath, Position, in_order
from shardproxy.config.model import Config
from shardproxy.config.passwords import PasswordSources, holds_plain_password, resolve, world_readable
from shardproxy.config.report import Report
from shardproxy.config.rules import check_rules
from shardproxy.config.rules.declared import declared

MAX_BYTES = 4 * 1024 * 1024

_log = logging.getLogger("shardproxy.config")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What reading one file gave. ``config`` is None, or not to be used, when there are ``mistakes``.

    ``report`` places further findings (those of ``check --live``) in the same file; None when it has no tree.
    """

    file: str
    config: Config | None
    mistakes: tuple[Mistake, ...]
    warnings: tuple[Mistake, ...] = ()
    report: Report | None = None


def load(path: str | Path, environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration in ``path``, its passwords read. Warnings are logged.

    Raises ConfigError listing every mistake, one ``file:line:column: key: what to do`` a line.
    """
    return checked(read(path, environment))


def checked(loaded: Loaded) -> Config:
    """What was read, if it can be used; as :func:`load`."""
    if loaded.mistakes or loaded.config is None:
        raise ConfigMistakes(loaded.mistakes)
    for warning in loaded.warnings:
        _log.warning("%s", warning)
    return loaded.config


def read(path: str | Path, environment: Mapping[str, str] = os.environ) -> Loaded:
    """Read and check ``path`` without raising; the result has mistakes and warnings in the file's order."""
    file, path = str(path), Path(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        return _unreadable(file, START, f"cannot be read ({error.strerror}); give a readable file with -c")
    if len(data) > MAX_BYTES:
        return _unreadable(file, START, f"is larger than {MAX_BYTES // 1024**2} MiB; make the file smaller")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        place = Position(before.count("\n") + 1, len(before) - before.rfind("\n"))
        return _unreadable(file, place, "is not UTF-8 here; save the file as UTF-8")
    loaded = read_text(text, file, PasswordSources(path.parent, environment))
    if loaded.config is not None and holds_plain_password(loaded.config) and world_readable(path):
        readable = Mistake(
            file,
            START,
            "",
            f"holds a password and everyone can read it; run: chmod o-r {file}, or use password_file",
        )
        return Loaded(file, loaded.config, loaded.mistakes, (readable, *loaded.warnings), loaded.report)
    return loaded


def read_text(text: str, file: str, sources: PasswordSources) -> Loaded:
    """As :func:`read`, for text that is already there; ``file`` is what mistakes are said to be in."""
    root, mistakes = read_document(file, text)
    if root is None:
        return Loaded(file, None, in_order(mistakes))
    names = declared(root)
    report = Report(file, root)
    report.mistakes += mistakes
    config = _Validation(root, report).run()
    if config is not None:
        config = resolve(config, sources, report)
        check_rules(config, names, report)
    return Loaded(file, config, in_order(report.mistakes), in_order(report.warnings), report)


def _unreadable(file: str, place: Position, message: str) -> Loaded:
    return Loaded(file, None, (Mistake(file, place, "", message),))


class _Validation:
    """Validates the tree, taking out what cannot be used until the rest can.

    So rules between options are checked although some option is wrong, and one run reports everything. What
    only went wrong because a part of it was taken out is not reported.
    """

    MAX_ROUNDS = 16  # each round takes out at least one level of what is wrong; the model is less deep
    STAND_INS: ClassVar[dict[str, Any]] = {
        "database": "?",
        "shards": [{"name": "unknown", "primary": "unknown"}],
    }

    def __init__(self, root: MapNode, report: Report) -> None:
        self._root = root
        self._report = report

    def run(self) -> Config | None:
        """The configuration without its unusable parts; stand-ins for what must not be missing at the top."""
        values = plain(self._root)
        for _ in range(self.MAX_ROUNDS):
            try:
                return Config.model_validate(values)
            except ValidationError as error:
                details = error.errors(include_url=False)
            doomed = {self._take(detail) for detail in _innermost(details)}
            for path in sorted(doomed - {()}, key=_last_first, reverse=True):
                self._remove(path)
            values = plain(self._root)
            if () in doomed:
                values = self.STAND_INS | values
        return None

    def _take(self, error: ErrorDetails) -> OptionPath:
        """Report the error unless it follows from an earlier one; returns the path to take out."""
        path: OptionPath = tuple(error["loc"])
        original = self._report.original(path)
        if not any(gone[: len(original)] == original for gone in self._report.unusable):
            self._report.mistake(path, explain(error), at_key=error["type"] == "extra_forbidden")
        return path[:-1] if error["type"] == "missing" else path

    def _remove(self, path: OptionPath) -> None:
        """Take out what is written at ``path``; of a path inside a short form, the short form."""
        parent: Node = self._root
        step = path[0]
        gone = child(parent, step)
        for following in path[1:]:
            if gone is None or isinstance(gone, ScalarNode):
                break
            parent, step, gone = gone, following, child(gone, following)
        if gone is None:
            return
        self._report.unusable.append(gone.path)
        if isinstance(parent, MapNode):
            del parent.entries[str(step)]
        elif isinstance(parent, ListNode):
            del parent.items[int(step)]


def _innermost(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without the errors of a whole that has errors inside, such as a list that is short of usable items."""
    paths = [tuple(detail["loc"]) for detail in details]
    outer = {path[:depth] for path in paths for depth in range(len(path))}
    return [detail for detail, path in zip(details, paths, strict=True) if path not in outer]


def _last_first(path: OptionPath) -> tuple[tuple[int, str], ...]:
    """Sorts list indexes as numbers, so that later items are taken out before earlier ones."""
    return tuple((step, "") if isinstance(step, int) else (-1, step) for step in path)

"""What can be said to the console, and reading it."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from shardproxy.errors import StatementError

MAX_TENANTS: Final = 10_000
MAX_MOVE: Final = 2**31 - 1


class View(StrEnum):
    """What SHOW shows."""

    HELP = "HELP"
    VERSION = "VERSION"
    SHARDS = "SHARDS"
    POOLS = "POOLS"
    CLIENTS = "CLIENTS"
    SIDECARS = "SIDECARS"
    MOVES = "MOVES"
    TENANTS = "TENANTS"
    MAP = "MAP"
    CONFIG = "CONFIG"


@dataclass(frozen=True, slots=True)
class Show:
    """``limit``: at most so many rows; None: the view's own default."""

    view: View
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class MoveTenants:
    """Move tenants, as their type's output function writes them, to a shard."""

    tenants: tuple[str, ...]
    target: str


@dataclass(frozen=True, slots=True)
class ResumeMove:
    """Go on with a move."""

    number: int


@dataclass(frozen=True, slots=True)
class AbortMove:
    """Undo a move."""

    number: int


@dataclass(frozen=True, slots=True)
class Reload:
    """Read the configuration again."""


Command: TypeAlias = Show | MoveTenants | ResumeMove | AbortMove | Reload

HELP: Final = (
    ("SHOW HELP", "what can be said here"),
    ("SHOW VERSION", "the version of this sidecar"),
    ("SHOW SHARDS", "every server: its role, whether it is used, how far it is behind"),
    ("SHOW POOLS", "server connections, and clients that wait for one"),
    ("SHOW CLIENTS", "who is connected to this sidecar"),
    ("SHOW SIDECARS", "every sidecar that has told the catalog of itself"),
    ("SHOW MOVES", "the newest moves"),
    ("SHOW TENANTS [LIMIT n]", "the largest tenants; reads every table of them on every shard"),
    ("SHOW MAP", "the newest versions of the map"),
    ("SHOW CONFIG", "the configuration in force, without secrets"),
)
ADMINS_HELP: Final = (
    ("MOVE TENANT 'a' [, 'b'] TO 'shard'", "move tenants to another shard while they are used"),
    ("RESUME MOVE n", "go on with a move that has stopped"),
    ("ABORT MOVE n", "undo a move, as long as its target does not own the rows"),
    ("RELOAD", "read the configuration file again"),
)

_TOKEN: Final = re.compile(r"\s*(?:'((?:[^']|'')*)'|([A-Za-z_]+)|([0-9]+)|([,;])|(\S))")
_HINT: Final = "SHOW HELP lists what can be said."


def parse(text: str) -> Command | None:
    """The one command in ``text``; None for nothing at all. Raises StatementError."""
    reader = _Reader(text)
    if reader.at_end():
        return None
    command = _command(reader)
    if not reader.at_end():
        raise reader.error()
    return command


def _command(reader: "_Reader") -> Command:
    match reader.word():
        case "SHOW":
            return _show(reader)
        case "MOVE":
            reader.expect("TENANT")
            return _move(reader)
        case "RESUME":
            reader.expect("MOVE")
            return ResumeMove(reader.number("a move's number", MAX_MOVE))
        case "ABORT":
            reader.expect("MOVE")
            return AbortMove(reader.number("a move's number", MAX_MOVE))
        case "RELOAD":
            return Reload()
    raise reader.unknown()


def _show(reader: "_Reader") -> Show:
    name = reader.word()
    if name not in View.__members__:
        raise reader.unknown()
    view = View(name)
    if view is View.TENANTS and reader.skip("LIMIT"):
        return Show(view, reader.number("a number of tenants", MAX_TENANTS))
    return Show(view)


def _move(reader: "_Reader") -> MoveTenants:
    tenants = [reader.string("a tenant")]
    while reader.skip(","):
        tenants.append(reader.string("a tenant"))
    reader.expect("TO")
    return MoveTenants(tuple(tenants), reader.string("a shard's name"))


class _Reader:
    """A cursor over the words of a text. Mutable: ``_at``, how many were read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_TOKEN.finditer(text.rstrip()))
        while self._tokens and self._tokens[-1][4] == ";":
            self._tokens.pop()
        self._at = 0

    def at_end(self) -> bool:
        return self._at == len(self._tokens)

    def word(self) -> str:
        """The next word, in capitals; empty where there is none."""
        if self.at_end() or self._tokens[self._at][2] is None:
            return ""
        self._at += 1
        return self._tokens[self._at - 1][2].upper()

    def skip(self, what: str) -> bool:
        """Read one word or sign if it comes next."""
        if self.at_end() or self._tokens[self._at][0].strip().upper() != what:
            return False
        self._at += 1
        return True

    def expect(self, what: str) -> None:
        if not self.skip(what):
            raise self.error()

    def string(self, what: str) -> str:
        if self.at_end() or self._tokens[self._at][1] is None:
            raise self.error(f"{what} is expected here, as a string in single quotes")
        self._at += 1
        return self._tokens[self._at - 1][1].replace("''", "'")

    def number(self, what: str, most: int) -> int:
        digits = None if self.at_end() else self._tokens[self._at][3]
        if digits is None or len(digits) > 10 or not 0 < int(digits) <= most:
            raise self.error(f"{what} is expected here, from 1 to {most}")
        self._at += 1
        return int(digits)

    def error(self, hint: str = _HINT) -> StatementError:
        """A syntax error at what comes next."""
        if self.at_end():
            return StatementError("syntax error at end of input", hint=hint, position=len(self._text) + 1)
        token = self._tokens[self._at]
        near = token[0].strip()
        position = token.end() - len(near) + 1
        return StatementError(f'syntax error at or near "{near}"', hint=hint, position=position)

    def unknown(self) -> StatementError:
        """What was begun is no command of the console."""
        return StatementError(
            "this is no command of the console",
            hint=f"{_HINT} Statements on data belong into the application's database.",
        )

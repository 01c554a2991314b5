"""Going through the tokens of a body."""

from dataclasses import dataclass
from typing import Final

from shardproxy.sql.grammar import Token

END: Final = Token("", "", "", 0, 0)
"""What comes after the last token."""


class NotUnderstood(Exception):
    """Nothing is known of the function; the first argument says why, in the user's words."""


@dataclass(slots=True)
class Cursor:
    """A place in the tokens of ``source``: ``at`` is the index of the next one."""

    source: bytes
    tokens: tuple[Token, ...]
    at: int = 0

    def look(self, ahead: int = 0) -> Token:
        """The next token, or one that comes later; END when there are no more."""
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else END

    def is_at(self, *wanted: str) -> bool:
        """Whether the next token is one of these keywords or symbols."""
        return is_any(self.look(), wanted)

    def accept(self, *wanted: str) -> bool:
        """Take the next token if it is one of these; whether it was."""
        found = self.is_at(*wanted)
        self.at += found
        return found

    def expect(self, *wanted: str) -> None:
        """Take the next token, which must be one of these."""
        if not self.accept(*wanted):
            raise NotUnderstood(
                f'it has "{self.look().text:.40}" where {" or ".join(wanted).upper()} is expected'
            )

    def name(self) -> str:
        """Take a name."""
        word = self.look().word
        if not word:
            raise NotUnderstood(f'it has "{self.look().text:.40}" where a name is expected')
        self.at += 1
        return word

    def until(self, *stops: str) -> tuple[Token, ...]:
        """The tokens up to one of ``stops`` outside parentheses, which is next then."""
        begin, depth = self.at, 0
        while depth or not self.is_at(*stops):
            text = self.look().text
            if not text or (text == ";" and not depth):
                raise NotUnderstood(f"it has no {' or '.join(stops).upper()} where one is expected")
            depth += (text in "([") - (text in ")]")
            self.at += 1
        return self.tokens[begin : self.at]

    def text(self, tokens: tuple[Token, ...]) -> str:
        """The source from the first of some adjacent tokens to the last, comments included."""
        return self.source[tokens[0].start : tokens[-1].end].decode() if tokens else ""


def is_any(token: Token, wanted: tuple[str, ...]) -> bool:
    """Whether a token is one of these keywords (in lower case) or symbols."""
    return (token.keyword or token.text) in wanted if token.text else False


def first(tokens: tuple[Token, ...], *wanted: str) -> int:
    """The index of the first of ``wanted`` outside parentheses, ``len(tokens)`` for none."""
    depth = 0
    for i, token in enumerate(tokens):
        if not depth and is_any(token, wanted):
            return i
        depth += (token.text in "([") - (token.text in ")]")
    return len(tokens)


def split(tokens: tuple[Token, ...]) -> list[tuple[Token, ...]]:
    """The parts between commas outside parentheses; one empty part of no tokens."""
    parts = []
    while (at := first(tokens, ",")) < len(tokens):
        parts.append(tokens[:at])
        tokens = tokens[at + 1 :]
    return [*parts, tokens]

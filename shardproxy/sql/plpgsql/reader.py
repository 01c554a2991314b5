"""Reads a body of PL/pgSQL into its pieces of SQL, its assignments and its variables.

PL/pgSQL finds the end of an expression by tokens, outside parentheses, and so does this reader, statement by
statement (manual, chapter 41).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from shardproxy.sql.grammar import Token
from shardproxy.sql.plpgsql.cursor import END, Cursor, NotUnderstood, first, is_any, split

Path = tuple[str, ...]
"""The parts of a name with dots, folded."""

_SQL: Final = ("select", "with", "insert", "update", "delete", "merge", "values", "table")
_LEVELS: Final = ("debug", "log", "info", "notice", "warning", "exception")
_BRANCHES: Final = ("elsif", "elseif", "else", "end")


@dataclass(slots=True)
class Reader(Cursor):
    """Reads one body. Its fields are what was found, see :class:`~shardproxy.sql.plpgsql.body.Body`."""

    pieces: list[str] = field(default_factory=list)
    assigned: set[Path] = field(default_factory=set)
    declared: set[str] = field(default_factory=set)
    returned: set[str] = field(default_factory=set)

    def sql(self, text: str) -> None:
        if not text:
            raise NotUnderstood("it has nothing where SQL is expected")
        self.pieces.append(text)

    def expression(self, tokens: tuple[Token, ...]) -> None:
        if not tokens:
            raise NotUnderstood("it has nothing where an expression is expected")
        self.pieces.append(f"SELECT {self.text(tokens)}")

    # --- blocks ---------------------------------------------------------------------------------------------

    def function(self) -> None:
        if any(token.text[:3].lower() == 'u&"' for token in self.tokens):
            raise NotUnderstood('it has a name written as U&"..."')
        if self.is_at("#"):
            raise NotUnderstood("it sets an option of the compiler")
        self.labels()
        self.block()
        self.accept(";")
        if self.at < len(self.tokens):
            raise NotUnderstood("it does not end with its block")

    def labels(self) -> None:
        while self.accept("<<"):
            self.name()
            self.expect(">>")

    def block(self) -> None:
        if self.accept("declare"):
            while not self.is_at("begin"):
                if not self.accept("declare"):
                    self.declaration()
        self.expect("begin")
        self.statements("end", "exception")
        if self.accept("exception"):
            while self.accept("when"):
                self.until("then")
                self.expect("then")
                self.statements("when", "end")
        self.expect("end")
        self.label()

    def label(self) -> None:
        if self.look().word:
            self.at += 1

    def declaration(self) -> None:
        self.declared.add(self.name())
        rest = self.until(";")
        self.expect(";")
        if any(token.keyword == "alias" for token in rest):
            raise NotUnderstood("it declares an ALIAS")
        if any(token.keyword == "cursor" for token in rest):
            at = first(rest, "for", "is")
            self.declared.update(token.word for token in rest[:at] if token.word)
            self.sql(self.text(rest[at + 1 :]))
            return
        at = first(rest, ":=", "=", "default")
        if at < len(rest):
            self.expression(rest[at + 1 :])

    # --- statements -----------------------------------------------------------------------------------------

    def statements(self, *ends: str) -> None:
        while not self.is_at(*ends):
            self.statement()

    def statement(self) -> None:
        self.labels()
        if self.is_at("declare", "begin"):
            self.block()
            self.expect(";")
        elif self.look().word and self.look(1).text in (":=", "=", ".", "["):
            self.assignment()
        elif self.is_at(*_SQL):
            self.statement_of_sql()
        else:
            word = self.look().keyword
            read = _STATEMENTS.get(word)
            if read is None:
                raise NotUnderstood(f"it runs {word.upper() or self.look().text:.40}")
            self.at += 1
            read(self)

    def assignment(self) -> None:
        self.assigned.add(self.path())
        self.expect(":=", "=")
        self.expression(self.until(";"))
        self.expect(";")

    def path(self) -> Path:
        """A variable, perhaps with fields and subscripts."""
        parts = [self.name()]
        while True:
            if self.accept("."):
                parts.append(self.name())
            elif self.accept("["):
                self.expression(self.until("]"))
                self.expect("]")
            else:
                return tuple(parts)

    def targets(self) -> None:
        self.assigned.add(self.path())
        while self.accept(","):
            self.assigned.add(self.path())

    def statement_of_sql(self) -> None:
        """A statement without the INTO that names variables; that of INSERT INTO and MERGE INTO is SQL's."""
        begin, before, into, depth = self.at, END, None, 0
        while depth or not self.is_at(";"):
            token = self.look()
            if not token.text:
                raise NotUnderstood("it has a statement without an end")
            if token.keyword == "into" and before.keyword not in ("insert", "merge"):
                if into is not None:
                    raise NotUnderstood("it has a statement with INTO twice")
                start = self.at
                self.at += 1
                self.accept("strict")
                self.targets()
                into, before = (start, self.at), END
                continue
            depth += (token.text in "([") - (token.text in ")]")
            before = token
            self.at += 1
        start, end = into or (self.at, self.at)
        self.sql(f"{self.text(self.tokens[begin:start])} {self.text(self.tokens[end : self.at])}".strip())
        self.expect(";")

    def on_if(self) -> None:
        self.condition("then")
        self.statements(*_BRANCHES)
        while self.accept("elsif", "elseif"):
            self.condition("then")
            self.statements(*_BRANCHES)
        if self.accept("else"):
            self.statements("end")
        self.end("if")

    def condition(self, stop: str) -> None:
        self.expression(self.until(stop))
        self.expect(stop)

    def end(self, *words: str) -> None:
        for word in ("end", *words):
            self.expect(word)
        self.label()
        self.expect(";")

    def on_case(self) -> None:
        tested = self.until("when")
        if tested:
            self.expression(tested)
        while self.accept("when"):
            self.condition("then")
            self.statements("when", "else", "end")
        if self.accept("else"):
            self.statements("end")
        self.end("case")

    def on_loop(self) -> None:
        self.statements("end")
        self.end("loop")

    def on_while(self) -> None:
        self.condition("loop")
        self.on_loop()

    def on_for(self) -> None:
        self.loop_variables()
        self.accept("reverse")
        rows = self.until("loop")
        self.expect("loop")
        at = first(rows, "..")
        if at < len(rows):
            step = at + 1 + first(rows[at + 1 :], "by")
            for bound in (rows[:at], rows[at + 1 : step], *([rows[step + 1 :]] if step < len(rows) else [])):
                self.expression(bound)
        elif rows and (rows[0].keyword in _SQL or rows[0].text == "("):
            self.sql(self.text(rows))
        elif len(rows) != 1 or not rows[0].word:
            raise NotUnderstood("it loops over what it runs with EXECUTE or over a cursor with arguments")
        self.on_loop()

    def loop_variables(self) -> None:
        self.declared.add(self.look().word)
        self.targets()
        self.expect("in")

    def on_foreach(self) -> None:
        self.targets()
        if self.accept("slice"):
            self.at += 1
        self.expect("in")
        self.expect("array")
        self.on_while()

    def on_exit(self) -> None:
        rest = self.rest()
        at = first(rest, "when")
        if at < len(rest):
            self.expression(rest[at + 1 :])

    def rest(self) -> tuple[Token, ...]:
        """The rest of a statement, which is read over."""
        tokens = self.until(";")
        self.expect(";")
        return tokens

    def on_return(self) -> None:
        rest = self.rest()
        if not rest:
            return
        match rest[0].keyword:
            case "query":
                if rest[1:2] and rest[1].keyword == "execute":
                    raise NotUnderstood("it runs EXECUTE")
                self.sql(self.text(rest[1:]))
            case "next":
                if rest[1:]:
                    self.expression(rest[1:])
            case _:
                self.returned.add(" ".join(token.word or token.text for token in rest))
                self.expression(rest)

    def on_raise(self) -> None:
        rest = self.rest()
        if rest and rest[0].keyword in _LEVELS:
            rest = rest[1:]
        at = first(rest, "using")
        message, *arguments = split(rest[:at])
        if len(message) > 2 or any(token.text in "([" for token in message):
            raise NotUnderstood("it has a RAISE that is not understood")
        for argument in arguments:
            self.expression(argument)
        for option in split(rest[at + 1 :]) if at < len(rest) else []:
            if len(option) < 3 or not is_any(option[1], (":=", "=")):
                raise NotUnderstood("it has a RAISE that is not understood")
            self.expression(option[2:])

    def on_assert(self) -> None:
        for argument in split(self.rest()):
            self.expression(argument)

    def on_perform(self) -> None:
        self.expression(self.rest())

    def on_get(self) -> None:
        self.accept("current", "stacked")
        self.expect("diagnostics")
        while True:
            self.assigned.add(self.path())
            self.expect(":=", "=")
            self.name()
            if not self.accept(","):
                break
        self.expect(";")

    def on_open(self) -> None:
        self.name()
        rest = self.rest()
        at = first(rest, "for")
        if rest and (at == len(rest) or rest[at + 1 : at + 2] == () or rest[at + 1].keyword not in _SQL):
            raise NotUnderstood("it opens a cursor with arguments or over what it runs with EXECUTE")
        if rest:
            self.sql(self.text(rest[at + 1 :]))

    def on_fetch(self) -> None:
        _check_direction(self.until("into"))
        self.expect("into")
        self.targets()
        self.expect(";")

    def on_move(self) -> None:
        _check_direction(self.rest())

    def on_null(self) -> None:
        self.expect(";")


_STATEMENTS: Final[Mapping[str, Callable[[Reader], None]]] = {
    "if": Reader.on_if,
    "case": Reader.on_case,
    "loop": Reader.on_loop,
    "while": Reader.on_while,
    "for": Reader.on_for,
    "foreach": Reader.on_foreach,
    "exit": Reader.on_exit,
    "continue": Reader.on_exit,
    "return": Reader.on_return,
    "raise": Reader.on_raise,
    "assert": Reader.on_assert,
    "perform": Reader.on_perform,
    "get": Reader.on_get,
    "open": Reader.on_open,
    "fetch": Reader.on_fetch,
    "move": Reader.on_move,
    "close": Reader.on_move,
    "null": Reader.on_null,
}
"""The statements that begin with a word of PL/pgSQL; those of SQL are in ``_SQL``."""


def _check_direction(tokens: tuple[Token, ...]) -> None:
    """The direction of FETCH and MOVE may have any expression: words and numbers run nothing."""
    if not all(token.word or token.text.isdecimal() or token.text == "-" for token in tokens):
        raise NotUnderstood("it moves a cursor by an expression")

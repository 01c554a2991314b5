# cython: annotation_typing=False
"""Folds the literals of a statement into places, so that statements that differ only in them share one plan.

One pass over the UTF-8 bytes, by PostgreSQL's lexical rules (manual, "Lexical Structure"; ``scan.l``) with
standard_conforming_strings on. Whatever is doubtful is not folded: None costs a plan of its own, a wrong fold
would cost a row. Not folded are: everything but queries and DML (elsewhere a constant may be syntax), several
statements in one text, ``B''``, ``X''``, ``N''``, ``U&''`` and ``U&""``, strings continued on a new line,
numbers with underscores or a radix, ``\\u`` and ``\\'`` in ``E''``, and what is no valid token.

A compiled leaf: C types are in ``lexer.pxd``, every index is checked before it is used.
"""

MARKER_INT4 = b"\0i"
MARKER_INT8 = b"\0l"
MARKER_NUMERIC = b"\0n"
MARKER_STRING = b"\0s"

_REFUSED, _SPACE, _WORD, _DIGIT, _PUNCTUATION, _SPECIAL = range(6)
_STATE_START, _STATE_OTHER, _STATE_WORD, _STATE_STRING, _STATE_MINUS = range(5)

_NEWLINE, _RETURN = 10, 13
_QUOTE, _DOUBLE_QUOTE, _DOLLAR, _BACKSLASH = 39, 34, 36, 92
_MINUS, _PLUS, _SLASH, _STAR, _DOT, _SEMICOLON, _OPEN, _AMPERSAND = 45, 43, 47, 42, 46, 59, 40, 38


def _classes() -> bytes:
    table = bytearray(256)
    for byte in b" \t\n\r\f":
        table[byte] = _SPACE
    for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_":
        table[byte] = _WORD
    for byte in range(0x80, 0x100):
        table[byte] = _WORD
    for byte in b"0123456789":
        table[byte] = _DIGIT
    for byte in b",()[]:+*%^<>=~!@#&|`?":
        table[byte] = _PUNCTUATION
    for byte in b"'\"$-/.;":
        table[byte] = _SPECIAL
    return bytes(table)


_CLASSES = _classes()
_FOLDED_STATEMENTS = frozenset(
    (b"select", b"insert", b"update", b"delete", b"merge", b"with", b"values", b"table")
)
# An integer after one of these says how many rows or which column: part of the shape, not a value of the
# user's.
_WORDS_BEFORE_KEPT_INTEGERS = frozenset((b"limit", b"offset", b"by"))
_INT4_MAX = 2147483647
_INT8_MAX = 9223372036854775807
_ESCAPES = {98: 8, 102: 12, 110: 10, 114: 13, 116: 9}  # b f n r t


class Folded:
    """A statement without its literals. Two texts with equal ``shape`` parse to trees that differ only in
    them.

    ``shape``: the text with each literal replaced by a two-byte marker of its kind (no text contains NUL),
    comments by a space, and the ends trimmed. ``literals``: their decoded texts, a number as it is written
    and without sign. ``offsets``: the byte where each begins, which is A_Const.location in the parse tree.
    ``signs``: the byte of the minus directly before it, else -1: the grammar moves A_Const.location there
    where that minus is a sign.
    """

    def __init__(
        self, shape: bytes, literals: tuple[str, ...], offsets: tuple[int, ...], signs: tuple[int, ...]
    ) -> None:
        self.shape = shape
        self.literals = literals
        self.offsets = offsets
        self.signs = signs


def fold(text: bytes) -> Folded | None:
    """The folded form of one statement, or None where it must be planned by its exact text."""
    if b"\0" in text:
        return None
    scan = _Scan(text)
    return scan.result() if scan.run() else None


class _Scan:
    """One pass over a text. A method that reads a token returns False to give up."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.view = text
        self.classes = _CLASSES
        self.size = len(text)
        self.at = 0  # the next byte to read
        self.kept = 0  # from here to ``at`` nothing is in ``parts`` yet
        self.state = _STATE_START  # what the previous token was
        self.token = 0  # where the previous token begins and ends
        self.token_end = 0
        self.known = False  # the first word was read, and it begins a statement that is folded
        self.ended = False  # a semicolon was read
        self.parts: list[bytes] = []
        self.literals: list[str] = []
        self.offsets: list[int] = []
        self.signs: list[int] = []

    def result(self) -> Folded:
        self._keep(self.size)
        shape = b"".join(self.parts).rstrip(b" \t\n\r\f;")
        return Folded(shape, tuple(self.literals), tuple(self.offsets), tuple(self.signs))

    def run(self) -> bool:
        while self.at < self.size:
            byte = self.view[self.at]
            kind = self.classes[byte]
            if kind == _SPACE:
                self.at += 1
            elif self._is_comment(byte):
                if not self._comment(byte):
                    return False
            elif kind == _REFUSED or (self.ended and byte != _SEMICOLON) or not self._token(byte, kind):
                return False
        return self.known

    def _token(self, byte: int, kind: int) -> bool:
        if self.state == _STATE_START:
            self.kept = self.at  # leading space is not part of the shape
        if kind == _WORD:
            return self._word()
        if not self.known and byte != _OPEN:
            return False
        if kind == _DIGIT:
            return self._number()
        if kind == _SPECIAL:
            return self._special(byte)
        return self._advance(_STATE_OTHER, self.at + 1)

    def _special(self, byte: int) -> bool:
        if byte == _QUOTE:
            return self._string(self.at)
        if byte == _DOUBLE_QUOTE:
            return self._quoted_name()
        if byte == _DOLLAR:
            return self._dollar()
        if byte == _DOT and self._class_at(self.at + 1) == _DIGIT:
            return self._number()
        if byte == _SEMICOLON:
            self.ended = True
        return self._advance(_STATE_MINUS if byte == _MINUS else _STATE_OTHER, self.at + 1)

    def _advance(self, state: int, end: int) -> bool:
        self.state = state
        self.token = self.at
        self.token_end = end
        self.at = end
        return True

    def _class_at(self, at: int) -> int:
        return self.classes[self.view[at]] if at < self.size else _REFUSED

    def _byte_at(self, at: int) -> int:
        return self.view[at] if at < self.size else -1

    def _keep(self, end: int) -> None:
        if end > self.kept:
            self.parts.append(self.view[self.kept : end])

    # Comments: a space to the grammar, so a space in the shape.

    def _is_comment(self, byte: int) -> bool:
        if byte == _MINUS:
            return self._byte_at(self.at + 1) == _MINUS
        return byte == _SLASH and self._byte_at(self.at + 1) == _STAR

    def _comment(self, byte: int) -> bool:
        end = self._line_comment_end() if byte == _MINUS else self._block_comment_end()
        if end < 0:
            return False
        if self.state != _STATE_START:
            self._keep(self.at)
            self.parts.append(b" ")
        self.at = self.kept = end
        return True

    def _line_comment_end(self) -> int:
        at = self.at + 2
        while at < self.size and self.view[at] != _NEWLINE and self.view[at] != _RETURN:
            at += 1
        return at

    def _block_comment_end(self) -> int:
        at = self.at + 2
        depth = 1
        while at < self.size - 1:
            if self.view[at] == _STAR and self.view[at + 1] == _SLASH:
                at += 2
                depth -= 1
                if depth == 0:
                    return at
            elif self.view[at] == _SLASH and self.view[at + 1] == _STAR:
                at += 2
                depth += 1
            else:
                at += 1
        return -1

    # Words and names.

    def _word(self) -> bool:
        end = self._word_end(self.at)
        if end - self.at == 1 and end < self.size:
            prefix = self.view[self.at] | 0x20
            follower = self.view[end]
            if follower == _QUOTE and (
                prefix == 101 or prefix == 98 or prefix == 120 or prefix == 110
            ):  # e b x n
                return prefix == 101 and self.known and self._string(end)
            if follower == _AMPERSAND and prefix == 117:  # u
                quote = self._byte_at(end + 1)
                if quote in (_QUOTE, _DOUBLE_QUOTE):
                    return False
        if not self.known:
            if self.view[self.at : end].lower() not in _FOLDED_STATEMENTS:
                return False
            self.known = True
        return self._advance(_STATE_WORD, end)

    def _word_end(self, at: int) -> int:
        while at < self.size:
            kind = self.classes[self.view[at]]
            if kind not in (_WORD, _DIGIT) and self.view[at] != _DOLLAR:
                break
            at += 1
        return at

    def _quoted_name(self) -> bool:
        end = self._closing(self.at + 1, _DOUBLE_QUOTE)
        return end >= 0 and self._advance(_STATE_OTHER, end)

    def _closing(self, at: int, quote: int) -> int:
        """The byte after the closing quote, where doubled quotes do not close; -1 without one."""
        while at < self.size:
            if self.view[at] == quote:
                if self._byte_at(at + 1) != quote:
                    return at + 1
                at += 1
            at += 1
        return -1

    # Strings.

    def _string(self, quote: int) -> bool:
        """``'...'``, or ``E'...'`` where ``quote``, the opening one, is not at ``at``."""
        if self.state == _STATE_STRING:
            return False  # perhaps a continuation of the string before
        escaped = quote > self.at
        end = self._escaped_closing(quote + 1) if escaped else self._closing(quote + 1, _QUOTE)
        if end < 0:
            return False
        content = self.view[quote + 1 : end - 1]
        if escaped:
            unescaped = _unescape(content)
            return unescaped is not None and self._fold_string(unescaped, end)
        return self._fold_string(content.replace(b"''", b"'"), end)

    def _escaped_closing(self, at: int) -> int:
        while at < self.size:
            if self.view[at] == _BACKSLASH:
                if self._byte_at(at + 1) == _QUOTE:
                    return -1  # allowed or not by backslash_quote
                at += 1
            elif self.view[at] == _QUOTE:
                if self._byte_at(at + 1) != _QUOTE:
                    return at + 1
                at += 1
            at += 1
        return -1

    def _dollar(self) -> bool:
        """A parameter, or a dollar-quoted string."""
        at = self.at + 1
        if self._class_at(at) == _DIGIT:
            while self._class_at(at) == _DIGIT:
                at += 1
            if self._class_at(at) == _WORD or self._byte_at(at) == _DOLLAR:
                return False
            return self._advance(_STATE_OTHER, at)
        if self.state == _STATE_STRING:
            return False
        while self._class_at(at) == _WORD or (self._class_at(at) == _DIGIT and at > self.at + 1):
            at += 1
        if self._byte_at(at) != _DOLLAR:
            return False
        start = at + 1
        delimiter = self.view[self.at : start]
        end = self.text.find(delimiter, start)
        return end >= 0 and self._fold_string(self.view[start:end], end + len(delimiter))

    def _fold_string(self, content: bytes, end: int) -> bool:
        try:
            self.literals.append(content.decode())
        except UnicodeDecodeError:
            return False
        return self._fold(MARKER_STRING, _STATE_STRING, end)

    # Numbers.

    def _number(self) -> bool:
        point_or_exponent = False
        at = self._digits_end(self.at)
        if self._byte_at(at) == _DOT:
            point_or_exponent = True
            at = self._digits_end(at + 1)
        if self._byte_at(at) | 0x20 == 101:  # e
            point_or_exponent = True
            at += 1
            if self._byte_at(at) == _PLUS or self._byte_at(at) == _MINUS:
                at += 1
            if self._class_at(at) != _DIGIT:
                return False
            at = self._digits_end(at)
        follower = self._byte_at(at)
        if self._class_at(at) == _WORD or follower in (_DOT, _DOLLAR):
            return False
        return self._fold_number(point_or_exponent, at)

    def _digits_end(self, at: int) -> int:
        while at < self.size and self.classes[self.view[at]] == _DIGIT:
            at += 1
        return at

    def _fold_number(self, point_or_exponent: bool, end: int) -> bool:
        marker = MARKER_NUMERIC
        digits = self.view[self.at : end].decode("ascii")
        if not point_or_exponent:
            if self._is_kept_integer():
                return self._advance(_STATE_OTHER, end)
            if end - self.at > 19:
                return False
            if end - self.at < 10:
                marker = MARKER_INT4
            else:
                value = int(digits)
                if value > _INT8_MAX:
                    return False
                marker = MARKER_INT4 if value <= _INT4_MAX else MARKER_INT8
        self.literals.append(digits)
        return self._fold(marker, _STATE_OTHER, end)

    def _is_kept_integer(self) -> bool:
        if self.state != _STATE_WORD or self.token_end - self.token > 6:
            return False
        return self.view[self.token : self.token_end].lower() in _WORDS_BEFORE_KEPT_INTEGERS

    def _fold(self, marker: bytes, state: int, end: int) -> bool:
        self.offsets.append(self.at)
        self.signs.append(self.token if self.state == _STATE_MINUS else -1)
        self._keep(self.at)
        self.parts.append(marker)
        self.kept = end
        return self._advance(state, end)


def _unescape(content: bytes) -> bytes | None:
    """The content of an ``E''`` string; None for ``\\u``, ``\\U`` and a NUL, which are left to the
    grammar.
    """
    if _BACKSLASH not in content:
        return content.replace(b"''", b"'")
    out = bytearray()
    at = 0
    while at < len(content):
        byte = content[at]
        at += 2 if byte in (_QUOTE, _BACKSLASH) else 1  # a quote in here is doubled
        if byte != _BACKSLASH:
            out.append(byte)
            continue
        code = content[at - 1]
        if code in b"uU":
            return None
        length = _digits_of_escape(content, at, code)
        if code == 120 and length:  # x
            byte = int(content[at : at + length], 16)
            at += length
        elif 48 <= code <= 55:  # 0 to 7
            byte = int(content[at - 1 : at + length], 8) & 0xFF
            at += length
        else:
            byte = _ESCAPES.get(code, code)
        if byte == 0:
            return None
        out.append(byte)
    return bytes(out)


def _digits_of_escape(content: bytes, at: int, code: int) -> int:
    """How many digits from ``at`` belong to a ``\\x`` or octal escape, whose first octal digit is
    ``code``.
    """
    digits = b"0123456789abcdefABCDEF" if code == 120 else b"01234567"
    length = 0
    while length < 2 and at + length < len(content) and content[at + length] in digits:
        length += 1
    return length

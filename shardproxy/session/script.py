"""Several statements as one text."""

from collections.abc import Iterable


def script(statements: Iterable[str]) -> str:
    """A text that runs ``statements`` one after another.

    Each semicolon stands on a line of its own: a statement may end in a ``--`` comment, which would swallow
    it and what follows.
    """
    return "".join(f"{sql}\n;" for sql in statements)

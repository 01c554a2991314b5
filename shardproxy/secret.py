"""A secret that cannot be printed by accident."""

from typing import Final

HIDDEN: Final = "********"


class Secret:
    """A password or key. ``str``, ``repr``, f-strings and logging show stars; only :meth:`reveal` shows
    the value.

    Equality works (so that a reload can see whether a password changed); pickling is refused.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself. Call it only where it is put on the wire or into a key derivation."""
        return self._value

    def __str__(self) -> str:
        return HIDDEN

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")

"""What is known to be equal: variables (columns of one occurrence of a relation) with each other and with
values.

A fact about equality is strict: it does not hold where one of its variables is NULL.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from shardproxy.sql.analysis.values import Value

Variable = int
"""A column of one occurrence of a relation in the statement; numbered by :class:`~.scope.Variables`."""


@dataclass(frozen=True, slots=True, eq=False)
class Equal:
    """Two variables of the same key family are equal."""

    left: Variable
    right: Variable

    def variables(self) -> tuple[Variable, ...]:
        """The variables that cannot be NULL where the fact holds."""
        return (self.left, self.right)


@dataclass(frozen=True, slots=True, eq=False)
class OneOf:
    """A variable equals one of some values."""

    variable: Variable
    values: tuple[Value, ...]

    def variables(self) -> tuple[Variable, ...]:
        """The variables that cannot be NULL where the fact holds."""
        return (self.variable,)


@dataclass(frozen=True, slots=True, eq=False)
class Same:
    """Two names of one value, perhaps NULL: a derived table's column, and what its query puts there."""

    left: Variable
    right: Variable

    def variables(self) -> tuple[Variable, ...]:
        """None: it holds for NULL as well."""
        return ()


Fact = Equal | OneOf | Same
Facts = tuple[Fact, ...]


class Classes:
    """The equivalence classes that follow from some facts."""

    __slots__ = ("_parents", "_values")

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._parents: dict[Variable, Variable] = {}
        self._values: dict[Variable, list[tuple[Value, ...]]] = {}
        choices = []
        for fact in facts:
            if isinstance(fact, OneOf):
                choices.append(fact)
            else:
                self._parents[self.root(fact.left)] = self.root(fact.right)
        for choice in choices:
            self._values.setdefault(self.root(choice.variable), []).append(choice.values)

    def root(self, variable: Variable) -> Variable:
        """The representative of the variable's class."""
        while (parent := self._parents.get(variable, variable)) != variable:
            variable = parent
        return variable

    def values(self, variable: Variable) -> list[tuple[Value, ...]]:
        """Each list of values of which the variable has one; the shortest first."""
        return sorted(self._values.get(self.root(variable), ()), key=_preference)


def _preference(values: tuple[Value, ...]) -> tuple[int, bool]:
    return len(values), any(value.is_array for value in values)

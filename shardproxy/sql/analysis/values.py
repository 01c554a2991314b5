"""Expressions whose value is known before a row is read: constants and parameters, seen through harmless
casts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from shardproxy.sql.analysis.tree import Node, inner, kind, strings
from shardproxy.sql.statement import Constant, KeySource, Literal, Parameter
from shardproxy.topology.key_arrays import array_from_text
from shardproxy.topology.keys import InvalidKey, KeyFamily, from_text

CAST_FAMILIES: Final[Mapping[str, KeyFamily]] = {
    "int2": KeyFamily.INTEGER,
    "int4": KeyFamily.INTEGER,
    "int8": KeyFamily.INTEGER,
    "text": KeyFamily.TEXT,
    "varchar": KeyFamily.TEXT,
    "uuid": KeyFamily.UUID,
}
"""Casting a value of a family to one of these types of the same family keeps what it is equal to."""

_INT8: Final = range(-(2**63), 2**63)


class Form(Enum):
    """How a value is written; decides which keys it can be compared with."""

    NULL = auto()
    INTEGER = auto()  # 7: an int4 or int8
    STRING = auto()  # '7': of unknown type until it is compared
    PARAMETER = auto()  # $1
    ARRAY_PARAMETER = auto()  # the elements of $1
    ARRAY_STRING = auto()  # the elements of '{7,8}'


@dataclass(frozen=True, slots=True)
class Value:
    """A constant or parameter. ``cast`` is the family it was cast to; ``place`` that of a folded literal.

    ``length``: it was cast to varchar(length), which cuts off what is longer. ``padded``: some rows may have
    NULL in its place.
    """

    form: Form
    text: str = ""
    number: int = 0
    cast: KeyFamily | None = None
    place: int | None = None
    negative: bool = False
    length: int | None = None
    padded: bool = False

    @property
    def is_array(self) -> bool:
        """Whether the value stands for any number of keys."""
        return self.form in (Form.ARRAY_PARAMETER, Form.ARRAY_STRING)

    def family(self) -> KeyFamily:
        """The family of the column that a subquery returning this value has; unknown becomes text."""
        if self.cast is not None:
            return self.cast
        return KeyFamily.INTEGER if self.form is Form.INTEGER else KeyFamily.TEXT

    def suits(self, family: KeyFamily) -> bool:
        """Whether comparing with a key of ``family`` uses that family's own equality (or is an error)."""
        if self.cast not in (None, family):
            return False
        return self.form is not Form.INTEGER or family is KeyFamily.INTEGER

    def sources(self, family: KeyFamily) -> tuple[KeySource, ...]:
        """The key sources of this value. A constant that is not of the key's type has none: every server
        refuses it.
        """
        match self.form:
            case Form.NULL:
                return (Constant(None),)
            case Form.PARAMETER:
                return (Parameter(self.number),)
            case Form.ARRAY_PARAMETER:
                return (Parameter(self.number, array=True),)
        if self.place is not None:
            return (Literal(self.place, self.negative),)
        try:
            if self.form is Form.ARRAY_STRING:
                return tuple(Constant(key) for key in array_from_text(family, self.text))
            return (Constant(from_text(family, self.text)),)
        except InvalidKey:
            return ()


class ValueReader:
    """Reads values from the tree of one text.

    ``places`` maps the bytes of folded literals, and of their minus signs, to their places; None: the plan is
    for this exact text. ``foldable`` becomes False when another literal in the same place would have been
    read differently. (Whether a number is an integer of 64 bits does not count: such literals fold apart.)
    """

    def __init__(
        self, text: str, places: Mapping[int, int] | None, *, builtin_types_first: bool = True
    ) -> None:
        self._text = text.encode()
        self._places = places
        self._builtin_types_first = builtin_types_first
        self.foldable = True

    def read(self, node: Node) -> Value | None:
        """The value of an expression; None when it has none before execution, or a type that no key compares
        with.
        """
        match kind(node):
            case "a_const":
                return self._constant(node.a_const)
            case "param_ref":
                return Value(Form.PARAMETER, number=node.param_ref.number) if node.param_ref.number else None
            case "type_cast":
                value = self.read(node.type_cast.arg)
                return value and self._cast(value, node.type_cast.type_name)
        return None

    def read_array(self, node: Node) -> tuple[Value, ...] | None:
        """The values of the elements of an array: ARRAY[...], a parameter or a string, perhaps cast."""
        match kind(node):
            case "a_array_expr":
                return self.read_all(node.a_array_expr.elements)
            case "param_ref":
                return (Value(Form.ARRAY_PARAMETER, number=node.param_ref.number),)
            case "a_const" if node.a_const.WhichOneof("val") == "sval":
                self.foldable = False
                return (Value(Form.ARRAY_STRING, text=node.a_const.sval.sval),)
            case "type_cast":
                values = self.read_array(node.type_cast.arg)
                return (
                    None if values is None else self.cast_all(values, node.type_cast.type_name, dimensions=1)
                )
        return None

    def read_all(self, nodes: Node) -> tuple[Value, ...] | None:
        """The values of all expressions, None when one of them has none."""
        values = [self.read(node) for node in nodes]
        known = tuple(value for value in values if value is not None)
        return known if len(known) == len(values) else None

    def cast_all(
        self, values: Sequence[Value], type_name: Node, dimensions: int = 0
    ) -> tuple[Value, ...] | None:
        """All ``values`` cast to a type, None where that may change what one of them is equal to."""
        converted = [self._cast(value, type_name, dimensions) for value in values]
        return tuple(value for value in converted if value) if all(converted) else None

    def _cast(self, value: Value, type_name: Node, dimensions: int = 0) -> Value | None:
        """``value`` cast to a type, as :func:`cast`; to varchar(n) too, which cuts what is longer."""
        length = self.cast_length(type_name, dimensions)
        if length is None:
            return cast(value, self.cast_family(type_name, dimensions))
        self.foldable = False
        converted = cast(value, KeyFamily.TEXT)
        if converted is None:
            return None
        if converted.form is Form.STRING and converted.place is None:
            return replace(converted, text=converted.text[:length])
        return replace(converted, length=min(length, converted.length or length))

    def cast_length(self, type_name: Node, dimensions: int = 0) -> int | None:
        """The n of a cast to varchar(n), None for any other type."""
        is_varchar = strings(type_name.names) == ("pg_catalog", "varchar")
        if not is_varchar or len(type_name.array_bounds) != dimensions or len(type_name.typmods) != 1:
            return None
        return read_integer(type_name.typmods[0])

    def cast_family(self, type_name: Node, dimensions: int = 0) -> KeyFamily | None:
        """The key family of the type cast to, None for any other type and for one with a length."""
        names = strings(type_name.names)
        if len(names) == 2 and names[0] == "pg_catalog":
            names = names[1:]
        elif len(names) != 1 or not self._builtin_types_first:
            return None
        if (
            type_name.typmods
            or type_name.setof
            or type_name.pct_type
            or len(type_name.array_bounds) != dimensions
        ):
            return None
        return CAST_FAMILIES.get(names[0])

    def _constant(self, constant: Node) -> Value | None:
        if constant.isnull:
            return Value(Form.NULL)
        match constant.WhichOneof("val"):
            case "ival":
                return self._placed(Value(Form.INTEGER, str(constant.ival.ival)), constant.location)
            case "fval":
                text = constant.fval.fval
                if text.lstrip("-").isdecimal() and int(text[:30]) in _INT8:
                    return self._placed(Value(Form.INTEGER, str(int(text))), constant.location)
            case "sval":
                return self._placed(Value(Form.STRING, constant.sval.sval), constant.location)
        return None

    def _placed(self, value: Value, location: int) -> Value:
        """The value as a folded literal. The grammar finds a negative number at its minus sign."""
        if self._places is None:
            return value
        place = self._places.get(location)
        if place is None:
            self.foldable = False
            return value
        return replace(value, place=place, negative=self._text[location : location + 1] == b"-")


def cast(value: Value, family: KeyFamily | None) -> Value | None:
    """``value`` cast to a type of ``family``; None when that may change what it is equal to."""
    if family is None or value.cast not in (None, family):
        return None
    if value.form is Form.INTEGER and family is not KeyFamily.INTEGER:
        return None
    return replace(value, cast=family)


def read_integer(node: Node) -> int | None:
    """The value of an integer constant such as the 1 in ``ORDER BY 1``, None for anything else."""
    constant = inner(node) if kind(node) == "a_const" else None
    return constant.ival.ival if constant is not None and constant.WhichOneof("val") == "ival" else None

"""Durations and sizes: numbers with PostgreSQL's units, each with its allowed range.

A duration is seconds (float), written ``30s``, ``500ms``, ``2min`` or a plain number of seconds. A size is
bytes (int), written ``64MB`` (units are powers of 1024, as in PostgreSQL) or a plain number of bytes.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from shardproxy.config.model.section import refuse

OFF = "off"
"""What is written where an optional limit has no value; the model holds None."""

_SECONDS = {
    "us": Fraction(1, 1_000_000),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "min": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86_400),
}
_BYTES = {name: Fraction(1024**power) for power, name in enumerate(("B", "kB", "MB", "GB", "TB"))}
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A number with a unit, from ``minimum`` to ``maximum`` (base unit); ``optional`` also admits ``off``."""

    minimum: float
    maximum: float
    optional: bool = False

    UNITS: ClassVar[dict[str, Fraction]]
    BASE: ClassVar[str]
    EXAMPLE: ClassVar[str]

    def parse(self, value: Any) -> float | int | None:
        if self.optional and (value is None or value == OFF):
            return None
        amount = self._amount(value)
        if not self.minimum <= amount <= self.maximum:
            low, high = self.show(self.minimum), self.show(self.maximum)
            refuse(f"{self._quote(value)} is out of range: give {low} to {high}")
        return self._number(amount)

    def _amount(self, value: Any) -> Fraction:
        if isinstance(value, int | float) and not isinstance(value, bool) and value == value:  # noqa: PLR0124
            return Fraction(value) if abs(value) != float("inf") else Fraction(10**30)
        match = _NUMBER.fullmatch(value.strip()[:40]) if isinstance(value, str) else None
        unit = self.UNITS.get(match[2] or self.BASE) if match else None
        if match is None or unit is None:
            units = ", ".join(self.UNITS)
            off = f", or {OFF}" if self.optional else ""
            refuse(
                f"{self._quote(value)} is not understood: give a number with a unit ({units}), "
                f"such as {self.EXAMPLE}{off}"
            )
        return Fraction(match[1]) * unit

    @staticmethod
    def _quote(value: object) -> str:
        return f"'{value:.40}'" if isinstance(value, str) else "the value"

    def _number(self, amount: Fraction) -> float | int:
        raise NotImplementedError

    @classmethod
    def show(cls, amount: float) -> str:
        """``amount`` (base unit) as a user would write it, in the largest unit that divides it."""
        exact = Fraction(amount).limit_denominator(1_000_000)
        for name, unit in reversed(cls.UNITS.items()):
            if exact and (exact / unit).denominator == 1:
                return f"{exact // unit}{name}"
        return f"{amount:g}{cls.BASE}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        units = "|".join(self.UNITS)
        forms: list[JsonSchemaValue] = [
            {"type": "number", "minimum": self.minimum, "maximum": self.maximum},
            {"type": "string", "pattern": rf"^[0-9]+(\.[0-9]+)?\s*({units})?$"},
        ]
        return {"anyOf": [*forms, {"const": OFF}] if self.optional else forms}


@dataclass(frozen=True, slots=True)
class Duration(_Quantity):
    """Annotation for seconds (float): ``Annotated[float, Duration(0.01, 60)]``."""

    UNITS = _SECONDS
    BASE = "s"
    EXAMPLE = "30s"

    def _number(self, amount: Fraction) -> float:
        return float(amount)


@dataclass(frozen=True, slots=True)
class Size(_Quantity):
    """Annotation for bytes (int): ``Annotated[int, Size(1024, 2**30)]``."""

    UNITS = _BYTES
    BASE = "B"
    EXAMPLE = "64MB"

    def _number(self, amount: Fraction) -> int:
        return int(amount)


MINUTE = 60.0
HOUR = 3600.0
DAY = 86_400.0
KB = 1024
MB = 1024**2
GB = 1024**3

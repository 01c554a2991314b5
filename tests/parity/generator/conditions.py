"""Random conditions and values: what binds a key, and what only looks as if it did."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from tests.parity.generator.tables import KEYS, Column

Subquery = Callable[[Sequence[Column], str], str]
"""Makes a query with one column of a type, which may refer to some outer columns."""

_FOCUSES: Final = (("%(t)s", "'acme'"), ("%(u)s", "'globex'"), ("%(w)s", "'wayne'"))
_INTS: Final = ("1", "2", "3", "5", "7", "0", "-1")


class Conditions:
    """Makes conditions over columns. ``discipline`` (0 to 1): how often they are what an application would write."""

    def __init__(self, random: Random, *, of_one_tenant: bool = False) -> None:
        self.random = random
        self._focuses = _FOCUSES[:1] if of_one_tenant else _FOCUSES
        self.discipline = 0.5
        self._focus = _FOCUSES[0]

    def start(self, discipline: float) -> None:
        """For the next statement: how sober it is, and a tenant that it is mostly about."""
        self.discipline = discipline
        self._focus = self.random.choice(self._focuses)

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self.random.random() < probability

    def pick(self, *choices: str) -> str:
        """One of them."""
        return self.random.choice(choices)

    # --- values ---------------------------------------------------------------------------------------------

    def value(self, type_name: str, *, other: bool = False) -> str:
        """A constant or parameter of a type; for keys mostly the same one, unless ``other``."""
        focused = self.chance(0.3 if other else 0.5 + self.discipline / 2)
        match type_name:
            case "tenant" | "text":
                return self.pick(*self._focus) if focused else self._tenant()
            case "device":
                return self.pick("%(d)s", "1") if focused else self._device()
            case "doc":
                return "%(doc)s" if focused else "'c7fce569-574e-54bb-bec5-879fe2c1f3d5'"
            case "int":
                return self.pick(*_INTS)
            case "num":
                return self.pick("100", "10.5", "500")
            case "bool":
                return self.pick("true", "false")
            case "time":
                return "'2025-03-01'::timestamptz"
        return "0.5"

    def _tenant(self) -> str:
        return self.pick(
            *("%(w)s", "%(u)s", "%(u)s", "%(v)s", "'globex'", "'nobody'", "NULL", "'acme'::text", "E'acme'"),
            *("%(nil)s", "%(t)s::varchar(40)"),
            *("'acme'::varchar", "lower('ACME')", "'acme '", "'ACME'", "CAST('globex' AS text)", "$$acme$$"),
            *(
                "('acme')",
                "'ac' || 'me'",
                "U&'acm\\0065'",
                "text 'initech'",
                "'acmexyz'::varchar(4)",
                "'globexyz'::varchar(6)",
            ),
        )

    def _device(self) -> str:
        return self.pick(
            *(
                "2",
                "%(e)s",
                "%(e)s",
                "3",
                "-1",
                "- 1",
                "NULL",
                "1::bigint",
                "1.0",
                "'1'",
                "1 + 0",
                "2::smallint",
            ),
            *("(1)", "abs(-1)", "'2'::int", "1e0", "5", "(-1)", "-(1)"),
        )

    def values(self, type_name: str) -> str:
        """Several constants with commas between them."""
        return ", ".join(self.value(type_name, other=True) for _ in range(self.random.choice((1, 2, 2, 3))))

    # --- conditions -----------------------------------------------------------------------------------------

    def key_is(self, column: Column) -> str:
        """A condition that binds a key as an application would write it."""
        value = self.value(column.type)
        return self.pick(
            f"{column.name} = {value}",
            f"{column.name} = {value}",
            f"{column.name} = {value}",
            f"{value} = {column.name}",
            f"{column.name} IN ({value})",
            f"{column.name} = {value} AND {column.name} = {value}",
        )

    def condition(self, visible: Sequence[Column], outer: Sequence[Column], subquery: Subquery | None) -> str:
        """Some condition over the columns."""
        roll = self.random.random()
        if roll < 0.25 and subquery is not None:
            return self._with_subquery(visible, outer, subquery)
        if roll < 0.4:
            return self._plain(visible)
        if roll < 0.6:
            return self._columns_equal(visible, [*visible, *outer])
        keys = [column for column in visible if column.type in KEYS] or list(visible)
        return self.about_key(self.random.choice(keys), visible, outer, subquery)

    def _plain(self, visible: Sequence[Column]) -> str:
        column = self.random.choice(visible)
        value = self.value(column.type)
        return self.pick(
            f"{column.name} IS NOT NULL",
            f"{column.name} IS NULL",
            f"{column.name} <> {value}",
            f"{column.name} >= {value}",
            "true",
            "false",
            "NULL",
            f"{column.name} IN ({value}, {value})",
            f"NOT ({column.name} = {value})",
        )

    def _columns_equal(self, visible: Sequence[Column], others: Sequence[Column]) -> str:
        column = self.random.choice(visible)
        alike = [other for other in others if _compares(column.type, other.type) and other != column]
        if not alike:
            return self._plain(visible)
        other = self.random.choice(alike)
        return self.pick(
            f"{column.name} = {other.name}",
            f"{column.name} = {other.name}",
            f"{other.name} = {column.name}",
            f"{column.name} IS NOT DISTINCT FROM {other.name}",
            f"({column.name}) = ({other.name})",
            f"({column.name}, 1) = ({other.name}, 1)",
        )

    def about_key(
        self, column: Column, visible: Sequence[Column], outer: Sequence[Column], subquery: Subquery | None
    ) -> str:
        """A condition that compares a key in one of many ways; few of them bind it."""
        name, value, other = column.name, self.value(column.type), self.value(column.type, other=True)
        rest = self._plain(visible)
        forms = [
            f"{name} IN ({self.values(column.type)})",
            f"{name} = ANY (ARRAY[{self.values(column.type)}])",
            f"{name} = {value} OR {name} = {other}",
            f"{name} = {value} OR {rest}",
            f"({name} = {value} AND {rest}) OR ({name} = {other} AND {rest})",
            f"({name} = {value}) IS TRUE",
            f"{name} IS NOT DISTINCT FROM {value}",
            f"{name} IS NOT DISTINCT FROM {other}",
            f"({name}, 1) = ({value}, 1)",
            f"({name}, 1) IN (({value}, 1), ({other}, 2))",
            f"ROW({name}) = ROW({value})",
            f"NOT ({name} = {value})",
            f"NOT ({name} <> {value})",
            f"{name} NOT IN ({value}, {other})",
            f"coalesce({name}, {value}) = {value}",
            f"CASE WHEN {rest} THEN {name} = {value} ELSE true END",
            f"nullif({name}, {other}) = {value}",
            f"{name} BETWEEN {value} AND {value}",
            f"{name} >= {value} AND {name} <= {value}",
            f"({name} = {value}) = ({rest})",
            f"{name} = ALL (ARRAY[{value}])",
            f"{name} <> ALL (ARRAY[{value}])",
            f"{name} = {value} AND {self._columns_equal(visible, [*visible, *outer])}",
        ]
        if column.type == "tenant":
            forms += [f"{name} = ANY (%(ts)s)", f"{name}::varchar = {value}", f"{name}::varchar(3) = {value}"]
            forms += [f"lower({name}) = {value}", f"{name} LIKE {value}", f"{name} || '' = {value}"]
            forms += [f"{name}::bpchar = {value}", f'{name} COLLATE "C" = {value}', f"{name} = '{{acme}}'"]
            forms += [
                f"{name} = ANY ('{{acme,globex}}')",
                f'{name} = {value} COLLATE "C"',
                f"{name}::name = {value}",
            ]
        if column.type == "device":
            forms += [
                f"{name} = ANY (%(ds)s)",
                f"{name}::text = '1'",
                f"{name} + 0 = {value}",
                f"{name} = {value}::numeric",
            ]
            forms += [f"{name} = ANY ('{{1,2}}')", f"-{name} = -1", f"{name}::bigint = {value}"]
        if subquery is not None:
            forms += [
                f"{name} = ({subquery(outer, column.type)} LIMIT 1)",
                f"{name} IN ({subquery(visible, column.type)})",
            ]
        return self.random.choice(forms)

    def _with_subquery(self, visible: Sequence[Column], outer: Sequence[Column], subquery: Subquery) -> str:
        column = self.random.choice(visible)
        query = subquery([*visible, *outer], column.type)
        return self.pick(
            f"EXISTS ({query})",
            f"EXISTS ({query})",
            f"NOT EXISTS ({query})",
            f"{column.name} IN ({query})",
            f"{column.name} NOT IN ({query})",
            f"{column.name} = ANY ({query})",
            f"{column.name} >= ALL ({query})",
            f"(SELECT count(*) FROM ({query}) sub) > 1",
        )


def _compares(one: str, other: str) -> bool:
    groups = ({"tenant", "text"}, {"device", "int", "num"}, {"doc"}, {"time"}, {"bool"}, {"float"})
    return any(one in group and other in group for group in groups)

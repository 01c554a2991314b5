"""Random SELECTs: joins of every kind, derived tables, WITH, set operations, grouping, and keys bound here and there."""

from collections.abc import Sequence
from random import Random
from typing import Final

from tests.parity.generator.conditions import Conditions
from tests.parity.generator.tables import KEYS, OTHER_TABLES, TENANT_TABLES, VIEWS, Column, columns

_JOINS: Final = ("JOIN", "JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN")
_SHAPES: Final = (
    ("tenant",),
    ("tenant", "int"),
    ("int",),
    ("tenant", "text"),
    ("text", "int"),
    ("tenant", "num"),
)
_CASTS: Final = {
    "tenant": "text",
    "device": "bigint",
    "doc": "uuid",
    "num": "numeric",
    "time": "timestamptz",
    "int": "bigint",
    "bool": "boolean",
    "float": "float8",
}


class Queries:
    """Makes one SELECT after another; the same seed makes the same ones.

    ``other_tables``: those without a tenant too. ``of_one_tenant``: mostly about the same one.
    """

    def __init__(self, seed: int, *, other_tables: bool = True, of_one_tenant: bool = False) -> None:
        self.random = Random(seed)
        self._other_tables = other_tables
        self.conditions = Conditions(self.random, of_one_tenant=of_one_tenant)
        self._names = 0
        self._ctes: dict[str, tuple[Column, ...]] = {}
        self._decoys = 0.0

    def statement(self) -> str:
        """A whole statement."""
        self.start()
        if self.chance(0.12):
            return self._narrowed()
        types = self.random.choice(_SHAPES)
        prefix = self.with_clause() if self.chance(0.25) else ""
        depth = self.random.choice((0, 1, 1, 2))
        query = self.set_operation(types, depth, ()) if self.chance(0.12) else self.select(types, depth, ())
        return prefix + query + self._order(types, limited=self.chance(0.1))

    def _narrowed(self) -> str:
        """A query that leaves its key to the one that selects from it."""
        types = self.random.choice(
            (("tenant", "int"), ("tenant", "int"), ("tenant", "text"), ("tenant", "num"))
        )
        make = self.set_operation if self.chance(0.15) else self.select
        key = self.conditions.key_is(Column("d.c0", "tenant"))
        return f"SELECT d.c0, d.c1 FROM ({make(types, 0, (), bound=False)}) d WHERE {key}"

    def start(self) -> None:
        """Forget names, and choose how sober the next statement is."""
        self._names, self._ctes = 0, {}
        self.conditions.start(self.random.choice((1, 1, 0.97, 0.9, 0.7, 0.1)))
        self._decoys = self.random.choice((0, 0.3, 0.6))

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self.random.random() < probability

    def name(self) -> str:
        """A new alias."""
        self._names += 1
        return f"a{self._names}"

    # --- queries --------------------------------------------------------------------------------------------

    def with_clause(self) -> str:
        """WITH, whose names may be those of tables."""
        parts = []
        for _ in range(self.random.choice((1, 1, 2))):
            name = self.random.choice(("orders", "customers", "c1", "c2", "currencies", "open_orders"))
            if name in self._ctes:
                continue
            types = self.random.choice(_SHAPES)
            names = [f"x{i}" if type_name != "tenant" else "tenant_id" for i, type_name in enumerate(types)]
            hint = self.random.choice(("", "", "MATERIALIZED ", "NOT MATERIALIZED "))
            body = self._inner(types, 1, ())
            parts.append(f"{name} ({', '.join(names)}) AS {hint}({body})")
            self._ctes[name] = tuple(Column(*pair) for pair in zip(names, types, strict=True))
        return f"WITH {', '.join(parts)} "

    def set_operation(
        self, types: Sequence[str], depth: int, outer: Sequence[Column], *, bound: bool = True
    ) -> str:
        """Two queries, put together."""
        operator = self.random.choice(
            ("UNION ALL", "UNION ALL", "UNION", "INTERSECT", "EXCEPT", "EXCEPT ALL")
        )
        arms = [
            self.select(types, max(depth - 1, 0), outer, bound=bound or self.chance(0.3)) for _ in range(2)
        ]
        return f"({arms[0]}) {operator} ({arms[1]})"

    def select(self, types: Sequence[str], depth: int, outer: Sequence[Column], *, bound: bool = True) -> str:
        """A SELECT whose columns, of these types, are called c0, c1 ... ``bound``: it has key conditions itself."""
        source, visible, keys = self.source(depth, outer)
        conditions = self._key_conditions(keys, visible, outer, bound)
        subquery = self.subquery if depth else None
        while self.chance(0.35):
            conditions.append(f"({self.conditions.condition(visible, outer, subquery)})")
        self.random.shuffle(conditions)
        text = f"FROM {source}" + (f" WHERE {' AND '.join(conditions)}" if conditions else "")
        roll = self.random.random()
        if roll < 0.18:
            return self._grouped(types, text, visible)
        if roll < 0.3:
            return f"SELECT {self._listed(self._aggregates(types, visible))} {text}{self._having(visible)}"
        distinct = "DISTINCT " if roll < 0.4 else ""
        listed = [self.expression(type_name, visible, outer, depth) for type_name in types]
        query = f"SELECT {distinct}{self._listed(listed)} {text}"
        return self._limited(types, query, bound)

    def _key_conditions(
        self, keys: Sequence[Column], visible: Sequence[Column], outer: Sequence[Column], bound: bool
    ) -> list[str]:
        """A condition for each key; in some statements one of them only looks like one."""
        if not bound:
            return []
        decoy = self.random.choice(keys) if keys and self.chance(self._decoys) else None
        conditions = []
        for key in keys:
            if key == decoy:
                if self.chance(0.8):
                    conditions.append(f"({self.conditions.about_key(key, visible, outer, None)})")
            elif self.chance(self.conditions.discipline):
                conditions.append(self.conditions.key_is(key))
        return conditions

    def _inner(self, types: Sequence[str], depth: int, outer: Sequence[Column]) -> str:
        """A query to be selected from; it may leave its keys to whoever does."""
        make = self.set_operation if self.chance(0.2) else self.select
        return make(types, depth, outer, bound=self.chance(0.55))

    def _limited(self, types: Sequence[str], query: str, bound: bool) -> str:
        if not bound and self.chance(0.2):
            return f"SELECT * FROM ({query}{self._order(types, limited=True)}) {self.name()}"
        if not bound and "int" in types and self.chance(0.3):
            window = self.random.choice(("count(*) OVER ()", "rank() OVER (ORDER BY s.c0)"))
            listed = [window if each == "int" else f"s.c{i}" for i, each in enumerate(types)]
            return f"SELECT {self._listed(listed)} FROM ({query}) s"
        return query

    def _order(self, types: Sequence[str], *, limited: bool = False) -> str:
        """ORDER BY everything, so that LIMIT has one answer."""
        if not limited and not self.chance(0.1):
            return ""
        places = self.random.sample(range(1, len(types) + 1), len(types))
        order = ", ".join(f"{i}{self.random.choice(('', ' DESC'))}" for i in places)
        limit = (
            self.random.choice(("LIMIT 3", "LIMIT 1", "OFFSET 2", "FETCH FIRST 4 ROWS ONLY"))
            if limited
            else ""
        )
        return f" ORDER BY {order} {limit}".rstrip()

    def _listed(self, expressions: Sequence[str]) -> str:
        return ", ".join(f"{text} AS c{i}" for i, text in enumerate(expressions))

    def _grouped(self, types: Sequence[str], text: str, visible: Sequence[Column]) -> str:
        groups = [self.expression(types[0], visible, (), 0)]
        keys = [column.name for column in visible if column.type in KEYS]
        if keys and self.chance(0.4):
            groups.append(self.random.choice(keys))
        by = ", ".join("1" if group == groups[0] and self.chance(0.3) else group for group in groups)
        if self.chance(0.1):
            by = self.random.choice((f"ROLLUP ({by})", f"GROUPING SETS (({by}), ())", f"CUBE ({by})"))
        listed = [groups[0], *self._aggregates(types[1:], visible)]
        return f"SELECT {self._listed(listed)} {text} GROUP BY {by}{self._having(visible)}"

    def _having(self, visible: Sequence[Column]) -> str:
        if not self.chance(0.15):
            return ""
        column = self.random.choice(visible)
        value = self.conditions.value(column.type)
        forms = ("count(*) > 1", f"count({column.name}) >= 0", "true", "false")
        extreme = f"min({column.name}) = {value}" if column.type not in ("bool", "doc") else "count(*) > 2"
        return f" HAVING {self.random.choice((*forms, extreme))}"

    def _aggregates(self, types: Sequence[str], visible: Sequence[Column]) -> list[str]:
        return [self._aggregate(type_name, visible) for type_name in types]

    def _aggregate(self, type_name: str, visible: Sequence[Column]) -> str:
        alike = [column.name for column in visible if column.type == type_name]
        some = self.random.choice(visible)
        test = f"{some.name} = {self.conditions.value(some.type)}"
        if type_name == "int":
            forms = [
                "count(*)",
                f"count({some.name})",
                f"count(DISTINCT {some.name})",
                f"count(*) FILTER (WHERE {test})",
            ]
            forms += [f"sum(CASE WHEN {test} THEN 1 ELSE 0 END)", f"count(nullif({test}, false))"]
            return f"({self.random.choice(forms)})::bigint"
        if type_name in ("tenant", "text"):
            texts = [column.name for column in visible if column.type in ("tenant", "text")] or ["'x'"]
            name = self.random.choice(texts)
            return self.random.choice(
                (f"max({name})", f"min({name})", f"string_agg({name}, ',' ORDER BY {name})")
            )
        return f"max({self.random.choice(alike)})" if alike else f"max(NULL::{_CASTS[type_name]})"

    def subquery(self, outer: Sequence[Column], type_name: str) -> str:
        """A small query with one column of a type; it may look outside."""
        if self.chance(0.1):
            return f"SELECT {self.cast(self.conditions.value(type_name), type_name)}"
        source, visible, keys = self.source(0, outer)
        conditions = []
        if outer and self.chance(0.75):
            key = self.random.choice(keys) if keys else self.random.choice(visible)
            alike = [column for column in outer if column.type == key.type]
            if alike:
                conditions.append(f"{key.name} = {self.random.choice(alike).name}")
        if self.chance(0.5):
            conditions.append(self.conditions.condition(visible, outer, None))
        if keys and self.chance(self.conditions.discipline):
            conditions.append(self.conditions.key_is(self.random.choice(keys)))
        where = f" WHERE {' AND '.join(f'({each})' for each in conditions)}" if conditions else ""
        return f"SELECT {self.expression(type_name, visible, outer, 0)} FROM {source}{where}"

    # --- expressions ----------------------------------------------------------------------------------------

    def cast(self, text: str, type_name: str) -> str:
        """``text`` of a type that a result column has, whatever it was."""
        return f"({text})::{_CASTS.get(type_name, type_name)}"

    def expression(
        self, type_name: str, visible: Sequence[Column], outer: Sequence[Column], depth: int
    ) -> str:
        """An expression of a type."""
        wanted = ("tenant", "text") if type_name == "text" else (type_name,)
        alike = [column.name for column in (*visible, *outer) if column.type in wanted]
        roll = self.random.random()
        if type_name == "int" and depth and roll < 0.12:
            return f"(SELECT count(*) FROM ({self.subquery([*visible, *outer], 'int')}) s)"
        if type_name == "int" and roll < 0.2:
            return self._number(visible)
        if alike and roll < 0.7:
            return self.random.choice(alike)
        if depth and roll < 0.8 and type_name not in ("doc", "bool"):
            aggregate = self.random.choice(("max(m)", "count(*)" if type_name == "int" else "max(m)"))
            return f"(SELECT {aggregate} FROM ({self.subquery([*visible, *outer], type_name)}) s (m))"
        if type_name == "int" and roll < 0.88:
            return self._number(visible)
        if alike and roll < 0.94:
            name, value = self.random.choice(alike), self.conditions.value(type_name)
            forms = (f"coalesce({name}, {value})", f"CASE WHEN {name} = {value} THEN {name} END")
            return self.random.choice(
                (*forms, f"max({name}) OVER ()") if type_name not in ("bool", "doc") else forms
            )
        return self.cast(self.conditions.value(type_name), type_name)

    def _number(self, visible: Sequence[Column]) -> str:
        column = self.random.choice(visible)
        test = f"{column.name} = {self.conditions.value(column.type)}"
        return self.random.choice(
            (
                f"({test})::int::bigint",
                f"CASE WHEN {test} THEN 1 ELSE 2 END::bigint",
                "count(*) OVER ()",
                f"rank() OVER (ORDER BY {column.name})",
                f"count(*) OVER (PARTITION BY {column.name})",
            )
        )

    # --- FROM -----------------------------------------------------------------------------------------------

    def source(self, depth: int, outer: Sequence[Column]) -> tuple[str, list[Column], list[Column]]:
        """FROM: its text, the columns, and the keys of tables."""
        text, visible, keys = self.item(depth, outer)
        for _ in range(self.random.choice((0, 0, 1, 1, 2) if depth else (0, 0, 0, 1))):
            more, columns_there, keys_there = self.item(depth, [*visible, *outer])
            join = self.random.choice(_JOINS)
            if self.chance(0.12):
                text = f"{text}, {more}" if "JOIN" not in text else f"{text} CROSS JOIN {more}"
            elif join == "CROSS JOIN":
                text = f"{text} CROSS JOIN {more}"
            else:
                on = self._on(visible, columns_there, outer)
                if on.startswith("ON") and self.chance(0.3):
                    bound = self.random.choice([*keys, *keys_there] or visible)
                    on = f"{on} AND {self.conditions.key_is(bound)}"
                    keys = [key for key in keys if key != bound]
                    keys_there = [key for key in keys_there if key != bound]
                text = f"{text} {join} {more} {on}"
                if on.startswith("USING") and text.count(" JOIN ") == 1 and self.chance(0.5):
                    merged = [Column(name, _type(columns_there, name)) for name in on[7:-1].split(", ")]
                    keys = [column for column in merged if column.type in KEYS] or keys
                    return text, [*visible, *columns_there, *merged], keys
            visible, keys = [*visible, *columns_there], [*keys, *keys_there]
            if self.chance(0.35) and len(keys) > 1:
                keys = keys[:1] if self.chance(0.5) else keys[-1:]
        return text, visible, keys

    def _on(self, left: Sequence[Column], right: Sequence[Column], outer: Sequence[Column]) -> str:
        using = _shared(left, right)
        if using and self.chance(0.3):
            return f"USING ({', '.join(using)})"
        parts = []
        pairs = [
            (one, other) for one in left for other in right if one.type == other.type and one.type in KEYS
        ]
        if pairs and self.chance(0.5 + self.conditions.discipline / 2 - self._decoys / 2):
            one, other = self.random.choice(pairs)
            parts.append(f"{one.name} = {other.name}")
        numbers = [(one, other) for one in left for other in right if one.type == other.type == "int"]
        if numbers and self.chance(0.6):
            one, other = self.random.choice(numbers)
            parts.append(f"{one.name} = {other.name}")
        while not parts or self.chance(0.15):
            parts.append(f"({self.conditions.condition([*left, *right], outer, None)})")
        self.random.shuffle(parts)
        return f"ON {' AND '.join(parts)}"

    def item(self, depth: int, visible: Sequence[Column]) -> tuple[str, list[Column], list[Column]]:
        """One thing in FROM: its text, its columns, and the keys among them."""
        alias = self.name()
        roll = self.random.random()
        if depth and roll < 0.14:
            types = self.random.choice(_SHAPES)
            lateral = self.chance(0.4)
            query = self._inner(types, depth - 1, visible if lateral else ())
            names = [Column(f"{alias}.c{i}", type_name) for i, type_name in enumerate(types)]
            return (
                f"{'LATERAL ' if lateral else ''}({query}) {alias}",
                names,
                names[:1] if types[0] == "tenant" else [],
            )
        if roll < 0.2:
            return self._rows(alias)
        if self._ctes and roll < 0.4:
            name = self.random.choice(tuple(self._ctes))
            found = [Column(f"{alias}.{column.name}", column.type) for column in self._ctes[name]]
            return f"{name} {alias}", found, [column for column in found if column.type == "tenant"]
        table = self._table()
        spelled = self.random.choice((table, table, table, f"public.{table}", f'"{table}"', f"ONLY {table}"))
        if table in VIEWS and spelled.startswith("ONLY"):
            spelled = table
        listed = self._ctes.get(table, columns(table)) if "public" not in spelled else columns(table)
        found = [Column(f"{alias}.{column.name}", column.type) for column in listed]
        return f"{spelled} {alias}", found, [column for column in found if column.type in KEYS]

    def _some_key(self, derived: list[Column]) -> list[Column]:
        """The column of a derived table by which its tables may be bound."""
        texts = [column for column in derived if column.type in ("tenant", "text")]
        return [self.random.choice(texts)] if texts else []

    def _table(self) -> str:
        roll = self.random.random() if self._other_tables else 0
        return self.random.choice(
            TENANT_TABLES if roll < 0.82 else ("currencies",) if roll < 0.91 else OTHER_TABLES
        )

    def _rows(self, alias: str) -> tuple[str, list[Column], list[Column]]:
        value = self.conditions.value
        match self.random.randrange(4):
            case 0:
                found = [Column(f"{alias}.v", "tenant"), Column(f"{alias}.n", "int")]
                rows = ", ".join(
                    f"({value('tenant')}, {n}::bigint)" for n in range(self.random.choice((1, 2, 3)))
                )
                return f"(VALUES {rows}) {alias} (v, n)", found, []
            case 1:
                return f"generate_series(1, 3) {alias} (n)", [Column(f"{alias}.n", "int")], []
            case 2:
                elements = self.random.choice(
                    (f"ARRAY[{self.conditions.values('tenant')}]::text[]", "%(ts)s::varchar[]")
                )
                return f"unnest({elements}) {alias} (v)", [Column(f"{alias}.v", "tenant")], []
        return (
            f"(SELECT {self.cast(value('tenant'), 'tenant')} AS v) {alias}",
            [Column(f"{alias}.v", "tenant")],
            [],
        )


def _type(columns: Sequence[Column], bare: str) -> str:
    return next(column.type for column in columns if column.name.endswith(f".{bare}"))


def _shared(left: Sequence[Column], right: Sequence[Column]) -> list[str]:
    """Column names that both sides have once, for USING."""

    def bare(side: Sequence[Column]) -> list[str]:
        return [column.name.rpartition(".")[2] for column in side]

    one, other = bare(left), bare(right)
    both = [name for name in one if one.count(name) == 1 and other.count(name) == 1]
    return [name for name in both if name.endswith("_id")][:2]
